#include "worker/guest/gwork.h"

#include <sched.h>

static uint64_t round_of(struct kt_gself *self)
{
	(void)self;
	sched_yield();
	return 1;
}

const struct kt_gwork kt_yield_work = { .round = round_of };
