/* matrixtext.h - for tests of the matrix language: a scenario within a matrix that is right, what is refused in it,
 * and messages as texts. Included once by each.
 */
#ifndef KT_TESTS_MATRIXTEXT_H
#define KT_TESTS_MATRIXTEXT_H

#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What stands before a scenario's own lines: they begin with line 20. 8 CPUs, 4 LLCs, 2 nodes. */
#define MATRIXTEXT_HEAD                                                              \
	"payload = [{ name = 'p', program = 'p' }, { name = 'x', program = 'x' }]\n" \
	"kernel = [{ name = 'k', path = 'k' }]\n\n[sweep]\nname = 's'\n"             \
	"[[scheduler]]\nname = 'scx_kt'\nbinary = 'scx_kt'\n"                        \
	"[[scheduler]]\nname = 'other'\nbinary = 'scx_other'\n"                      \
	"[[scheduler]]\nname = 'eevdf'\n"                                            \
	"[[topology]]\nname = 'big'\ncpus = '2n4l2c1t'\n"                            \
	"[[scenario]]\nname = 'a'\nduration = '10s'\n"

static inline void matrixtext_keep(void *arg, const char *line)
{
	kt_buf_printf(arg, "%s\n", line);
}

/* 0 or -EINVAL; problems: their lines, each with a newline. */
static inline int matrixtext_parse(const char *scenario, struct kt_matrix **matrix,
				   struct kt_buf *problems)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, MATRIXTEXT_HEAD);
	kt_buf_puts(&text, scenario);
	return kt_matrixfile_parse("m", text.data, text.len, matrixtext_keep, problems, matrix,
				   NULL);
}

/* The lines of a scenario, and all that is said of them: "m:20:3: ...", one line each. */
struct matrixtext_refusal {
	const char *scenario;
	const char *problems;
};

static inline void matrixtext_expect_refusals(const struct matrixtext_refusal *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF problems = { 0 };
		KT_AUTO_BUF expected = { 0 };

		kt_buf_printf(&expected, "%s\n", list[i].problems);
		cr_expect_eq(matrixtext_parse(list[i].scenario, &matrix, &problems), -EINVAL, "%s",
			     list[i].scenario);
		cr_expect_str_eq(kt_buf_text(&problems), kt_buf_text(&expected));
	}
}

/* A message without what is zero, empty or absent: "kind=spawn cgroup=c group{workers=2 work=spin}". */
static inline void matrixtext_print(const struct kt_schema *schema, const void *from,
				    struct kt_buf *out)
{
	const char *blank = "";

	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];
		const char *at = (const char *)from + field->offset;
		size_t before = out->len;

		kt_buf_printf(out, "%s%s", blank, field->name);
		if (field->type == KT_FIELD_BOOL && *(const bool *)at) {
		} else if (field->type == KT_FIELD_U64 && *(const uint64_t *)at) {
			kt_buf_printf(out, "=%" PRIu64, *(const uint64_t *)at);
		} else if (field->type == KT_FIELD_I64 && *(const int64_t *)at) {
			kt_buf_printf(out, "=%" PRId64, *(const int64_t *)at);
		} else if (field->type == KT_FIELD_STR && **(const char *const *)at) {
			kt_buf_printf(out, "=%s", *(const char *const *)at);
		} else if (field->type == KT_FIELD_ONE && *(const void *const *)at) {
			kt_buf_puts(out, "{");
			matrixtext_print(field->of, *(const void *const *)at, out);
			kt_buf_puts(out, "}");
		} else if (field->type == KT_FIELD_LIST &&
			   *(const size_t *)((const char *)from + field->count_offset)) {
			size_t n = *(const size_t *)((const char *)from + field->count_offset);
			const char *items = *(const char *const *)at;

			for (size_t k = 0; k < n; k++) {
				kt_buf_puts(out, k ? " {" : "{");
				matrixtext_print(field->of, items + k * field->of->size, out);
				kt_buf_puts(out, "}");
			}
		} else {
			out->len = before;
			continue;
		}
		blank = " ";
	}
}

/* The lines of a scenario, and its message (without name and duration) as a text. */
struct matrixtext_meaning {
	const char *scenario;
	const char *message;
};

static inline void matrixtext_expect_meanings(const struct matrixtext_meaning *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF problems = { 0 };
		KT_AUTO_BUF encoded = { 0 };
		KT_AUTO_BUF message = { 0 };
		struct kt_msg_scenario decoded;
		struct kt_msg_job job;

		cr_expect_eq(matrixtext_parse(list[i].scenario, &matrix, &problems), 0, "%s: %s",
			     list[i].scenario, kt_buf_text(&problems));
		if (!matrix)
			continue;
		kt_matrix_job(matrix, 0, &arena, &job);
		/* what the guest will see of it */
		kt_codec_encode(&kt_schema_scenario, job.scenario, &encoded);
		cr_expect_eq(kt_codec_decode(&kt_schema_scenario, encoded.data, encoded.len, &arena,
					     &decoded, NULL),
			     0);
		decoded.name = "";
		decoded.duration_ns = 0;
		matrixtext_print(&kt_schema_scenario, &decoded, &message);
		cr_expect_str_eq(kt_buf_text(&message), list[i].message);
	}
}

#endif
