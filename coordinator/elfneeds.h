/* elfneeds.h - what one ELF file says that it needs to run, out of its bytes.
 *
 * Read as the loader reads it: program headers and the dynamic segment, never section headers (a stripped
 * file may have none). Pure: bytes in, facts out; every text is borrowed from the bytes.
 */
#ifndef KT_ELFNEEDS_H
#define KT_ELFNEEDS_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define KT_ELFNEEDS_MAX 256 /* libraries that one file names */

struct kt_elfneeds {
	const char *interpreter; /* PT_INTERP; NULL: static, or a library */
	const char *soname; /* NULL: it says none */
	const char *
		rpath; /* NULL: none, or a runpath stands beside it, with which it counts for nothing */
	const char *runpath; /* NULL: none */
	bool no_default_dirs; /* DF_1_NODEFLIB: neither the loader's cache nor its own folders */
	const char *needed[KT_ELFNEEDS_MAX]; /* DT_NEEDED, in their order */
	size_t n_needed;
};

/* Fault INPUT: -ENOEXEC when it is no program or library for x86-64, -EINVAL when it is damaged, -E2BIG
 * when it needs too much.
 */
int kt_elfneeds_read(const void *bytes, size_t len, struct kt_elfneeds *needs, struct kt_err *err);

#endif
