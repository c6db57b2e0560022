/* gmem.h - guest-physical memory for the modules of this folder (opening it: introspect.h).
 *
 * Of a file one looks at the file itself: the guest may change it under one's eyes. Of a process one looks at
 * copies, and all looks between two refreshes see the same (remote.h). So nobody may count on either: whoever
 * checks a value first copies it, and whoever wants news refreshes.
 */
#ifndef KT_GMEM_H
#define KT_GMEM_H

#include "worker/introspect/introspect.h"

#define KT_GMEM_PAGE       4096u
#define KT_GMEM_GATHER_MAX 256

/* len bytes, which must lie within one page; NULL when they are no RAM, or cannot be read. Valid until the
 * next call.
 */
const uint8_t *kt_gmem_at(struct kt_gmem *gmem, uint64_t gpa, size_t len);

/* 0, or -EFAULT when not all of it is there; a part may have been read or written then. */
int kt_gmem_read(struct kt_gmem *gmem, uint64_t gpa, void *into, size_t len);
int kt_gmem_write(struct kt_gmem *gmem, uint64_t gpa, const void *from, size_t len);

/* Does RAM hold these bytes in one run? */
bool kt_gmem_holds(const struct kt_gmem *gmem, uint64_t gpa, size_t len);

/* Reads len bytes at each of n addresses (KT_GMEM_GATHER_MAX at most), one behind the other into `into`, at
 * once and as they are now. Zeroes where RAM does not hold them in one run.
 */
void kt_gmem_gather(struct kt_gmem *gmem, const uint64_t *gpas, size_t n, size_t len,
		    uint8_t *into);

/* The highest guest-physical address that can be RAM, plus one. */
uint64_t kt_gmem_end(const struct kt_gmem *gmem);

#endif
