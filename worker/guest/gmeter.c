#include "worker/guest/gmeter.h"
#include "worker/guest/gdraw.h"
#include "worker/guest/gtime.h"
#include "worker/guest/sysfile.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static uint32_t cpu_now(void)
{
	int cpu = sched_getcpu();

	return cpu >= 0 && cpu <= KT_GUEST_CPUS_MAX ? (uint32_t)cpu : 0;
}

void kt_gmeter_begin(struct kt_gmeter *meter, struct kt_gmeter_sums *sums, int64_t *kept,
		     uint64_t kept_max, uint64_t seed)
{
	*meter = (struct kt_gmeter){
		.sums = sums,
		.kept = kept,
		.kept_max = kept_max,
		.random = seed,
		.delay_before_ns = run_delay_ns(),
		.cpu_before_ns = cpu_now_ns(),
		.last_ns = kt_gtime_now_ns(),
	};
	sums->begun_ns = meter->last_ns;
	sums->cpu = cpu_now();
	kt_cpuset_add(&sums->cpus_used, sums->cpu);
}

static void see_gap(struct kt_gmeter *meter, int64_t now_ns)
{
	struct kt_gmeter_sums *sums = meter->sums;

	if (now_ns - meter->last_ns > sums->gap_ns_max) {
		sums->gap_ns_max = now_ns - meter->last_ns;
		sums->gap_at_ns = now_ns;
		sums->gap_cpu = sums->cpu;
	}
	meter->last_ns = now_ns;
}

static void see_cpu(struct kt_gmeter *meter)
{
	struct kt_gmeter_sums *sums = meter->sums;
	uint32_t cpu = cpu_now();

	if (cpu == sums->cpu)
		return;
	sums->migrations++;
	sums->cpu = cpu;
	kt_cpuset_add(&sums->cpus_used, cpu);
}

void kt_gmeter_done(struct kt_gmeter *meter, uint64_t units)
{
	see_cpu(meter);
	if (!units)
		return;
	meter->sums->units += units;
	see_gap(meter, kt_gtime_now_ns());
}

void kt_gmeter_woke(struct kt_gmeter *meter, int64_t latency_ns)
{
	struct kt_gmeter_sums *sums = meter->sums;
	uint64_t place = sums->wakes++;

	if (latency_ns < 0)
		latency_ns = 0; /* the waker's clock was read behind ours */
	if (latency_ns > sums->wake_ns_max)
		sums->wake_ns_max = latency_ns;
	if (place >= meter->kept_max)
		place = kt_gdraw(&meter->random) % sums->wakes;
	if (place < meter->kept_max)
		meter->kept[place] = latency_ns;
}

void kt_gmeter_end(struct kt_gmeter *meter)
{
	struct kt_gmeter_sums *sums = meter->sums;
	int64_t now_ns = kt_gtime_now_ns();

	see_cpu(meter);
	see_gap(meter, now_ns); /* one that did nothing at all has a gap as long as its life */
	sums->wall_ns = now_ns - sums->begun_ns;
	sums->cpu_ns = cpu_now_ns() - meter->cpu_before_ns;
	sums->run_delay_ns = run_delay_ns() - meter->delay_before_ns;
}

/* "N0=12" of a line like "7f0c4000 default anon=12 dirty=12 N0=12 kernelpagesize_kB=4" */
static void count_word(const char *word, uint32_t pages_on[KT_GMETER_NODES_MAX])
{
	unsigned int node;
	unsigned int pages;

	if (sscanf(word, "N%u=%u", &node, &pages) == 2 && node < KT_GMETER_NODES_MAX)
		pages_on[node] += pages;
}

int kt_gmeter_pages(const char *path, const void *from, const void *to,
		    uint32_t pages_on[KT_GMETER_NODES_MAX])
{
	FILE *file = fopen(path, "re");
	char line[1024];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		uintptr_t start;
		char *rest;

		if (sscanf(line, "%" SCNxPTR, &start) != 1 || start < (uintptr_t)from ||
		    start >= (uintptr_t)to)
			continue;
		for (char *word = strtok_r(line, " \n", &rest); word;
		     word = strtok_r(NULL, " \n", &rest))
			count_word(word, pages_on);
	}
	fclose(file);
	return 0;
}
