/* gmem.h - guest-physical memory for the modules of this folder (opening it: introspect.h).
 *
 * Nothing returned stays true: the guest may run. Whoever checks a value first copies it.
 */
#ifndef KT_GMEM_H
#define KT_GMEM_H

#include "worker/introspect/introspect.h"

/* len bytes at a guest-physical address; NULL when RAM does not hold all of them in one run. */
uint8_t *kt_gmem_at(const struct kt_gmem *gmem, uint64_t gpa, size_t len);

/* The highest guest-physical address that can be RAM, plus one. */
uint64_t kt_gmem_end(const struct kt_gmem *gmem);

#endif
