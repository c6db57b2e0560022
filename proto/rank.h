/* rank.h - percentiles by nearest rank (semantics.md section 6): sorted[clamp(ceil(n * p) - 1, 0, n - 1)].
 *
 * Shares are millionths, so that 99% of 100 is 99 and not a double beside it. Pure.
 */
#ifndef KT_RANK_H
#define KT_RANK_H

#include <stddef.h>
#include <stdint.h>

#define KT_RANK_PPM 1000000u /* 100% */

size_t kt_rank_index(size_t n, uint32_t ppm); /* n > 0 */
/* What would stand at index if the values were sorted: in O(n), as a rule. They are reordered. */
int64_t kt_rank_select(int64_t *values, size_t n, size_t index);
/* Both in one. 0 of no values. */
int64_t kt_rank_of(int64_t *values, size_t n, uint32_t ppm);

#endif
