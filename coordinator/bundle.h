/* bundle.h - a program and every library it needs, found as ld.so(8) would find them.
 *
 * DT_NEEDED is walked with libelf, breadth first: DT_RPATH / DT_RUNPATH (with $ORIGIN), the loader's
 * default folders and those of /etc/ld.so.conf.d. The interpreter is part of the bundle. In the guest
 * everything stands below /kt: the program as /kt/bin/<name>, libraries and the interpreter as
 * /kt/lib/<name>; a dynamic program is started through its interpreter with --library-path, so that
 * the guest needs no layout of its own.
 */
#ifndef KT_BUNDLE_H
#define KT_BUNDLE_H

#include "proto/base/err.h"

#include <stddef.h>

struct kt_bundle_file {
	char *host_path;
	char *guest_path;
};

struct kt_bundle {
	struct kt_bundle_file *files; /* the program first */
	size_t n; /* at most KT_FILES_MAX */
	const char *args[4]; /* how the guest starts it; what the user adds comes behind */
	size_t n_args;
};

/* Fault INPUT when it is no x86-64 ELF program, or a library cannot be found. Blocks. */
int kt_bundle_collect(const char *program, struct kt_bundle *bundle, struct kt_err *err);
void kt_bundle_destroy(struct kt_bundle *bundle);

#endif
