#include "proto/cause.h"
#include "proto/base/must.h"

#include <string.h>

static const struct kt_cause causes[] = {
#define KT_CAUSE(name_, side_, advice_) { KT_CAUSE_ID_##name_, #name_, KT_CAUSE_##side_, advice_ },
#include "proto/causes.def"
};

const struct kt_cause *kt_cause(enum kt_cause_id id)
{
	kt_must(id >= 0 && id < KT_CAUSE_ID_N);
	return &causes[id];
}

const struct kt_cause *kt_cause_by_name(const char *name)
{
	for (size_t i = 0; i < KT_CAUSE_ID_N; i++)
		if (strcmp(causes[i].name, name) == 0)
			return &causes[i];
	return NULL;
}
