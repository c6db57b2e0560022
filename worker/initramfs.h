/* initramfs.h - the generic initramfs: ktguest as /init, a console to speak to, nothing of any job. */
#ifndef KT_INITRAMFS_H
#define KT_INITRAMFS_H

#include "proto/base/err.h"

/* A newc archive in a memfd that any user may read; no file, so nothing to cache or to clean up (2 ms).
 * *fd is the caller's. Fault HOST.
 */
int kt_initramfs_make(const char *ktguest, int *fd, struct kt_err *err);

#endif
