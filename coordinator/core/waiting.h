/* waiting.h - cells that wait for a host: what the dispatch tells of them. Who gets which is placement.h's affair. */
#ifndef KT_WAITING_H
#define KT_WAITING_H

#include "coordinator/core/fleet.h"
#include "coordinator/core/out.h"

struct kt_dispatch;

void kt_waiting_add(struct kt_dispatch *d, uint64_t cell, int64_t ready_at_ns);

/* Tells those who have room of what became ready. Says what no host can run, and gives it up after a while. */
void kt_waiting_tick(struct kt_dispatch *d, struct kt_out *out);

#endif
