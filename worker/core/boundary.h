/* boundary.h - when the periodic samples of a scenario are due (semantics.md section 2).
 *
 *	avail = end - start;  pre = avail / 10;  window = avail - 2 * pre
 *	boundary_i = start + pre + window * (i + 1) / (n + 1)        for i in 0 .. n - 1
 *
 * All truncating integer nanoseconds of workload time, 128 bits in between.
 */
#ifndef KT_BOUNDARY_H
#define KT_BOUNDARY_H

#include <stddef.h>
#include <stdint.h>

/* How many of the n boundaries exist: n, or 0 when n = 0, end <= start or the window is too short. */
size_t kt_boundary_count(int64_t start_ns, int64_t end_ns, size_t n);
/* The moment of boundary i < kt_boundary_count(start_ns, end_ns, n). */
int64_t kt_boundary_at_ns(int64_t start_ns, int64_t end_ns, size_t n, size_t i);

#endif
