/* layer: worker/guest */
/* bench_work.c - what it costs that workers measure themselves.
 *
 *	bench_work [MS]			each work type works for so long (300)
 *
 * One JSON line per measure. meter_round and meter_wake: CPU time of one look at clock and CPU behind a round, and
 * of one wake-up that is measured, its clock reading included. telemetry of a type: both, as often as it had them,
 * as a share of the CPU time that its workers used.
 */
#include "worker/guest/gcrew.h"
#include "worker/guest/gtime.h"

#include "proto/base/must.h"

#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>

#define TIMES 2000000
#define KEPT  100000

static struct kt_gmeter_sums sums;
static int64_t kept[KEPT];

static int64_t cpu_now_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * KT_NS_PER_S + used.tv_nsec;
}

static void say(const char *measure, const char *what, double value, const char *unit)
{
	printf("{\"measure\": \"%s\", \"of\": \"%s\", \"value\": %.4g, \"unit\": \"%s\"}\n",
	       measure, what, value, unit);
	fflush(stdout);
}

static double measure_round(struct kt_gmeter *meter)
{
	int64_t begun_ns = cpu_now_ns();

	for (int i = 0; i < TIMES; i++)
		kt_gmeter_done(meter, 1);
	return (double)(cpu_now_ns() - begun_ns) / TIMES;
}

/* Most of them no longer fit: the reservoir draws. */
static double measure_wake(struct kt_gmeter *meter)
{
	int64_t begun_ns = cpu_now_ns();

	for (int i = 0; i < TIMES; i++)
		kt_gmeter_woke(meter, kt_gtime_now_ns() - meter->last_ns);
	return (double)(cpu_now_ns() - begun_ns) / TIMES;
}

/* Until each was reaped; they stop by themselves. */
static void reap(struct kt_gcrew *crew)
{
	int wait_status;
	pid_t pid;

	while (kt_gcrew_alive(crew) && (pid = waitpid(-1, &wait_status, 0)) > 0)
		kt_gcrew_reaped(crew, pid, wait_status);
}

static void measure_type(const struct kt_work *work, int64_t ms, double round_ns, double wake_ns)
{
	const struct kt_msg_group group = {
		.work = work->name, .policy = "", .mem_policy = "", .mem_nodes = ""
	};
	struct kt_gcrew_spec spec = { .cgroup = "", .group = &group };
	struct kt_msg_worker_report *reports;
	int64_t params[KT_WORK_PARAM_N];
	struct kt_err err = { 0 };
	struct kt_gcrew *crew;
	KT_AUTO_ARENA arena = { 0 };
	double telemetry_ns = 0;
	double cpu_ns = 0;

	if (kt_gwork_params(work, NULL, 0, params, &err) < 0)
		return;
	spec.workers = kt_gwork_team_size(work, params);
	spec.ready_fd = eventfd(0, EFD_CLOEXEC);
	if (kt_gcrew_start(&spec, &crew, &err) < 0)
		return;
	while (kt_gcrew_ready(crew) < spec.workers)
		usleep(1000);
	if (kt_gcrew_trouble(crew, &err) == 0) {
		kt_gcrew_go(crew);
		usleep((useconds_t)ms * 1000);
		kt_gcrew_stop(crew);
		reap(crew);
		reports = kt_arena_alloc(&arena, spec.workers, sizeof(*reports));
		kt_gcrew_report(crew, 0, &arena, reports);
		for (uint32_t i = 0; i < spec.workers; i++) {
			telemetry_ns += (double)reports[i].work_units * round_ns +
					(double)reports[i].wakes * wake_ns;
			cpu_ns += (double)reports[i].cpu_ns;
		}
		if (cpu_ns > 0)
			say("telemetry", work->name, telemetry_ns / cpu_ns * 100, "% of CPU time");
	}
	kt_gcrew_destroy(&crew);
	close(spec.ready_fd);
}

int main(int argc, char **argv)
{
	int64_t ms = argc > 1 ? strtoll(argv[1], NULL, 10) : 300;
	struct kt_gmeter meter;
	double round_ns;
	double wake_ns;

	if (ms <= 0) {
		fprintf(stderr, "usage: bench_work [MS]\n");
		return 2;
	}
	kt_gmeter_begin(&meter, &sums, kept, KEPT, 1);
	round_ns = measure_round(&meter);
	wake_ns = measure_wake(&meter);
	say("meter_round", "", round_ns, "ns");
	say("meter_wake", "", wake_ns, "ns");
	for (size_t i = 0; i < KT_WORK_N; i++)
		measure_type(&kt_work[i], ms, round_ns, wake_ns);
	return 0;
}
