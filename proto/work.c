#include "proto/work.h"
#include "proto/base/must.h"

#include <string.h>

const struct kt_work kt_work[KT_WORK_N] = {
#define KT_WORK(name_, size_, by_, sentence_) { KT_WORK_ID_##name_, #name_, size_, by_, sentence_ },
#define KT_WORK_PARAM(work_, name_, unit_, default_, min_, max_, sentence_)
#include "proto/work.def"
};

const struct kt_work_param kt_work_params[KT_WORK_PARAM_N + 1] = {
#define KT_WORK(name_, size_, by_, sentence_)
#define KT_WORK_PARAM(work_, name_, unit_, default_, min_, max_, sentence_) \
	{ KT_WORK_ID_##work_, #name_, KT_WORK_##unit_, default_, min_, max_, sentence_ },
#include "proto/work.def"
	{ .work = KT_WORK_N },
};

const struct kt_work *kt_work_by_name(const char *name)
{
	for (size_t i = 0; i < KT_WORK_N; i++)
		if (strcmp(kt_work[i].name, name) == 0)
			return &kt_work[i];
	return NULL;
}

const struct kt_work_param *kt_work_params_of(const struct kt_work *work, size_t *n)
{
	const struct kt_work_param *first = NULL;

	*n = 0;
	for (const struct kt_work_param *param = kt_work_params; param->work != KT_WORK_N;
	     param++) {
		if (param->work != work->id)
			continue;
		if (!first)
			first = param;
		kt_must(first + *n == param); /* they stand together */
		(*n)++;
	}
	return first;
}

const struct kt_work_param *kt_work_param_by_name(const struct kt_work *work, const char *name)
{
	size_t n;
	const struct kt_work_param *params = kt_work_params_of(work, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(params[i].name, name) == 0)
			return &params[i];
	return NULL;
}

uint64_t kt_work_group_size(const struct kt_work *work, int64_t by_value)
{
	uint64_t size = work->size;

	if (work->by[0])
		size += (uint64_t)(by_value > 0 ? by_value : 0);
	return size ? size : 1;
}

/* size is then how many lead, and `by` counts those that are led. */
bool kt_work_has_roles(const struct kt_work *work)
{
	return work->size > 0 && work->by[0];
}

const char *kt_work_unit_name(enum kt_work_unit unit)
{
	static const char *const names[] = {
		[KT_WORK_NS] = "ns",
		[KT_WORK_BYTES] = "bytes",
		[KT_WORK_COUNT] = "count",
		[KT_WORK_PERCENT] = "percent",
	};

	return names[unit];
}
