/* kernelstore.h - the folder where kernel images are kept by content, and what is known of each.
 *
 *	<state>/kernels/<digest>/vmlinuz      read-only
 *	<state>/kernels/<digest>/record.json  struct kt_kernelstore_record
 *	<state>/kernels/names/<name>.json     struct kt_kernelstore_name; '/' in a name is '_' in its file
 *	<state>/kernels/lock                  flock(2): who changes something holds it
 *
 * Files appear whole or not at all (written beside, fsync, rename), so readers need no lock.
 */
#ifndef KT_KERNELSTORE_H
#define KT_KERNELSTORE_H

#include "proto/base/digest.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#include <limits.h>
#include <stdint.h>

#define KT_KERNELSTORE_RECORD_BYTES_MAX (64u << 10)
#define KT_KERNELSTORE_NAMES_MAX        4096
#define KT_KERNELSTORE_LOCK_NS          (1200 * KT_NS_PER_S) /* how long another may hold it */

/* Of one image. Texts are "" when not known. */
struct kt_kernelstore_record {
	struct kt_digest digest;
	uint64_t bytes;
	char release[KT_NAME_BYTES_MAX]; /* "7.2.13+deb14-cloud-amd64" */
	char suite[KT_NAME_BYTES_MAX]; /* where it was first found */
	char package[KT_NAME_BYTES_MAX]; /* the one that held the image */
	char package_version[KT_NAME_BYTES_MAX];
	char deb_sha256[KT_DIGEST_HEX_BYTES];
	int sched_ext; /* enum kt_kernels_ext */
	int64_t fetched_at_ns; /* wall clock */
};

/* "sid/linux-image-cloud-amd64", or what the user called an added image. */
struct kt_kernelstore_name {
	char name[2 * KT_NAME_BYTES_MAX];
	struct kt_digest digest;
	int64_t resolved_at_ns; /* wall clock */
};

/* 1 lower-case word, or two with a '/' between them ([a-z0-9][a-z0-9.+-]*). */
int kt_kernelstore_check_name(const char *name, struct kt_err *err);

/* JSON, and back. Reading refuses what is too long, missing or of another type, fault HOST. */
char *kt_kernelstore_record_text(const struct kt_kernelstore_record *record);
int kt_kernelstore_record_parse(const char *text, struct kt_kernelstore_record *record,
				struct kt_err *err);
char *kt_kernelstore_name_text(const struct kt_kernelstore_name *name);
int kt_kernelstore_name_parse(const char *text, struct kt_kernelstore_name *name,
			      struct kt_err *err);

struct kt_kernelstore {
	char folder[PATH_MAX - 256]; /* <state>/kernels, absolute */
	int lock_fd; /* -1: not held */
};

/* Makes the folders when they are missing. */
int kt_kernelstore_open(const char *state_dir, struct kt_kernelstore *store, struct kt_err *err);
/* Waits for the lock; waiting (may be NULL) is called about every 1.5 s. */
int kt_kernelstore_lock(struct kt_kernelstore *store, void (*waiting)(void *arg), void *arg,
			struct kt_err *err);
void kt_kernelstore_close(struct kt_kernelstore *store); /* lets the lock go */

/* -ENOENT when there is none. */
int kt_kernelstore_find_name(const struct kt_kernelstore *store, const char *name,
			     struct kt_kernelstore_name *found, struct kt_err *err);
/* The record, after the image's bytes were digested again: a damaged image is -EBADMSG. */
int kt_kernelstore_find_image(const struct kt_kernelstore *store, const struct kt_digest *digest,
			      struct kt_kernelstore_record *record, char path[PATH_MAX],
			      struct kt_err *err);
/* The image that came out of that .deb; -ENOENT when there is none. */
int kt_kernelstore_find_deb(const struct kt_kernelstore *store, const char *deb_sha256,
			    struct kt_kernelstore_record *record, struct kt_err *err);

/* What follows changes the folder: under the lock. */

/* A new file for an image; kt_kernelstore_keep takes it over under its digest, and the record. */
int kt_kernelstore_draft(const struct kt_kernelstore *store, int *fd, char path[PATH_MAX],
			 struct kt_err *err);
int kt_kernelstore_keep(const struct kt_kernelstore *store, const char *draft_path, int fd,
			const struct kt_kernelstore_record *record, struct kt_err *err);
int kt_kernelstore_set_name(const struct kt_kernelstore *store,
			    const struct kt_kernelstore_name *name, struct kt_err *err);
/* Removes a name, and the image when no other name leads to it. */
int kt_kernelstore_remove_name(const struct kt_kernelstore *store, const char *name,
			       struct kt_err *err);
/* Removes an image and every name that leads to it. */
int kt_kernelstore_remove_image(const struct kt_kernelstore *store, const struct kt_digest *digest,
				struct kt_err *err);

/* Every name, sorted; images without one have name "". The caller frees *names. */
int kt_kernelstore_list(const struct kt_kernelstore *store, struct kt_kernelstore_name **names,
			size_t *n, struct kt_err *err);

#endif
