#include "worker/guest/gask.h"

#include "proto/base/must.h"

#include <errno.h>

static uint64_t open_one(struct kt_gask *ask, int64_t now_ns)
{
	kt_must(!ask->is_open);
	ask->is_open = true;
	ask->due_ns = now_ns + KT_GASK_WAIT_NS;
	return ++ask->id;
}

void kt_gask_capture(struct kt_gask *ask, const char *tag, int64_t now_ns)
{
	struct kt_msg_guest_capture message = { .id = open_one(ask, now_ns), .tag = tag };

	ask->send(ask->arg, KT_TAG_guest_capture, &message);
}

void kt_gask_scheduler(struct kt_gask *ask, uint64_t epoch, const char *name, int64_t now_ns)
{
	struct kt_msg_guest_scheduler message = { .id = open_one(ask, now_ns),
						  .epoch = epoch,
						  .name = name };

	ask->send(ask->arg, KT_TAG_guest_scheduler, &message);
}

void kt_gask_seen(struct kt_gask *ask, uint64_t id)
{
	if (ask->id == id)
		ask->is_open = false;
}

int kt_gask_look(const struct kt_gask *ask, int64_t now_ns, struct kt_err *err)
{
	if (!ask->is_open)
		return 1;
	if (now_ns < ask->due_ns)
		return 0;
	return kt_err_set(err, KT_FAULT_PEER, ETIMEDOUT, "the host did not answer in %lld s",
			  KT_GASK_WAIT_NS / KT_NS_PER_S);
}
