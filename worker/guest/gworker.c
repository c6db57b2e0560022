#include "worker/guest/gworker.h"
#include "worker/guest/gtime.h"
#include "worker/guest/sysfile.h"

#include "proto/base/limits.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

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

void kt_gworker_run(enum kt_work_id id, uint64_t seed, int ready_fd, int gate_fd,
		    struct kt_gworker_shared *shared, uint64_t index)
{
	sigset_t none;
	char byte = 0;

	prctl(PR_SET_NAME, kt_work[id].name);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (write(ready_fd, &byte, 1) != 1)
		_exit(1);
	while (read(gate_fd, &byte, 1) > 0)
		;
	work_until_told(kt_gwork(id), seed, &shared->must_stop, &shared->slots[index]);
	atomic_store(&shared->slots[index].is_reported, true);
	_exit(0);
}
