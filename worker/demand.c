#include "worker/demand.h"
#include "proto/base/clock.h"
#include "worker/attempt.h"
#include "worker/load.h"

#include <stdio.h>
#include <string.h>

#define OURS "periodic_" /* tags of periodic samples begin so */

static bool is_tag(const char *tag)
{
	for (const char *c = tag; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return tag[0] && strncmp(tag, OURS, strlen(OURS)) != 0;
}

static void end_by_lie(struct kt_attempt *attempt, const char *what)
{
	kt_attempt_end_with_advice(attempt, kt_attempt_lost(attempt), "the guest %s", what);
}

static void take(struct kt_attempt *attempt, uint32_t tag, uint64_t id, const char *name)
{
	struct kt_demand *demand = &attempt->demand;

	if (demand->tag) {
		end_by_lie(attempt, "asked for a second thing before the first was answered");
		return;
	}
	demand->tag = tag;
	demand->id = id;
	snprintf(demand->name, sizeof(demand->name), "%s", name);
}

void kt_demand_capture(struct kt_attempt *attempt, const struct kt_msg_guest_capture *capture)
{
	if (!is_tag(capture->tag))
		end_by_lie(attempt, "asked for a sample under a tag that no scenario may use");
	else
		take(attempt, KT_TAG_guest_capture, capture->id, capture->tag);
}

void kt_demand_scheduler(struct kt_attempt *attempt, const struct kt_msg_guest_scheduler *scheduler)
{
	if (scheduler->epoch < attempt->epoch) {
		end_by_lie(attempt, "spoke of a scheduler that was there before");
		return;
	}
	take(attempt, KT_TAG_guest_scheduler, scheduler->id, scheduler->name);
	attempt->demand.epoch = scheduler->epoch;
}

bool kt_demand_waits(const struct kt_attempt *attempt)
{
	return attempt->demand.tag != 0;
}

/* A scheduler that is there now is another one than before: in another epoch, with the watchdog that it brought. */
static void meet_scheduler(struct kt_attempt *attempt)
{
	const struct kt_demand *demand = &attempt->demand;

	attempt->epoch = demand->epoch;
	if (demand->name[0]) {
		attempt->has_scheduler = true;
		attempt->is_detached = false;
		attempt->load_sent = true;
		kt_attempt_event(attempt, &(struct kt_msg_moment){ .name = "enabled",
								   .detail = demand->name });
		kt_load_set_watchdog(attempt);
	} else if (attempt->has_scheduler) {
		attempt->has_scheduler = false;
		attempt->is_detached = true;
		kt_attempt_event(attempt, &(struct kt_msg_moment){
						  .name = "detached",
						  .detail = "the kernel's own takes over" });
	}
}

void kt_demand_serve(struct kt_attempt *attempt)
{
	struct kt_demand *demand = &attempt->demand;
	struct kt_msg_guest_seen seen = { .id = demand->id };
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_PROBE, 0);

	if (!demand->tag)
		return;
	if (demand->tag == KT_TAG_guest_capture)
		kt_sampling_capture(attempt, demand->name);
	else
		meet_scheduler(attempt);
	demand->tag = 0;
	if (!attempt->ending)
		kt_attempt_tell_guest(attempt, KT_TAG_guest_seen, &seen,
				      kt_clock_now_ns() + allowed_ns);
}
