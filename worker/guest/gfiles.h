/* gfiles.h - files that the host sends, written below /kt and nowhere else. */
#ifndef KT_GFILES_H
#define KT_GFILES_H

#include "proto/schema.h"

#define KT_GFILES_ROOT "/kt"

struct kt_gfiles {
	int fd; /* of the file that is coming, -1 between two */
	uint64_t left; /* bytes still to come */
	uint64_t total; /* bytes of all files so far, at most KT_FILE_BYTES_MAX */
	bool is_skipping; /* the last one failed: its pieces on the way are dropped silently */
};

/* Pure: absolute, below KT_GFILES_ROOT, no "." or ".." or empty component. */
bool kt_gfiles_path_ok(const char *path);

/* Opens the file, making its folders. 1 when it is complete already (no bytes), 0 when pieces follow.
 * Symbolic links on the way are refused by the kernel (openat2). Fault PEER for what the host should
 * not have asked, GUEST when there is no room.
 */
int kt_gfiles_begin(struct kt_gfiles *files, const struct kt_msg_guest_file *file,
		    struct kt_err *err);
/* 1 when the file is complete, 0 when more must come. */
int kt_gfiles_data(struct kt_gfiles *files, const struct kt_bin *body, struct kt_err *err);

#endif
