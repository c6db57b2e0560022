#include "worker/guest/gwork.h"

/* About 0.1 ms on hardware, 0.5 ms under TCG: short enough to see when it was not run. */
#define STEPS 50000

void kt_spin_round(struct kt_gwork_self *self)
{
	uint64_t x = self->random | 1;

	for (int i = 0; i < STEPS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		__asm__ volatile("" : "+r"(x)); /* the compiler must not see through it */
	}
	self->random = x;
}
