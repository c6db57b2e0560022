#include "coordinator/measured.h"
#include "proto/base/must.h"
#include "proto/fieldtext.h"

#include <criterion/criterion.h>
#include <string.h>

/* Fields of a struct as "name=value name=value". */
static void set(const struct kt_schema *schema, void *into, struct kt_arena *arena,
		const char *fields)
{
	char *copy = kt_arena_strdup(arena, fields);
	char *rest = NULL;
	struct kt_err err = { 0 };

	kt_fieldtext_init(schema, into);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');

		*value++ = 0;
		cr_assert_eq(kt_fieldtext_set(schema, into, word, value, arena, &err), 0, "%s",
			     err.text);
	}
}

static char *printed(const struct kt_msg_result *result)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	kt_measured_print(result, out);
	fclose(out);
	return text;
}

Test(measured, workers_stand_by_cgroup_in_columns_as_wide_as_what_stands_in_them)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_worker_report reports[3];
	struct kt_msg_result result = { .reports = reports, .n_reports = 3 };
	KT_AUTO_FREE char *text = NULL;

	set(&kt_schema_worker_report, &reports[0], &arena,
	    "cgroup=cg_0 work=spin work_units=123456 cpu_ns=5s wall_ns=10s cpus_used=0-1 "
	    "migrations=3 gap_ns_max=21ms gap_cpu=1 gap_at_ns=2.5s run_delay_ns=1.5s");
	set(&kt_schema_worker_report, &reports[1], &arena,
	    "cgroup=a_long_name/inner index=12 step=1 work=futex_ping_pong wakes=900 "
	    "wake_p99_ns=80us");
	set(&kt_schema_worker_report, &reports[2], &arena, "cgroup=cg_0 index=1 missing=killed");
	text = printed(&result);
	cr_assert_str_eq(
		text,
		"workers:\n"
		"                        step             work  work units  cpu  wall  CPUs  migr  "
		"gap max          until  wakes   p99  run delay\n"
		"  a_long_name/inner/12     1  futex_ping_pong           0  0ns   0ns     -     0  "
		"    0ns              -    900  80us        0ns\n"
		"  cg_0/0                   0             spin      123456   5s   10s   0-1     3  "
		"   21ms  CPU 1 +2.500s      0     -       1.5s\n"
		"  cg_0/1  no report: killed\n");
}

Test(measured, wakes_histograms_and_run_queues)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_wake_report wakes[2];
	struct kt_msg_bucket buckets[] = { { 1000, 1 }, { 2000, 80 }, { 1024000, 40 } };
	struct kt_msg_latency_report latency = {
		.cgroup = "", .total = 121, .buckets = buckets, .n_buckets = 3
	};
	struct kt_msg_monitor_measure measures[2];
	struct kt_msg_scx_event events[] = { { "bypass_activate", 0 }, { "refill_slice_dfl", 7 } };
	struct kt_msg_monitor_report monitor = { .looks = 99,
						 .invalid = 1,
						 .error = "gone",
						 .measures = measures,
						 .n_measures = 2,
						 .events = events,
						 .n_events = 2 };
	struct kt_msg_result result = { .wakes = wakes,
					.n_wakes = 2,
					.latencies = &latency,
					.n_latencies = 1,
					.monitor = &monitor };
	KT_AUTO_FREE char *text = NULL;

	set(&kt_schema_wake_report, &wakes[0], &arena,
	    "total=1000 kept=900 mean_ns=50us p50_ns=40us p90_ns=60us p99_ns=80us p999_ns=1ms "
	    "ns_max=2ms");
	set(&kt_schema_wake_report, &wakes[1], &arena, "cgroup=cg_0 mean_ns=nan");
	set(&kt_schema_monitor_measure, &measures[0], &arena,
	    "name=imbalance values=98 windows=94 highest=6 highest_at_ns=1.5s sustained=2");
	set(&kt_schema_monitor_measure, &measures[1], &arena, "name=stuck values=3");
	text = printed(&result);
	cr_assert_str_eq(text,
			 "wake-ups, as the workers measured them:\n"
			 "               total  kept  mean   p50   p90   p99  p99.9  longest\n"
			 "  all workers   1000   900  50us  40us  60us  80us    1ms      2ms\n"
			 "  cg_0             0     0   nan   0ns   0ns   0ns    0ns      0ns\n"
			 "waits for a CPU, as the probe saw them:\n"
			 "  all else: 121 waits\n"
			 "    < 1us                1  #\n"
			 "    < 2us               80  ########################################\n"
			 "    < 1.02ms            40  ####################\n"
			 "run queues, looked at 99 times from outside:\n"
			 "             values  highest       at  5 in a row\n"
			 "  imbalance      98        6  +1.500s           2\n"
			 "  stuck           3        0  +0.000s           -\n"
			 "  events: refill_slice_dfl 7\n"
			 "  1 looks saw memory that no kernel has set up\n"
			 "  gone\n");
}

Test(measured, nothing_measured_is_nothing_printed)
{
	const struct kt_msg_result result = { 0 };
	KT_AUTO_FREE char *text = printed(&result);

	cr_assert_str_eq(text, "");
}
