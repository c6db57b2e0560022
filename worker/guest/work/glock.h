/* glock.h - a lock that a team's members share: a futex, which may hand its waiter's priority on. */
#ifndef KT_GLOCK_H
#define KT_GLOCK_H

#include "worker/guest/gself.h"

struct kt_glock {
	atomic_uint
		word; /* 0 free, 1 taken, 2 taken and waited for; with inheritance as futex(2) says */
	_Atomic int64_t freed_ns; /* when it was last given back */
};

/* False when it was not given back in time: its owner may be starved or dead. */
bool kt_glock_take(struct kt_gself *self, struct kt_glock *lock, bool inherit);
void kt_glock_free(struct kt_glock *lock, bool inherit);

#endif
