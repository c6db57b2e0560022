#include "worker/guest/gwork.h"

#define CHAINS_MAX 8
#define STEPS      20000

/* A chain is as slow as one multiplier's latency; several beside one another fill its pipeline. */
static uint64_t round_of(struct kt_gself *self)
{
	uint64_t x[CHAINS_MAX];
	int64_t n = self->params[KT_WORK_PARAM_alu_chains];

	for (int64_t c = 0; c < n; c++)
		x[c] = kt_gself_draw(self);
	for (int i = 0; i < STEPS; i++) {
		for (int64_t c = 0; c < n; c++) {
			x[c] = x[c] * 6364136223846793005u + 1442695040888963407u;
			__asm__ volatile("" : "+r"(x[c]));
		}
	}
	self->random = x[0];
	return 1;
}

const struct kt_gwork kt_alu_work = { .round = round_of };
