#include "coordinator/matrixfile.h"
#include "coordinator/catalogue.h"
#include "coordinator/core/language.h"
#include "coordinator/toml.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int read_file(const char *path, struct kt_buf *text, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat info;
	ssize_t n;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", path);
	if (fstat(fd, &info) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", path);
	if (S_ISDIR(info.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EISDIR,
				  "%s: a folder; a matrix is a TOML file", path);
	for (;;) {
		uint8_t *room = kt_buf_reserve(text, 65536);

		n = room ? read(fd, room, 65536) : -1;
		if (!room || text->len + (size_t)(n > 0 ? n : 0) > KT_MATRIX_BYTES_MAX)
			return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
					  "%s: longer than %u bytes; split it", path,
					  KT_MATRIX_BYTES_MAX);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "%s", path);
		if (n == 0)
			return 0;
		text->len += (size_t)n;
	}
}

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
	rc = read_file(path, text, err);
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
