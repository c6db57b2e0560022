/* shelf.h - which artifacts lie in the cache, as SYNC tells it: the newest used first, as many as fit. Pure.
 *
 * For the coordinator's preference only (coordinator/core/placement.h): an artifact that another worker of this host
 * threw away may stay here for a while, and costs a fetch.
 */
#ifndef KT_SHELF_H
#define KT_SHELF_H

#include "proto/base/digest.h"
#include "proto/base/limits.h"
#include "proto/codec.h"

struct kt_shelf {
	uint8_t told[KT_CACHED_TOLD_MAX][KT_CACHED_BYTES]; /* beginnings of digests */
	size_t n;
};

/* begins: KT_CACHED_BYTES of a digest. The oldest goes when there are too many. */
void kt_shelf_use(struct kt_shelf *shelf, const uint8_t *begins);
void kt_shelf_drop(struct kt_shelf *shelf, const uint8_t *begins);

struct kt_bin kt_shelf_tell(const struct kt_shelf *shelf); /* borrowed, for SYNC */

#endif
