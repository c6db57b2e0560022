/* expand.h - the arithmetic of a product: number <-> one choice per axis, nothing listed.
 *
 * The last axis runs fastest, like the digits of a number with mixed bases.
 */
#ifndef KT_EXPAND_H
#define KT_EXPAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *count = product of sizes; false when that is more than max. An empty axis makes it 0. */
bool kt_expand_count(const uint64_t *sizes, size_t n_axes, uint64_t max, uint64_t *count);

/* index < product of sizes; at[i] < sizes[i]. */
void kt_expand_split(const uint64_t *sizes, size_t n_axes, uint64_t index, uint64_t *at);

uint64_t kt_expand_join(const uint64_t *sizes, size_t n_axes, const uint64_t *at);

#endif
