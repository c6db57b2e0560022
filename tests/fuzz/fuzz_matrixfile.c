/* layer: coordinator */
/* A matrix's text: whatever it is, it is refused in one line per problem or it is a matrix whose cells have
 * names that lead back to them.
 */
#include "coordinator/matrixfile.h"
#include "coordinator/plan.h"
#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void problem(void *arg, const char *line)
{
	size_t *n = arg;

	(*n)++;
	for (; *line; line++)
		kt_must((unsigned char)*line >= 0x20);
}

static void use(const struct kt_matrix *matrix)
{
	uint64_t n = kt_matrix_n_cells(matrix);
	char name[KT_CELL_NAME_BYTES_MAX];

	kt_must(n > 0);
	for (uint64_t i = 0; i < 8; i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF encoded = { 0 };
		struct kt_msg_job job;
		uint64_t index = i < 4 ? i % n : n - 1 - (i - 4) % n;
		uint64_t found;

		kt_must(kt_matrix_find_cell(matrix, kt_matrix_cell_name(matrix, index, name),
					    &found));
		kt_must(found == index);
		kt_matrix_job(matrix, index, &arena, &job);
		job.kernel->digest =
			(struct kt_bin){ (const uint8_t *)"0123456789abcdef0123456789abcdef", 32 };
		kt_codec_encode(&kt_schema_job, &job, &encoded);
		kt_must(encoded.len < KT_FRAME_BYTES_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };
	size_t n = 0;
	int rc = kt_matrixfile_parse("fuzz.toml", data, len, problem, &n, &matrix, &err);

	if (rc == 0) {
		kt_must(n == 0);
		use(matrix);
		return 0;
	}
	kt_must(rc == -EINVAL);
	kt_must(err.fault == KT_FAULT_INPUT);
	kt_must(n > 0);
	kt_must(!matrix);
	return 0;
}
