/* safefile.h - small files that decide whom we trust: a key pair, the allow-list.
 *
 * They are read only when nobody else could have read (or changed) them, and written so that they are
 * there whole or not at all, whenever we are killed and whenever power is lost. All block.
 */
#ifndef KT_SAFEFILE_H
#define KT_SAFEFILE_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <sys/types.h>

enum kt_safefile_kind {
	KT_SAFEFILE_SECRET, /* mode 0600: nobody else may read it */
	KT_SAFEFILE_TRUSTED, /* mode 0644: nobody else may write it */
};

/* The whole file, at most bytes_max (larger: -EFBIG). A regular file, no symbolic link, owned by us or by root;
 * -EINVAL otherwise. Faults: INPUT; HOST when reading breaks. *mode is for kt_safefile_guard(). The bytes are in one
 * allocation that kt_safefile_wipe() clears.
 */
int kt_safefile_read(const char *path, size_t bytes_max, struct kt_buf *bytes, mode_t *mode,
		     struct kt_err *err);
/* -EPERM, fault INPUT, with the chmod that mends it, when others have a right to it that they must not have. */
int kt_safefile_guard(const char *path, mode_t mode, enum kt_safefile_kind kind,
		      struct kt_err *err);
/* replace: one of that name is replaced; else -EEXIST, fault INPUT, and that one stays. */
int kt_safefile_write(const char *path, enum kt_safefile_kind kind, bool replace, const void *bytes,
		      size_t len, struct kt_err *err);
/* Overwrites what was in there, then frees it. */
void kt_safefile_wipe(struct kt_buf *bytes);

#endif
