#include "worker/scriptedreport.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* "report cg_0 work_units=1": one command. */
static int add(struct kt_scriptedreport *report, struct kt_arena *arena, const char *line,
	       const char **wrong)
{
	char *copy = kt_arena_strdup(arena, line);
	char *rest = NULL;
	const char *command = strtok_r(copy, " ", &rest);
	const char *words[16];
	size_t n = 0;

	for (char *word = strtok_r(NULL, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		words[n++] = word;
	cr_assert(kt_scriptedreport_is(command), "%s", command);
	return kt_scriptedreport_add(report, command, words, n, arena, wrong);
}

Test(scriptedreport, what_a_script_says_stands_in_the_result)
{
	static const char *const lines[] = {
		"measure imbalance sustained=4.5 windows=3",
		"report cg_0 work_units=7 cpu_ns=1.5s work=spin",
		"report cg_1",
		"report cg_0 missing=killed",
		"report cg_0 step=1",
		"wakes all total=9",
		"wakes cg_0 mean_ns=2us",
		"latency else 1ms=3 1s=4",
		"payload stress exited status=3 out={}",
		"monitor looks=99 vcpu_time=shared",
		"event select_cpu_fallback -3",
		"monitor invalid=1",
	};
	KT_AUTO_ARENA arena = { 0 };
	struct kt_scriptedreport report = { 0 };
	struct kt_msg_result result = { 0 };
	const char *wrong = "";

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_assert_eq(add(&report, &arena, lines[i], &wrong), 0, "%s: %s", lines[i], wrong);
	kt_scriptedreport_fill(&report, &result);
	cr_assert_eq(result.n_reports, 4);
	cr_assert_eq(result.reports[0].work_units, 7);
	cr_assert_eq(result.reports[0].cpu_ns, 1500000000);
	cr_assert_str_eq(result.reports[1].cgroup, "cg_1");
	cr_assert_eq(result.reports[1].index, 0);
	cr_assert_eq(result.reports[2].index, 1, "the second of its cgroup");
	cr_assert_str_eq(result.reports[2].missing, "killed");
	cr_assert_eq(result.reports[3].index, 0, "the first of its step");
	cr_assert_eq(result.n_wakes, 2);
	cr_assert_str_eq(result.wakes[0].cgroup, "");
	cr_assert_str_eq(result.wakes[1].cgroup, "cg_0");
	cr_assert_eq(result.wakes[1].mean_ns, 2000);
	cr_assert_eq(result.n_latencies, 1);
	cr_assert_str_eq(result.latencies[0].cgroup, "");
	cr_assert_eq(result.latencies[0].n_buckets, 2);
	cr_assert_eq(result.latencies[0].buckets[1].below_ns, 1000000000);
	cr_assert_eq(result.latencies[0].total, 7);
	cr_assert_eq(result.n_payloads, 1);
	cr_assert_str_eq(result.payloads[0].ended, "exited");
	cr_assert_eq(result.payloads[0].status, 3);
	cr_assert_eq(result.payloads[0].out.len, 2);
	cr_assert_eq(result.monitor->looks, 99);
	cr_assert_eq(result.monitor->invalid, 1);
	cr_assert_str_eq(result.monitor->vcpu_time, "shared");
	cr_assert_eq(result.monitor->n_measures, 1);
	cr_assert_eq(result.monitor->measures[0].sustained, 4.5);
	cr_assert_eq(result.monitor->n_events, 1);
	cr_assert_eq(result.monitor->events[0].count, -3);
}

Test(scriptedreport, nothing_said_is_nothing_reported)
{
	struct kt_scriptedreport report = { 0 };
	struct kt_msg_result result = { 0 };

	kt_scriptedreport_fill(&report, &result);
	cr_assert_eq(result.n_reports, 0);
	cr_assert_null(result.monitor);
	cr_assert(!kt_scriptedreport_is("sample"));
}

Test(scriptedreport, a_word_that_does_not_fit_is_named)
{
	static const struct {
		const char *line;
		const char *wrong;
	} rows[] = {
		{ "report", "report" },
		{ "report cg_0 units=1", "units=1" },
		{ "report cg_0 work_units=x", "work_units=x" },
		{ "report cg_0 work_units", "work_units" },
		{ "latency cg_0 1ms", "1ms" },
		{ "latency cg_0 0s=1", "0s=1" },
		{ "latency cg_0 x=1", "x=1" },
		{ "latency cg_0 1ms=x", "1ms=x" },
		{ "payload stress", "stress" },
		{ "event insert_not_owned", "insert_not_owned" },
		{ "event insert_not_owned x", "x" },
		{ "measure", "measure" },
		{ "monitor looks=x", "looks=x" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_scriptedreport report = { 0 };
		const char *wrong = "";

		cr_assert_eq(add(&report, &arena, rows[i].line, &wrong), -EINVAL, "%s",
			     rows[i].line);
		cr_assert_str_eq(wrong, rows[i].wrong, "%s", rows[i].line);
	}
}

Test(scriptedreport, there_are_no_more_of_a_kind_than_a_result_holds)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_scriptedreport report = { 0 };
	const char *wrong = "";

	for (size_t i = 0; i < 16; i++)
		cr_assert_eq(add(&report, &arena, "measure imbalance", &wrong), 0);
	cr_assert_eq(add(&report, &arena, "measure imbalance", &wrong), -E2BIG);
	cr_assert_str_eq(wrong, "measure");
	for (size_t i = 0; i < 64; i++)
		cr_assert_eq(add(&report, &arena, "event x 1", &wrong), 0);
	cr_assert_eq(add(&report, &arena, "event x 1", &wrong), -E2BIG);
}
