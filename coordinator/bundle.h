/* bundle.h - a program and every library it needs, found as the loader of this machine would find them.
 *
 * ld.so(8), read from the ELF files alone (nothing is run): DT_NEEDED breadth first; of the file that needs a
 * library DT_RPATH and that of whoever needed that file, up to the program, unless it has a DT_RUNPATH;
 * LD_LIBRARY_PATH of our own environment; DT_RUNPATH; /etc/ld.so.cache; the loader's own folders. One name, or one DT_SONAME, is
 * one library. Files for another machine are passed over, and so is what is for some CPUs only (glibc-hwcaps): the
 * guest's need not be ours. glibc opens libgcc_s.so.1 by itself when a thread ends: it comes along.
 *
 * In the guest each program has a folder of its own, `root`, so that no two ever share a library by accident:
 *
 *	<root>/bin/<program>   the program
 *	<root>/lib/<name>      its libraries, by the names they are needed by
 *	<root>/ld/<program>    its interpreter, which is what is started: the guest has no /lib64; and the
 *	                       kernel takes a task's name (comm) from the file that is started
 *
 * What a program opens by name only when it runs (dlopen) is not found: the user sends it to KT_BUNDLE_EXTRA.
 */
#ifndef KT_BUNDLE_H
#define KT_BUNDLE_H

#include "proto/base/err.h"

#include <stddef.h>

#define KT_BUNDLE_EXTRA \
	"/kt/lib" /* searched too, last, for libraries that are sent beside the bundle */

struct kt_bundle_file {
	char *host_path;
	char *guest_path;
};

struct kt_bundle {
	struct kt_bundle_file *files; /* the program first */
	size_t n; /* at most KT_FILES_MAX */
	char *args[4]; /* how the guest starts it; what the user adds comes behind */
	size_t n_args;
	char *library_path; /* where its libraries are in the guest; NULL for a static program */
};

/* root: absolute, in the guest. Fault INPUT, in words that say what to do: it is no x86-64 program (a script, a
 * library), a library cannot be found, or one is needed by a path that the guest cannot have. Blocks.
 */
int kt_bundle_collect(const char *program, const char *root, struct kt_bundle *bundle,
		      struct kt_err *err);
void kt_bundle_destroy(struct kt_bundle *bundle);

#endif
