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

int kt_matrixfile_parse(const char *file, const void *text, size_t len,
			kt_matrixfile_problem_fn *problem, void *arg, struct kt_matrix **matrix,
			struct kt_err *err)
{
	KT_AUTO_FREE struct kt_problems *problems = kt_must_calloc(1, sizeof(*problems));
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct kt_err first = { 0 };
	int rc;

	if (!err)
		err = &first;
	rc = kt_toml_parse(file, text, len, &doc, err);
	if (rc < 0) {
		kt_problem_one_line(err->text);
		if (problem)
			problem(arg, err->text);
		return rc;
	}
	kt_doc_find_parts(doc, text, len);
	rc = kt_language_read(&doc, problems, matrix, err);
	for (size_t i = 0; problem && i < problems->n; i++)
		problem(arg, problems->list[i].line);
	if (problem && problems->n_more > 0) {
		char line[64];

		snprintf(line, sizeof(line), "... and %zu more", problems->n_more);
		problem(arg, line);
	}
	return rc;
}

/* What the text includes is put behind it. A text that is no TOML is left as it is: reading it says so. */
static int include(const char *path, struct kt_buf *text, kt_matrixfile_problem_fn *problem,
		   void *arg, struct kt_err *err)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct kt_err ignored = { 0 };
	int rc;

	if (kt_toml_parse(path, (const char *)text->data, text->len, &doc, &ignored) < 0)
		return 0;
	rc = kt_catalogue_include(doc, text, err);
	if (rc < 0) {
		kt_problem_one_line(err->text);
		if (problem)
			problem(arg, err->text);
	}
	return rc;
}

int kt_matrixfile_load(const char *path, struct kt_buf *text, kt_matrixfile_problem_fn *problem,
		       void *arg, struct kt_matrix **matrix, struct kt_err *err)
{
	KT_AUTO_BUF own = { 0 };
	struct kt_err first = { 0 };
	int rc;

	if (!err)
		err = &first;
	if (!text)
		text = &own;
	kt_buf_reset(text);
	rc = read_file(path, text, err);
	if (rc == 0)
		rc = include(path, text, problem, arg, err);
	if (rc < 0)
		return rc;
	return kt_matrixfile_parse(path, text->data, text->len, problem, arg, matrix, err);
}
