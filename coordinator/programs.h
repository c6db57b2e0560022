/* programs.h - the programs that a sweep sends into its guests: each packed once (bundle.h), each in a folder
 * of its own there, so that schedulers and payloads never overwrite one another.
 *
 *	KT_PROGRAMS_ROOT/<file name>      and .2, .3, ... when another program has that name
 */
#ifndef KT_PROGRAMS_H
#define KT_PROGRAMS_H

#include "coordinator/artifacts.h"
#include "coordinator/core/matrix/payloadkeys.h"

#include <limits.h>

#define KT_PROGRAMS_ROOT KT_PAYLOADKEYS_PROGRAMS

struct kt_program {
	struct kt_program *next;
	const char *path; /* on this machine */
	const char *root; /* in the guest */
	struct kt_msg_arg *args; /* how the guest starts it; the user's come behind */
	size_t n_args;
	struct kt_msg_file *files; /* the program and every library it needs */
	size_t n_files;
	const char
		*library_path; /* where its libraries are in the guest; "" for a static program */
};

struct kt_programs { /* begins zeroed but for these two, which are borrowed */
	struct kt_artifacts *artifacts; /* NULL: nothing is kept, only looked for (`plan`) */
	struct kt_arena *arena; /* of everything that is packed */
	struct kt_program *first;
};

/* "/a/b" is that file; "a/b" stands beside; "b" too, or is ours (bin_dir), or is on PATH. False: there is none. */
bool kt_programs_find(const char *name, const char *beside, const char *bin_dir,
		      char path[PATH_MAX]);

/* A program that was packed before is the same one. Errors as of kt_bundle_collect() and kt_artifacts_add(). */
int kt_programs_pack(struct kt_programs *programs, const char *path,
		     const struct kt_program **program, struct kt_err *err);

/* Any other file for the guest. */
int kt_programs_add_file(struct kt_programs *programs, const char *path, const char *guest_path,
			 uint64_t mode, struct kt_msg_file *file, struct kt_err *err);

#endif
