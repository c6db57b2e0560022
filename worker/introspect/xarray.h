/* xarray.h - the entries of a kernel xarray (include/linux/xarray.h) in guest memory, in order of index.
 *
 * An entry whose two lowest bits are 2 and which is above 4096 points (minus 2) to a node of up to 64
 * slots; other internal and value entries are skipped. Nothing in there is trusted: the shift must fall
 * with every step down, and only so many nodes are visited.
 */
#ifndef KT_XARRAY_H
#define KT_XARRAY_H

#include "worker/introspect/klayout.h"
#include "worker/introspect/pagewalk.h"

#define KT_XARRAY_NODES_MAX 4096 /* visited in one walk */

struct kt_xarray_entry {
	uint64_t index;
	uint64_t pointer;
};

/* Fills entries (at most max), *n of them; *more when there were others. -EFAULT when the top cannot be
 * read; a node below that cannot be read, or lies, is left out and sets *more.
 */
int kt_xarray_collect(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
		      uint64_t head_va, struct kt_xarray_entry *entries, size_t max, size_t *n,
		      bool *more);

#endif
