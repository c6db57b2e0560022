#include "worker/guest/gwork.h"
#include "proto/base/must.h"

static const struct kt_gwork works[KT_WORK_N] = {
	[KT_WORK_ID_spin] = { kt_spin_round },
};

const struct kt_gwork *kt_gwork(enum kt_work_id id)
{
	kt_must(id < KT_WORK_N && works[id].round);
	return &works[id];
}
