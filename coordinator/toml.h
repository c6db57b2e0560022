/* toml.h - TOML 1.0 text to a kt_doc: the C face of the one C++ file of this tree.
 *
 * The parser is Debian's libtomlplusplus as a shared library (docs/ARCHITECTURE.md, Decisions: the
 * header-only form aborts on five invalid inputs). Only its parse and its tree are used; what the text
 * means is grammar.c's business. No C++ exception leaves toml.cpp.
 */
#ifndef KT_TOML_H
#define KT_TOML_H

#include "coordinator/core/matrix/doc.h"
#include "proto/base/err.h"

/* Containers within containers, in brackets; and parts of one dotted key. toml++ bounds the first at 256
 * and the second not at all: 400 kB of "a.a.a." overflow its stack, so kt_toml_parse() looks first.
 */
#define KT_TOML_DEPTH_MAX    32
#define KT_TOML_KEYPARTS_MAX 16

#ifdef __cplusplus
extern "C" {
#endif

/* text: at most KT_MATRIX_BYTES_MAX bytes, need not end in 0. -EINVAL with fault INPUT and
 * "file:line:column: what is wrong" for text that is no TOML. Columns count characters, not bytes.
 */
int kt_toml_parse(const char *file, const char *text, size_t len, struct kt_doc **doc,
		  struct kt_err *err);

#ifdef __cplusplus
}
#endif

#endif
