/* initramfs.h - the generic initramfs: ktguest as /init, a console to speak to, nothing of any job. */
#ifndef KT_INITRAMFS_H
#define KT_INITRAMFS_H

#include "proto/base/digest.h"

/* A newc archive in a memfd that any user may read; no file, so nothing to cache or to clean up (2 ms).
 * *fd is the caller's. Fault HOST.
 */
int kt_initramfs_make(const char *ktguest, int *fd, struct kt_err *err);
/* Of the whole archive: of ktguest and of all that stands beside it. */
int kt_initramfs_digest(const char *ktguest, struct kt_digest *digest, struct kt_err *err);

#endif
