/* gtime.h - the guest's clock: CLOCK_MONOTONIC. Stands still while the guest is frozen. */
#ifndef KT_GTIME_H
#define KT_GTIME_H

#include <stdint.h>

int64_t kt_gtime_now_ns(void);

#endif
