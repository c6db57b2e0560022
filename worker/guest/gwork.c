#include "worker/guest/gwork.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <inttypes.h>

static const struct kt_gwork *const works[KT_WORK_N] = {
#define KT_WORK(name_, size_, by_, sentence_) &kt_##name_##_work,
#define KT_WORK_PARAM(work_, name_, unit_, default_, min_, max_, sentence_)
#include "proto/work.def"
};

const struct kt_gwork *kt_gwork(enum kt_work_id id)
{
	kt_must(id < KT_WORK_N);
	return works[id];
}

int kt_gwork_begin(const struct kt_gwork *work, struct kt_gself *self, struct kt_err *err)
{
	int status = 0;

	self->state = kt_must_calloc(1, work->state_bytes + 1);
	if (work->begin)
		status = work->begin(self, err);
	if (status < 0)
		kt_gwork_end(work, self);
	return status;
}

void kt_gwork_end(const struct kt_gwork *work, struct kt_gself *self)
{
	if (work->end)
		work->end(self);
	kt_gself_unmap(self);
	kt_own_free(&self->state);
}

int kt_gwork_params(const struct kt_work *work, const struct kt_msg_param *params, size_t n,
		    int64_t values[KT_WORK_PARAM_N], struct kt_err *err)
{
	for (size_t i = 0; i < KT_WORK_PARAM_N; i++)
		values[i] = kt_work_params[i].value;
	for (size_t i = 0; i < n; i++) {
		const struct kt_work_param *param = kt_work_param_by_name(work, params[i].name);

		if (!param)
			return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%s has no parameter %.100s",
					  work->name, params[i].name);
		if (params[i].value < param->min || params[i].value > param->max)
			return kt_err_set(err, KT_FAULT_PEER, ERANGE,
					  "%s of %s is %" PRId64 ": from %" PRId64 " to %" PRId64,
					  param->name, work->name, params[i].value, param->min,
					  param->max);
		values[param - kt_work_params] = params[i].value;
	}
	return 0;
}

uint32_t kt_gwork_team_size(const struct kt_work *work, const int64_t values[KT_WORK_PARAM_N])
{
	const struct kt_work_param *by = NULL;

	if (*work->by)
		by = kt_work_param_by_name(work, work->by);
	return (uint32_t)kt_work_group_size(work, by ? values[by - kt_work_params] : 0);
}
