#include "worker/monitor.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "worker/attempt.h"
#include "worker/vcputime.h"

#include <string.h>

_Static_assert(KT_LOOKS_EVENTS >= KT_INTROSPECT_EVENTS_MAX, "a place for each counter");

int64_t kt_monitor_due_ns(const struct kt_attempt *attempt)
{
	if (attempt->phase != KT_ATTEMPT_RUN || !attempt->started || attempt->finished ||
	    attempt->ending || attempt->monitor.ended)
		return INT64_MAX;
	return kt_capture_at_ns(&attempt->capture, attempt->monitor.next_ns);
}

static void begin(struct kt_attempt *attempt)
{
	struct kt_monitor *monitor = &attempt->monitor;
	const char *names[KT_LOOKS_EVENTS];
	size_t n = 0;

	monitor->began = true;
	for (; attempt->introspect && n < kt_introspect_n_events(attempt->kernel); n++)
		names[n] = kt_introspect_event(attempt->kernel, n, &attempt->arena);
	kt_looks_init(&monitor->looks, names, n);
	monitor->vcputime = kt_vcputime_open(attempt->vm.child.pid, attempt->cpus);
	if (attempt->introspect)
		return;
	monitor->err = attempt->capture.unreadable;
	monitor->ended = true;
}

/* Nothing runs there, and nothing could. */
static bool is_idle(const struct kt_introspect_queue *queue)
{
	return queue->idle && queue->nr_running == 0;
}

static void fill_cpus(struct kt_attempt *attempt, const struct kt_introspect_look *seen,
		      struct kt_looks_look *look)
{
	struct kt_vcputime *vcputime = attempt->monitor.vcputime;
	int64_t ran_ns[KT_LOOKS_CPUS_MAX + 1] = { 0 };

	look->n_cpus = seen->n_cpus < attempt->cpus ? seen->n_cpus : attempt->cpus;
	if (vcputime && kt_vcputime_read(vcputime, ran_ns))
		look->ran =
			kt_vcputime_is_shared(vcputime) ? KT_LOOKS_RAN_SHARED : KT_LOOKS_RAN_OWN;
	for (size_t i = 0; i < look->n_cpus; i++) {
		const struct kt_introspect_queue *queue = &seen->queues[i];

		look->cpus[i] = (struct kt_looks_cpu){ .there = queue->there,
						       .idle = is_idle(queue),
						       .nr_running = queue->nr_running,
						       .clock = queue->clock,
						       .local_dsq = queue->local_dsq,
						       .ran_ns = ran_ns[i] };
	}
}

void kt_monitor_look(struct kt_attempt *attempt)
{
	struct kt_monitor *monitor = &attempt->monitor;
	int64_t now_ns = kt_clock_now_ns();
	struct kt_introspect_look seen;
	struct kt_looks_look look = { 0 };

	if (now_ns < kt_monitor_due_ns(attempt))
		return;
	if (!monitor->began)
		begin(attempt);
	if (monitor->ended)
		return;
	look.at_ns = kt_capture_elapsed_ns(&attempt->capture, now_ns);
	monitor->next_ns = kt_clock_add_ns(look.at_ns, KT_LOOKS_EVERY_NS);
	if (kt_introspect_refresh(attempt->introspect, &monitor->err) < 0 ||
	    kt_introspect_look(attempt->introspect, &seen, &monitor->err) < 0) {
		monitor->ended = true;
		return;
	}
	look.enabled = seen.enabled;
	look.life = seen.life;
	look.has_events = seen.has_events;
	memcpy(look.events, seen.events, sizeof(seen.events));
	fill_cpus(attempt, &seen, &look);
	kt_looks_add(&monitor->looks, &look);
}

struct kt_msg_monitor_report *kt_monitor_report(struct kt_attempt *attempt)
{
	struct kt_monitor *monitor = &attempt->monitor;
	struct kt_msg_monitor_report *report;

	if (!monitor->began)
		return NULL;
	report = kt_arena_alloc(&attempt->arena, 1, sizeof(*report));
	kt_looks_report(&monitor->looks, monitor->ended ? monitor->err.text : "", &attempt->arena,
			report);
	return report;
}

void kt_monitor_destroy(struct kt_monitor *monitor)
{
	kt_vcputime_destroy(&monitor->vcputime);
}
