#include "coordinator/matrixfile.h"
#include "coordinator/catalogue.h"
#include "coordinator/core/matrix/language.h"
#include "coordinator/toml.h"
#include "proto/base/must.h"
#include "proto/base/wholefile.h"

#include <errno.h>
#include <stdio.h>

struct listener { /* to what is wrong; problem may be NULL */
	kt_matrixfile_problem_fn *problem;
	void *arg;
};

/* An error that is itself the line of a problem. */
static int tell(const struct listener *to, int rc, struct kt_err *err)
{
	if (rc < 0) {
		kt_problem_one_line(err->text);
		if (to->problem)
			to->problem(to->arg, err->text);
	}
	return rc;
}

static int parse(const char *file, const void *text, size_t len, const struct listener *to,
		 struct kt_doc **doc, struct kt_err *err)
{
	return tell(to, kt_toml_parse(file, text, len, doc, err), err);
}

/* Takes the document, which was parsed from the text. */
static int read_matrix(struct kt_doc **doc, const void *text, size_t len, const struct listener *to,
		       struct kt_matrix **matrix, struct kt_err *err)
{
	KT_AUTO_FREE struct kt_problems *problems = kt_must_calloc(1, sizeof(*problems));
	int rc;

	kt_doc_find_parts(*doc, text, len);
	rc = kt_language_read(doc, problems, matrix, err);
	for (size_t i = 0; to->problem && i < problems->n; i++)
		to->problem(to->arg, problems->list[i].line);
	if (to->problem && problems->n_more > 0) {
		char line[64];

		snprintf(line, sizeof(line), "... and %zu more", problems->n_more);
		to->problem(to->arg, line);
	}
	return rc;
}

int kt_matrixfile_parse(const char *file, const void *text, size_t len,
			kt_matrixfile_problem_fn *problem, void *arg, struct kt_matrix **matrix,
			struct kt_err *err)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct listener to = { problem, arg };
	struct kt_err first = { 0 };
	int rc;

	if (!err)
		err = &first;
	rc = parse(file, text, len, &to, &doc, err);
	return rc < 0 ? rc : read_matrix(&doc, text, len, &to, matrix, err);
}

int kt_matrixfile_load(const char *path, struct kt_buf *text, kt_matrixfile_problem_fn *problem,
		       void *arg, struct kt_matrix **matrix, struct kt_err *err)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct listener to = { problem, arg };
	struct kt_err first = { 0 };
	KT_AUTO_BUF own = { 0 };
	size_t own_len;
	int rc;

	if (!err)
		err = &first;
	if (!text)
		text = &own;
	kt_buf_reset(text);
	rc = kt_wholefile_read(path, KT_MATRIX_BYTES_MAX, text, err);
	if (rc < 0)
		return rc;
	own_len = text->len;
	rc = parse(path, text->data, text->len, &to, &doc, err);
	if (rc == 0)
		rc = tell(&to, kt_catalogue_include(doc, text, err), err);
	if (rc == 0 && text->len > own_len) { /* it included something: read it as a whole */
		kt_doc_destroy(&doc);
		rc = parse(path, text->data, text->len, &to, &doc, err);
	}
	return rc < 0 ? rc : read_matrix(&doc, text->data, text->len, &to, matrix, err);
}
