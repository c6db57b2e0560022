/* matrixfile.h - from a file (or its text, as a journal keeps it) to a matrix.
 *
 * What is wrong with the text is reported as a compiler does it: one line per problem,
 * "file:line:column: what is wrong; what would be right", in the order of the file, up to
 * KT_PROBLEMS_MAX of them, through `problem` (NULL: nobody listens). err then holds the first of them:
 * -EINVAL, fault INPUT. That a file cannot be read is said by err alone (-ENOENT, -EFBIG, ...).
 * Blocks while it reads the file.
 */
#ifndef KT_MATRIXFILE_H
#define KT_MATRIXFILE_H

#include "coordinator/core/matrix/matrix.h"

#include "proto/base/buf.h"

typedef void kt_matrixfile_problem_fn(void *arg, const char *line);

/* text: filled with the file's bytes, exactly, and behind them those of what it includes (catalogue.h): for the
 * journal; may be NULL.
 */
int kt_matrixfile_load(const char *path, struct kt_buf *text, kt_matrixfile_problem_fn *problem,
		       void *arg, struct kt_matrix **matrix, struct kt_err *err);

/* file: what the text is called in messages. Nothing is read from disk. */
int kt_matrixfile_parse(const char *file, const void *text, size_t len,
			kt_matrixfile_problem_fn *problem, void *arg, struct kt_matrix **matrix,
			struct kt_err *err);

#endif
