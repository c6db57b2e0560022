#include "worker/guest/gwork.h"

#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64 /* of one round */

struct walk {
	size_t at;
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	int status = kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_page_fault_bytes], err);

	if (status == 0) /* a huge page would be one fault for 512 */
		madvise(self->memory, self->memory_bytes, MADV_NOHUGEPAGE);
	return status;
}

/* Gives back before it takes again, so that the pages of the last sweep are there to be counted. */
static uint64_t round_of(struct kt_gself *self)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile char *memory = self->memory;
	struct walk *walk = self->state;

	for (int i = 0; i < PAGES; i++) {
		if (walk->at == 0 && madvise(self->memory, self->memory_bytes, MADV_DONTNEED) < 0)
			return 0;
		memory[walk->at] = 1;
		walk->at = walk->at + page < self->memory_bytes ? walk->at + page : 0;
	}
	kt_gself_run(self, self->params[KT_WORK_PARAM_page_fault_run]);
	return 1;
}

const struct kt_gwork kt_page_fault_work = {
	.state_bytes = sizeof(struct walk),
	.begin = begin,
	.round = round_of,
};
