#include "worker/guest/gworker.h"
#include "worker/guest/gsettle.h"
#include "worker/guest/gtime.h"
#include "worker/guest/sysfile.h"

#include "proto/base/limits.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
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

static void settle(const struct kt_gworker_order *order)
{
	struct kt_gworker_shared *shared = order->shared;
	struct kt_err err = { 0 };
	uint64_t one = 1;
	ssize_t ignored;

	if (kt_gsettle(order->group, order->affinity, &err) < 0)
		tell_trouble(shared, &err);
	atomic_store(&shared->slots[order->slot].is_ready, true);
	ignored = write(order->ready_fd, &one, sizeof(one));
	(void)ignored; /* the parent looks at is_ready; this only wakes it */
}

/* ---- behind it ---- */

static int64_t cpu_now_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * KT_NS_PER_S + used.tv_nsec;
}

static int64_t run_delay_ns(void)
{
	char text[128];
	int64_t delay = 0;

	/* "<ns on CPU> <ns runnable> <slices>" */
	if (kt_sysfile_read("/proc/self/schedstat", text, sizeof(text)) < 0 ||
	    sscanf(text, "%*s %" SCNd64, &delay) != 1)
		return 0;
	return delay;
}

static void work_until_told(const struct kt_gwork *work, uint64_t seed,
			    const atomic_bool *must_stop, struct kt_gworker_slot *slot)
{
	struct kt_gwork_self self = { .random = seed };
	int64_t delay_before_ns = run_delay_ns();
	int64_t cpu_before_ns = cpu_now_ns();
	int64_t begun_ns = kt_gtime_now_ns();
	int64_t last_ns = begun_ns;
	int cpu = sched_getcpu();

	while (!atomic_load_explicit(must_stop, memory_order_relaxed)) {
		int64_t now_ns;
		int now_cpu;

		work->round(&self);
		slot->work_units++;
		now_ns = kt_gtime_now_ns();
		if (now_ns - last_ns > slot->gap_ns_max)
			slot->gap_ns_max = now_ns - last_ns;
		last_ns = now_ns;
		now_cpu = sched_getcpu();
		slot->migrations += now_cpu != cpu;
		cpu = now_cpu;
	}
	slot->wall_ns = kt_gtime_now_ns() - begun_ns;
	slot->cpu_ns = cpu_now_ns() - cpu_before_ns;
	slot->run_delay_ns = run_delay_ns() - delay_before_ns;
}

void kt_gworker_run(const struct kt_gworker_order *order)
{
	struct kt_gworker_shared *shared = order->shared;
	struct kt_gworker_slot *slot = &shared->slots[order->slot];
	sigset_t none;

	prctl(PR_SET_NAME, kt_work[order->work].name);
	signal(SIGPIPE, SIG_IGN); /* a partner may be gone: that is an errno */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	wait_for(shared, KT_GWORKER_PLACED);
	settle(order);
	wait_for(shared, KT_GWORKER_OPEN);
	work_until_told(kt_gwork(order->work), order->seed, &shared->must_stop, slot);
	atomic_store(&slot->is_reported, true);
	_exit(0);
}
