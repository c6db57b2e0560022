#include "worker/guest/gwork.h"

/* About 0.1 ms on hardware, 0.5 ms under TCG: short enough to see when it was not run. */
#define STEPS 50000

static uint64_t round_of(struct kt_gself *self)
{
	kt_gself_burn(self, STEPS);
	return 1;
}

const struct kt_gwork kt_spin_work = { .round = round_of };
