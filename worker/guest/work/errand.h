/* errand.h - one of a team sends all others with one wake-up, and may wait for their answers. */
#ifndef KT_ERRAND_H
#define KT_ERRAND_H

#include "worker/guest/gself.h"

struct kt_errand {
	atomic_uint round;
	atomic_uint answers; /* to this round */
	_Atomic int64_t sent_ns;
	_Atomic int64_t answered_ns; /* the last one */
};

void kt_errand_send(struct kt_errand *errand);
/* *seen: the round that this one has heard of, 0 at first. False when there was no new one in time. */
bool kt_errand_hear(struct kt_gself *self, struct kt_errand *errand, unsigned int *seen);
void kt_errand_answer(struct kt_gself *self, struct kt_errand *errand);
/* False when not all have answered in time: one may be starved or dead, and is left behind. */
bool kt_errand_wait(struct kt_gself *self, struct kt_errand *errand);

#endif
