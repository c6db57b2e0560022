#include "worker/guest/gworker.h"
#include "worker/guest/gsettle.h"
#include "worker/guest/sysfile.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the gate ---- */

void kt_gworker_open(struct kt_gworker_shared *shared, enum kt_gworker_gate gate)
{
	atomic_store(&shared->gate, gate);
	syscall(SYS_futex, &shared->gate, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_for(struct kt_gworker_shared *shared, enum kt_gworker_gate wanted)
{
	unsigned int gate;

	while ((gate = atomic_load(&shared->gate)) < (unsigned int)wanted)
		syscall(SYS_futex, &shared->gate, FUTEX_WAIT, gate, NULL, NULL, 0);
}

/* ---- before it ---- */

/* One sentence per crew is enough: what one worker cannot do its fellows cannot. */
static void tell_trouble(struct kt_gworker_shared *shared, const struct kt_err *err)
{
	if (atomic_exchange(&shared->is_in_trouble, true))
		return;
	snprintf(shared->trouble, sizeof(shared->trouble), "%s", err->text);
	atomic_store(&shared->trouble_code, err->code);
}

static void say_ready(const struct kt_gworker_order *order)
{
	uint64_t one = 1;
	ssize_t ignored;

	atomic_store(&order->slot->is_ready, true);
	ignored = write(order->ready_fd, &one, sizeof(one));
	(void)ignored; /* the parent looks at is_ready; this only wakes it */
}

/* False when it cannot be what it should: then it only waits to end. */
static bool settle(const struct kt_gworker_order *order, struct kt_gself *self)
{
	struct kt_err err = { 0 };
	int status = kt_gsettle(order->group, order->affinity, &err);

	if (status == 0) {
		status = kt_gwork_begin(kt_gwork(order->work), self, &err);
		if (status < 0)
			kt_err_wrap(&err, "%s cannot begin", kt_work[order->work].name);
	}
	if (status < 0)
		tell_trouble(order->shared, &err);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* again: becoming another user cleared it */
	say_ready(order);
	return status == 0;
}

/* ---- behind it ---- */

static void work_until_told(const struct kt_gworker_order *order, struct kt_gself *self)
{
	const struct kt_gwork *work = kt_gwork(order->work);
	struct kt_gworker_slot *slot = order->slot;

	kt_gmeter_begin(self->meter, &slot->sums, order->kept, order->kept_max, order->seed);
	while (!kt_gself_must_stop(self))
		kt_gmeter_done(self->meter, work->round(self));
	kt_gmeter_end(self->meter);
	if (self->memory)
		kt_gmeter_pages(KT_GMETER_NUMA_MAPS, self->memory,
				self->memory + self->memory_bytes, slot->sums.pages_on);
}

/* PID 1's descriptors are its own: a copy of one keeps what it closes open, e.g. a connection to the scheduler. Of
 * them a worker needs its team's pipes and ready_fd.
 */
static void close_inherited(const struct kt_gworker_order *order)
{
	unsigned int keep[2 * KT_GWORK_PIPES_MAX + 1] = { (unsigned int)order->ready_fd };
	size_t n_pipe_ends = 2 * kt_gwork(order->work)->n_pipes;
	unsigned int from = STDERR_FILENO + 1;
	size_t n = 1;

	for (size_t i = 0; i < n_pipe_ends; i++) {
		size_t at = n++;

		for (; at > 0 && keep[at - 1] > (unsigned int)order->pipes[i]; at--)
			keep[at] = keep[at - 1];
		keep[at] = (unsigned int)order->pipes[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (keep[i] > from)
			close_range(from, keep[i] - 1, 0);
		if (keep[i] >= from)
			from = keep[i] + 1;
	}
	close_range(from, ~0u, 0);
}

/* As a process: named, no longer alive than its parent, undisturbed by its signals, with exact timers; and when memory
 * runs out it may be killed as everybody else: PID 1 may not, and a guest in which nobody may be dies of it.
 */
static void become(const struct kt_gworker_order *order)
{
	sigset_t none;

	close_inherited(order);
	prctl(PR_SET_NAME, kt_work[order->work].name);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1); /* ns; else 50 us of every sleep would be called latency */
	kt_sysfile_write("/proc/self/oom_score_adj", "0");
	signal(SIGPIPE, SIG_IGN); /* a partner may be gone: that is an errno */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void kt_gworker_run(const struct kt_gworker_order *order)
{
	struct kt_gmeter meter = { 0 };
	struct kt_gself self = {
		.params = order->params,
		.group = order->group,
		.index = order->index,
		.team_size = order->team_size,
		.team = order->team,
		.pipes = order->pipes,
		.must_stop = &order->shared->must_stop,
		.meter = &meter,
		.random = order->seed,
	};
	bool is_fit;

	become(order);
	wait_for(order->shared, KT_GWORKER_PLACED);
	is_fit = settle(order, &self);
	wait_for(order->shared, KT_GWORKER_OPEN);
	if (!is_fit)
		_exit(1);
	work_until_told(order, &self);
	atomic_store(&order->slot->is_reported, true);
	kt_gwork_end(kt_gwork(order->work), &self);
	_exit(0);
}
