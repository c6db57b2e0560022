#include "worker/guest/work.h"

#include <stddef.h>
#include <string.h>

static const struct kt_work works[] = {
	{ "spin", "uses its CPU without pause", kt_spin_round },
};

const struct kt_work *kt_work_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (strcmp(works[i].name, name) == 0)
			return &works[i];
	return NULL;
}
