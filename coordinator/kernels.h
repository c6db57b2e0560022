/* kernels.h - kernel images: resolved, fetched, checked, recorded and kept.
 *
 * A kernel is named by a Debian suite and package, or by a path. A Debian one is resolved through the
 * machine's own apt configuration in a private apt root (aptroot.h): nothing of the system changes
 * and apt's signature checks hold. What was fetched is kept by content:
 *
 *	<state>/kernels/<digest>/vmlinuz   (the whole layout: kernelstore.h)
 *
 * A resolution is used again for KT_KERNELS_FRESH_NS without asking apt. When apt cannot be reached
 * and a kernel is cached, progress says so in one line and the cached one is used. Processes that
 * share a state folder take turns through flock(2) on <state>/kernels/lock: two at once fetch once.
 *
 * Everything here blocks, up to minutes when something is fetched: call it before the loop runs or
 * from a process of its own. Faults: INPUT for a suite, package, path or image that is wrong (never
 * worth a retry), HOST for network, disk, time-outs and missing programs.
 */
#ifndef KT_KERNELS_H
#define KT_KERNELS_H

#include "proto/base/digest.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define KT_KERNELS_FRESH_NS          (24LL * 3600 * KT_NS_PER_S) /* a resolution is not asked again */
#define KT_KERNELS_IMAGE_BYTES_MAX   (512ull << 20) /* a vmlinux without debug info is 60 MiB */
#define KT_KERNELS_VERSION_BYTES_MAX 128

/* Does the kernel know sched_ext? From CONFIG_SCHED_CLASS_EXT in the package's config file. */
enum kt_kernels_ext {
	KT_KERNELS_EXT_UNKNOWN, /* no config file came with the image */
	KT_KERNELS_EXT_NO,
	KT_KERNELS_EXT_YES,
};

/* Either path, or suite and package; the strings are borrowed for the call. */
struct kt_kernels_source {
	const char *suite; /* "sid", "trixie-backports" */
	const char *package; /* "linux-image-cloud-amd64"; NULL means that */
	const char *path; /* of a bzImage or an ELF vmlinux */
	bool refresh; /* ask apt even when a fresh resolution is there */
};

struct kt_kernels_image {
	char path[PATH_MAX]; /* absolute; in the cache, or the path given */
	char version
		[KT_KERNELS_VERSION_BYTES_MAX]; /* the kernel's release, "7.2.13-cloud-amd64"; "" when
						     * a path's image does not tell */
	char package
		[KT_NAME_BYTES_MAX]; /* the package it came out of, with its version behind '='; "" */
	struct kt_digest digest; /* of the image's bytes */
	uint64_t bytes;
	int64_t resolved_at_ns; /* wall clock, since 1970; 0 for a path */
	enum kt_kernels_ext has_sched_ext;
	bool offline; /* apt could not be asked: this is the newest that is cached */
};

/* One line for people, no newline at its end; at least every 2 s while something is under way. */
typedef void kt_kernels_progress(void *arg, const char *line);

/* Fills image. progress may be NULL. A path is opened and checked (kind, completeness), never
 * copied. On failure image is all zero.
 */
int kt_kernels_get(const char *state_dir, const struct kt_kernels_source *source,
		   kt_kernels_progress *progress, void *arg, struct kt_kernels_image *image,
		   struct kt_err *err);

/* The same for what somebody types: a file ('/' or '.' in front, or one of that name is here); a name, a release or
 * the beginning of a digest, as `ktcoord kernels list` shows them; a Debian suite, or suite/package.
 */
int kt_kernels_find(const char *state_dir, const char *word, kt_kernels_progress *progress,
		    void *arg, struct kt_kernels_image *image, struct kt_err *err);

/* "yes", "no", "unknown" */
const char *kt_kernels_ext_name(enum kt_kernels_ext ext);

/* The commands behind `ktcoord kernels`: their result goes to out, as text for people or as JSON.
 * `which` in remove is a name as list prints it ("sid/linux-image-cloud-amd64", or the name given to
 * add) or at least 8 digits of a digest.
 */
int kt_kernels_command_get(const char *state_dir, const struct kt_kernels_source *source, bool json,
			   kt_kernels_progress *progress, void *arg, FILE *out, struct kt_err *err);
int kt_kernels_command_list(const char *state_dir, bool json, FILE *out, struct kt_err *err);
/* Copies the image at path into the cache under a name of the user's choice. */
int kt_kernels_command_add(const char *state_dir, const char *name, const char *path, bool json,
			   FILE *out, struct kt_err *err);
int kt_kernels_command_remove(const char *state_dir, const char *which, bool json, FILE *out,
			      struct kt_err *err);

#endif
