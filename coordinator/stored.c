#include "coordinator/stored.h"
#include "assertions/seriesfile.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"
#include "proto/base/wholefile.h"

#include <errno.h>
#include <string.h>

struct loading {
	struct kt_stored *stored;
	uint64_t epoch;
	struct kt_digest_stream digest;
};

/* Facts live for one call only: a copy through the codec stays. */
static int find_result(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag, const void *fact,
		       struct kt_err *err)
{
	struct loading *loading = arg;
	const struct kt_msg_fact_ended *ended = fact;
	struct kt_stored *stored = loading->stored;
	KT_AUTO_BUF encoded = { 0 };
	int status;

	if (tag != KT_TAG_fact_ended || ended->epoch != loading->epoch)
		return 0;
	stored->result = kt_arena_alloc(&stored->arena, 1, sizeof(*stored->result));
	kt_codec_encode(&kt_schema_result, ended->result, &encoded);
	status = kt_codec_decode(&kt_schema_result, encoded.data, encoded.len, &stored->arena,
				 stored->result, NULL);
	kt_must(status == 0);
	return 0;
}

static int take_sample(void *arg, uint64_t seq, const char *stream, const void *bytes, size_t len,
		       struct kt_err *err)
{
	struct loading *loading = arg;

	kt_digest_stream_add(&loading->digest, bytes, len);
	return kt_series_append(&loading->stored->series, bytes, len, err);
}

static bool is_whole(struct loading *loading)
{
	const struct kt_msg_result *result = loading->stored->result;
	const struct kt_series *series = &loading->stored->series;
	struct kt_digest digest;

	kt_digest_stream_end(&loading->digest, &digest);
	return series->n == result->samples_total &&
	       (result->series_digest.len == 0
			? series->n == 0
			: memcmp(digest.bytes, result->series_digest.data, KT_DIGEST_BYTES) == 0);
}

int kt_stored_load(struct kt_journal *journal, uint64_t cell, uint64_t epoch,
		   struct kt_stored *stored, struct kt_err *err)
{
	struct loading loading = { .stored = stored, .epoch = epoch };
	int status = kt_journal_facts(journal, cell, find_result, &loading, err);

	if (status < 0)
		return status;
	if (!stored->result)
		return kt_err_set(err, KT_FAULT_INPUT, ENOENT,
				  "no attempt of it ended with a result");
	kt_digest_stream_begin(&loading.digest);
	status = kt_journal_samples(journal, cell, epoch, take_sample, &loading, err);
	if (status == -EIO)
		return status; /* our own disk */
	if (status < 0 || !is_whole(&loading))
		return kt_err_set(err, KT_FAULT_PEER, EBADMSG,
				  "what arrived is not what the worker recorded");
	return 0;
}

void kt_stored_destroy(struct kt_stored *stored)
{
	kt_series_destroy(&stored->series);
	kt_arena_destroy(&stored->arena);
	*stored = (struct kt_stored){ 0 };
}

int kt_stored_print(const struct kt_stored *stored, const struct kt_matrix *matrix, uint64_t cell,
		    struct kt_buf *out, struct kt_err *err)
{
	char name[KT_CELL_NAME_BYTES_MAX];
	struct kt_matrix_cell spec;
	struct kt_msg_series_header header = { .producer = "ktcoord " KT_VERSION,
					       .cause = stored->result->cause,
					       .line = stored->result->line };

	kt_matrix_cell(matrix, cell, &spec);
	header.cell = kt_matrix_cell_name(matrix, cell, name);
	header.samples_target = spec.scenario->msg.samples;
	return kt_seriesfile_write(&stored->series, &header, out, err);
}

int kt_stored_write(const struct kt_stored *stored, const struct kt_matrix *matrix, uint64_t cell,
		    const char *path, struct kt_err *err)
{
	KT_AUTO_BUF file = { 0 };
	int status = kt_stored_print(stored, matrix, cell, &file, err);

	return status < 0 ? status : kt_wholefile_write(path, file.data, file.len, err);
}
