#include "worker/monitor.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "worker/attempt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

/* An attempt whose scenario runs, and whose guest's memory nobody may read. */
static struct kt_attempt *running(void)
{
	struct kt_attempt *attempt = kt_must_calloc(1, sizeof(*attempt));

	attempt->phase = KT_ATTEMPT_RUN;
	attempt->started = true;
	attempt->cpus = 2;
	attempt->capture.anchor_ns = kt_clock_now_ns();
	attempt->vm.child.pid = getpid();
	kt_err_set(&attempt->capture.unreadable, KT_FAULT_HOST, EPERM, "not on this host");
	return attempt;
}

static void drop(struct kt_attempt *attempt)
{
	kt_monitor_destroy(&attempt->monitor);
	kt_arena_destroy(&attempt->arena);
	free(attempt);
}

Test(monitor, it_is_due_from_the_anchor_to_the_end)
{
	struct kt_attempt *attempt = running();

	cr_assert_eq(kt_monitor_due_ns(attempt), attempt->capture.anchor_ns, "at the anchor");
	attempt->monitor.next_ns = 300 * KT_NS_PER_MS;
	attempt->capture.frozen_ns = 7;
	cr_assert_eq(kt_monitor_due_ns(attempt),
		     attempt->capture.anchor_ns + 7 + 300 * KT_NS_PER_MS,
		     "in workload time: freezes do not count");
	attempt->started = false;
	cr_assert_eq(kt_monitor_due_ns(attempt), INT64_MAX);
	attempt->started = true;
	attempt->finished = true;
	cr_assert_eq(kt_monitor_due_ns(attempt), INT64_MAX);
	attempt->finished = false;
	attempt->ending = true;
	cr_assert_eq(kt_monitor_due_ns(attempt), INT64_MAX);
	attempt->ending = false;
	attempt->phase = KT_ATTEMPT_DRAIN;
	cr_assert_eq(kt_monitor_due_ns(attempt), INT64_MAX);
	drop(attempt);
}

Test(monitor, memory_that_cannot_be_read_is_said)
{
	struct kt_attempt *attempt = running();
	struct kt_msg_monitor_report *report;

	cr_assert_null(kt_monitor_report(attempt), "it never began");
	kt_monitor_look(attempt);
	report = kt_monitor_report(attempt);
	cr_assert(report);
	cr_assert_eq(report->looks, 0);
	cr_assert_str_eq(report->error, "not on this host");
	cr_assert_eq(kt_monitor_due_ns(attempt), INT64_MAX, "and not tried again");
	drop(attempt);
}

Test(monitor, what_is_not_due_is_not_looked_at)
{
	struct kt_attempt *attempt = running();

	attempt->monitor.next_ns = 3600 * KT_NS_PER_S;
	kt_monitor_look(attempt);
	cr_assert(!attempt->monitor.began);
	drop(attempt);
}
