/* overdue.h - when nobody believes any more that an attempt will end.
 *
 * A worker bounds every part of an attempt (proto/patience.h, proto/playtime.h) and ends it by itself. Who
 * lists a lease long after all of that has a worker that does not do its work: a disk that hangs, a guest
 * that cannot be killed. The bound is the sum of all parts on the slowest kind of host, twice.
 */
#ifndef KT_OVERDUE_H
#define KT_OVERDUE_H

#include "proto/schema.h"

/* Since the grant; at least minutes. Beside it the caller allows its own grace. */
int64_t kt_overdue_ns(const struct kt_msg_job *job);

/* An attempt that has ended and still delivers: so long after each piece that came. */
#define KT_OVERDUE_PIECE_NS (5 * 60 * KT_NS_PER_S)

#endif
