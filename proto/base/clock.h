/* clock.h - time is int64_t nanoseconds of one named clock.
 *
 * Leases and deadlines use the boot-time clock (it goes on while the machine sleeps and never jumps
 * with the wall clock). The wall clock is only ever shown to people. Only the hands call these:
 * the cores get "now" with their input.
 */
#ifndef KT_CLOCK_H
#define KT_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t kt_clock_now_ns(void); /* CLOCK_BOOTTIME */
int64_t kt_clock_wall_ns(void); /* CLOCK_REALTIME, since 1970 */

/* Adds without overflow (saturates at INT64_MAX). */
int64_t kt_clock_add_ns(int64_t at_ns, int64_t span_ns);

#endif
