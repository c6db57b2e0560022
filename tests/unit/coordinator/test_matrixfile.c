#include "coordinator/matrixfile.h"
#include "coordinator/core/matrix/problem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A matrix that is right. Every test of a refusal replaces one line of it. */
static const char *const lines[] = {
	/*  1 */ "[sweep]",
	/*  2 */ "name = \"s\"",
	/*  3 */ "[[kernel]]",
	/*  4 */ "name = \"k\"",
	/*  5 */ "path = \"/boot/vmlinuz\"",
	/*  6 */ "[[scheduler]]",
	/*  7 */ "name = \"scx_kt\"",
	/*  8 */ "binary = \"scx_kt\"",
	/*  9 */ "[[scheduler]]",
	/* 10 */ "name = \"eevdf\"",
	/* 11 */ "[[topology]]",
	/* 12 */ "name = \"small\"",
	/* 13 */ "cpus = \"1n1l2c1t\"",
	/* 14 */ "[[scenario]]",
	/* 15 */ "name = \"a\"",
	/* 16 */ "duration = \"10s\"",
	/* 17 */ "samples = 3",
	/* 18 */ "",
	/* 19 */ "[[scenario.step]]",
	/* 20 */ "hold = \"full\"",
	/* 21 */ "cgroup = [{ name = \"cg_0\", workers = 2, work = \"spin\" }]",
	/* 22 */ "[[scenario.assert]]",
	/* 23 */ "series = \"bpf:n\"",
	/* 24 */ "nondecreasing = true",
};
#define N_LINES (sizeof(lines) / sizeof(lines[0]))

static void text_with(size_t line, const char *instead, struct kt_buf *text)
{
	for (size_t i = 0; i < N_LINES; i++)
		kt_buf_printf(text, "%s\n", i + 1 == line ? instead : lines[i]);
}

static void keep_problem(void *arg, const char *line)
{
	struct kt_buf *all = arg;

	kt_buf_printf(all, "%s\n", line);
}

static int parse(const struct kt_buf *text, struct kt_buf *problems, struct kt_matrix **matrix,
		 struct kt_err *err)
{
	return kt_matrixfile_parse("m.toml", text->data, text->len, keep_problem, problems, matrix,
				   err);
}

/* line to replace, by what, the only problem */
static const struct {
	size_t line;
	const char *instead;
	const char *problem;
} refusals[] = {
	/* what every table shares */
	{ 17, "  samplse = 3",
	  "m.toml:17:3: unknown key 'samplse' in [[scenario]]; did you mean 'samples'?" },
	{ 1, "[sewep]",
	  "m.toml:1:1: the matrix needs 'sweep': its name; e.g. [sweep] with name = \"nightly\"\n"
	  "m.toml:1:2: unknown key 'sewep' in the matrix; did you mean 'sweep'?" },
	{ 2, "",
	  "m.toml:1:1: [sweep] needs 'name': what reports call the sweep; e.g. name = "
	  "\"nightly\"" },
	{ 2, "name = 3",
	  "m.toml:2:8: 'name' in [sweep] must be a string, not an integer; e.g. name = "
	  "\"nightly\"" },
	{ 2, "name = \"\"", "m.toml:2:8: 'name' in [sweep] is empty; e.g. name = \"nightly\"" },
	{ 2, "name = \"s\\u0000t\"", "m.toml:2:8: 'name' in [sweep] has a 0 byte in it" },
	{ 2, "name = \"s\"\nname = \"t\"",
	  "m.toml:3:8: Error while parsing key-value pair: cannot redefine existing string "
	  "'name'" },
	{ 2, "name = \"s\"\nattempts = 0",
	  "m.toml:3:12: 'attempts' in [sweep] is 0; it goes from 1 to 100" },
	{ 2, "name = \"s\"\nseed = -1",
	  "m.toml:3:8: 'seed' in [sweep] is -1; it goes from 0 to 9223372036854775807" },
	{ 2, "name = \"s\"\nrepeats = 2.0",
	  "m.toml:3:11: 'repeats' in [sweep] must be an integer, not a decimal number; e.g. "
	  "repeats = 5" },
	{ 2, "name = \"s\"\nguest = \"clod\"",
	  "m.toml:3:9: unknown guest 'clod' in [sweep]; did you mean 'cold'?" },
	{ 2, "name = \"s\"\ntemplate_renew = 0",
	  "m.toml:3:18: 'template_renew' in [sweep] is 0; it goes from 1 to 1000000" },
	/* names */
	{ 4, "name = \"k/2\"",
	  "m.toml:4:8: name 'k/2' in [[kernel]]: only letters, digits, '_', '.' and '-'" },
	{ 4, "name = \"..\"",
	  "m.toml:4:8: name '..' in [[kernel]]: begins with '.'; use a letter, a digit or '_'" },
	{ 10, "name = \"scx_kt\"\nbinary = \"x\"",
	  "m.toml:10:8: a second scheduler named 'scx_kt'; the first is in line 7" },
	/* kernels */
	{ 3, "[kernel]",
	  "m.toml:3:1: 'kernel' in the matrix must be an array, not a table; e.g. [[kernel]]" },
	{ 5, "",
	  "m.toml:3:1: [[kernel]] needs 'path' or 'debian': where the kernel comes from; e.g. "
	  "debian = { suite = \"sid\", package = \"linux-image-cloud-amd64\" }" },
	{ 5, "path = \"x\"\ndebian = { suite = \"sid\", package = \"p\" }",
	  "m.toml:5:1: [[kernel]] has both 'path' and 'debian'; keep one" },
	{ 5, "debian = { suite = \"sid\" }",
	  "m.toml:5:10: debian of [[kernel]] needs 'package': the kernel's package; e.g. package = "
	  "\"linux-image-cloud-amd64\"" },
	{ 5, "debian = { suite = \"-o\", package = \"p\" }",
	  "m.toml:5:20: 'suite' in debian of [[kernel]]: '-o' is no name of Debian's: lower-case "
	  "letters, digits, '+', '.' and '-'; e.g. suite = \"sid\"" },
	/* schedulers */
	{ 8, "",
	  "m.toml:6:1: [[scheduler]] 'scx_kt' needs 'binary': the program that loads it; e.g. "
	  "binary "
	  "= \"scx_kt\" (only 'eevdf', the kernel's own, has none)" },
	{ 10, "name = \"eevdf\"\nbinary = \"x\"",
	  "m.toml:11:1: scheduler 'eevdf' is the kernel's own and has no 'binary'; leave it out, "
	  "or "
	  "choose another name" },
	{ 8, "binary = \"x\"\nargs = [\"a\", 1]",
	  "m.toml:9:14: 'args' in [[scheduler]] takes strings, not an integer; e.g. args = "
	  "[\"--stall-after\", \"4\"]" },
	/* topologies */
	{ 13, "cpus = \"2n3l2c1t\"",
	  "m.toml:13:8: 'cpus' in [[topology]]: '2n3l2c1t': 3 LLCs cannot be spread evenly over 2 "
	  "nodes; the number before l counts all LLCs and is a multiple of the nodes, e.g. 4" },
	{ 13, "cpus = \"tiny-1llc\"\nmemory = \"512\"",
	  "m.toml:14:10: 'memory' in [[topology]]: '512' is no size; a whole number and K, M or G, "
	  "e.g. memory = \"512M\"" },
	{ 13, "cpus = \"tiny-1llc\"\nmemory = \"65G\"",
	  "m.toml:14:10: 'memory' in [[topology]] is \"65G\"; it goes from 1M to 65536M" },
	/* and their nodes */
	{ 13, "cpus = \"2n2l1c1t\"\nnodes = [{ memory = \"256M\" }]",
	  "m.toml:14:9: 'nodes' in [[topology]] describes 1 of its 2 NUMA nodes" },
	{ 13,
	  "cpus = \"2n2l1c1t\"\nmemory = \"1G\"\nnodes = [{ memory = \"256M\" },\n { memory = "
	  "\"256M\" }]",
	  "m.toml:14:1: 'memory' in [[topology]] is what its 'nodes' have together; leave it "
	  "out" },
	{ 13, "cpus = \"2n2l1c1t\"\nnodes = [{ memory = \"255M\" },\n { memory = \"16M\" }]",
	  "m.toml:14:21: a node has 32M or more, in steps of 2M, or no memory at all (\"0M\")\n"
	  "m.toml:15:13: a node has 32M or more, in steps of 2M, or no memory at all (\"0M\")" },
	{ 13, "cpus = \"2n4l2c1t\"\nnodes = [{ memory = \"256M\" },\n { memory = \"0M\" }]",
	  "m.toml:14:9: the nodes have 256M together; a guest with 8 CPUs has from 512M to "
	  "65536M" },
	{ 13,
	  "cpus = \"2n2l1c1t\"\nnodes = [{ memory = \"256M\", distances = [10, 20] },\n { memory = "
	  "\"0M\" }]",
	  "m.toml:15:2: node 1 has 0 distances: each node has one to each of 2 nodes, or none of "
	  "them has any" },
	{ 13,
	  "cpus = \"2n2l1c1t\"\nnodes = [{ memory = \"256M\", distances = [10, 10] },\n { memory = "
	  "\"0M\", distances = [20, 11] }]",
	  "m.toml:14:46: node 0 is 10 from node 1; a node is 10 from itself, and further from "
	  "others\n"
	  "m.toml:15:36: node 1 is 11 from node 1; a node is 10 from itself, and further from "
	  "others" },
	{ 13,
	  "cpus = \"2n2l1c1t\"\nnodes = [{ memory = \"256M\", distances = [10, 255] },\n { memory "
	  "= "
	  "\"0M\", distances = [20, \"x\"] }]",
	  "m.toml:14:46: a distance is a number from 10 (the node itself) to 254\n"
	  "m.toml:15:36: a distance is a number from 10 (the node itself) to 254" },
	{ 13, "cpus = \"2n2l1c1t\"\nnodes = [{ memory = \"512M\" }, 3]",
	  "m.toml:14:31: 'nodes' in [[topology]] takes tables, not an integer; e.g. nodes = [{ "
	  "memory = \"512M\" }, { memory = \"256M\" }]" },
	/* scenarios */
	{ 16, "duration = 10",
	  "m.toml:16:12: 'duration' in [[scenario]] must be a string, not an integer; e.g. "
	  "duration "
	  "= \"10s\"" },
	{ 16, "duration = \"10 s\"",
	  "m.toml:16:12: 'duration' in [[scenario]]: '10 s' is no time; a number and ns, us, ms, "
	  "s, "
	  "m or h, at most 24h, e.g. duration = \"10s\"" },
	{ 16, "duration = \"0s\"",
	  "m.toml:16:12: 'duration' in [[scenario]] is \"0s\"; it goes from 1ms to 24h00m" },
	{ 17, "samples = 65",
	  "m.toml:17:11: 'samples' in [[scenario]] is 65; it goes from 0 to 64" },
	{ 16, "duration = \"499999999ns\"",
	  "m.toml:17:11: 3 samples in 500ms come every 100ms, less than 100ms apart; at most 2 "
	  "fit, "
	  "or make the duration 500ms" },
	{ 16, "duration = \"100ms\"",
	  "m.toml:17:11: 3 samples in 100ms come every 20ms, less than 100ms apart; at most 0 fit, "
	  "or "
	  "make the duration 500ms" },
	{ 17, "samples = 3\nwatchdog = \"1ms\"",
	  "m.toml:18:12: 'watchdog' in [[scenario]] is \"1ms\"; it goes from 10ms to 1h00m" },
	{ 18, "kernels = [\"kk\"]",
	  "m.toml:18:12: unknown kernel 'kk' in [[scenario]]; did you mean 'k'?" },
	{ 18, "schedulers = [\"eevdf\", \"eevdf\"]",
	  "m.toml:18:24: scheduler 'eevdf' is chosen twice" },
	{ 18, "topologies = []",
	  "m.toml:18:14: 'topologies' in [[scenario]] chooses none; leave it out to choose all" },
	{ 18, "kernels = [3]", "m.toml:18:12: a kernel is chosen by its name, not by an integer" },
	{ 18, "guest = \"hot\"",
	  "m.toml:18:9: unknown guest 'hot' in [[scenario]]; known: warm, cold" },
	{ 18, "guest = true",
	  "m.toml:18:9: 'guest' in [[scenario]] must be a string, not true or false; e.g. guest = "
	  "\"cold\"" },
	/* steps */
	{ 19, "[[scenario.stpe]]",
	  "m.toml:14:1: [[scenario]] needs [[scenario.step]]: what runs in the guest\n"
	  "m.toml:19:12: unknown key 'stpe' in [[scenario]]; did you mean 'step'?" },
	{ 20, "hold = 0.0",
	  "m.toml:20:8: 'hold' in [[scenario.step]] is 0; a share of the duration is more than 0 "
	  "and "
	  "at most 1.0" },
	{ 20, "hold = nan",
	  "m.toml:20:8: 'hold' in [[scenario.step]] is nan; a share of the duration is more than 0 "
	  "and at most 1.0" },
	{ 20, "hold = 1",
	  "m.toml:20:8: 'hold' in [[scenario.step]] must be a table or a string or a decimal "
	  "number, "
	  "not an integer; e.g. hold = \"full\"" },
	{ 20, "hold = \"101%\"",
	  "m.toml:20:8: 'hold' in [[scenario.step]] is \"101%\"; it is \"full\", a share of the "
	  "duration (\"50%\", 0.5) or a time of more than 0 (\"3s\")" },
	{ 20, "hold = \"-3s\"",
	  "m.toml:20:8: 'hold' in [[scenario.step]] is \"-3s\"; it is \"full\", a share of the "
	  "duration (\"50%\", 0.5) or a time of more than 0 (\"3s\")" },
	{ 20, "hold = \"11s\"",
	  "m.toml:19:1: this step ends 11s after the scenario began, but its duration is 10s; hold "
	  "shorter or make the duration longer" },
	{ 20, "hold = \"5s\"",
	  "m.toml:19:1: the steps end after 5s, before the last of 3 samples at 7s; hold longer or "
	  "make the duration shorter" },
	{ 21, "cgroup = [{ name = \"c\", workers = 2, work = \"spn\" }]",
	  "m.toml:21:45: unknown work type 'spn' in cgroup; did you mean "
	  "'spin'?" },
	{ 21, "cgroup = [{ name = \"c\", workers = 2, work = \"juggle\" }]",
	  "m.toml:21:45: unknown work type 'juggle' in cgroup; known: spin, "
	  "yield, mixed, alu, bursty, idle_churn, timer_latency, io_sync, io_rand_read, "
	  "cache_pressure, cache_yield, page_fault, numa_sweep, fork_exit, nice_sweep, "
	  "affinity_churn, policy_churn, cgroup_churn, sequence, pipe, cache_pipe, "
	  "futex_ping_pong, futex_fan_out, fan_out_compute, wake_chain, thundering_herd, "
	  "producer_consumer, mutex, priority_inversion, signal_storm, preempt_storm, "
	  "rt_starvation" },
	{ 21, "cgroup = [{ name = \"c\", workers = 4097, work = \"spin\" }]",
	  "m.toml:21:35: 'workers' in cgroup is 4097; it goes from 1 to "
	  "4096" },
	{ 21, "cgroup = [{ name = \"cpu.max\", workers = 1, work = \"spin\" }]",
	  "m.toml:21:20: name 'cpu.max' in cgroup: the kernel's own files "
	  "there "
	  "begin with 'cpu.'; choose another" },
	{ 21,
	  "cgroup = [{ name = \"c\", workers = 1, work = \"spin\" },\n { name = \"c\", workers = "
	  "1, "
	  "work = \"spin\" }]",
	  "m.toml:22:11: there is a cgroup 'c' already, of line 21" },
	{ 21,
	  "cgroup = [{ name = \"c\", workers = 4000, work = \"spin\" },\n { name = \"d\", workers "
	  "= 97, "
	  "work = \"spin\" }]",
	  "m.toml:14:1: [[scenario]] starts 4097 workers in all; at most 4096" },
	/* assertions */
	{ 17, "samples = 0",
	  "m.toml:22:1: [[scenario]] asserts something but takes no samples; e.g. samples = 3" },
	{ 24, "nondecreasing = true\nmin_samples = 4",
	  "m.toml:25:15: min_samples = 4 can never be reached: scenario 'a' takes 3 samples" },
	{ 24, "nondecreasing = true\nsteps = [0, 1]",
	  "m.toml:25:9: there is no step 1: scenario 'a' has 1, counted from 0" },
	{ 24, "nondecreasing = true\nover = { at_least = 2 }",
	  "m.toml:25:8: 2 repeats can never hold: scenario 'a' has 1" },
	{ 24, "nondecreasing = true\n[[scenario.assert]]\nname = \"x\"\noff = true",
	  "m.toml:26:8: off, but nothing of the name 'x' is attached further out" },
	{ 24,
	  "nondecreasing = true\nname = \"x\"\n[[scenario.assert]]\nname = \"x\"\nseries = "
	  "\"bpf:m\"\nnondecreasing = true",
	  "m.toml:26:1: a second assertion named 'x' in one [[scenario]]" },
	/* attached further out */
	{ 2, "name = \"s\"\n[[sweep.assert]]\nseries = \"bpf:n\"\nmin_samples = 9",
	  "m.toml:5:15: min_samples = 9 can never be reached: scenario 'a' takes 3 samples" },
	{ 8, "binary = \"x\"\n[[scheduler.assert]]\nseries = \"bpf:n\"\nsteps = 4\nmin_samples = 1",
	  "m.toml:11:9: there is no step 4: scenario 'a' has 1, counted from 0" },
	{ 8, "binary = \"x\"\n[[scheduler.assert]]\nseries = \"bpf:n\"\nnondecresing = true",
	  "m.toml:11:1: [[scheduler.assert]]: unknown key 'nondecresing'; did you mean "
	  "'nondecreasing'? known: series, name, because, min_samples, min_coverage, "
	  "must_progress, bridge, steps, reset, over, any_of, all_of, off, nondecreasing, "
	  "strictly_increasing, always_true, each, rate_within, steady_within, converges_to, "
	  "ratio_across_steps, ratio_within, eventually, always, until" },
	/* checks */
	{ 18, "checks = true",
	  "m.toml:18:10: 'checks' in [[scenario]] must be a table, not true or false; e.g. checks "
	  "= { "
	  "not_stuck = true, gap = \"3s\" }" },
	{ 18, "checks = { gap = 3 }",
	  "m.toml:18:18: 'checks' in [[scenario]]: gap takes a time of more than 0, e.g. \"2s\", "
	  "true for 2000 ms or false" },
	{ 18, "checks = { gap = \"2s\\u0000\" }",
	  "m.toml:18:18: 'checks' in [[scenario]] has a 0 byte in it" },
	{ 18, "checks = { not_stack = true }",
	  "m.toml:18:12: 'checks' in [[scenario]]: unknown check 'not_stack'; did you mean "
	  "'not_stuck'? known: not_stuck, gap, spread, isolation, max_throughput_cv, "
	  "min_work_rate, max_p99_wake_latency, max_wake_latency_cv, min_iteration_rate, "
	  "max_migration_ratio, min_page_locality, max_cross_node_ratio, events_clean, imbalance, "
	  "dsq_depth, stuck, fallback, keep_last" },
	{ 2, "name = \"s\"\nchecks = { spread = [1] }",
	  "m.toml:3:21: 'checks' in [sweep]: spread takes a number from 0 to 100%, true for 15% or "
	  "false" },
	/* expected failures */
	{ 18, "expect = \"pass\"",
	  "m.toml:18:10: 'expect' in [[scenario]]: what can be expected is \"fail\": a pass is "
	  "expected without it" },
	{ 18, "expect = { cause = \"scheduler_staled\" }",
	  "m.toml:18:20: 'expect' in [[scenario]]: unknown cause 'scheduler_staled'; did you mean "
	  "'scheduler_stalled'? known: finished, kernel_panic, "
	  "scheduler_crashed, scheduler_stalled, scheduler_exited, scheduler_rejected, "
	  "scheduler_load_timeout, scheduler_unload_timeout, scheduler_missing_feature, "
	  "workload_stuck, guest_oom, "
	  "op_failed, "
	  "payload_failed, guest_hung" },
	{ 18, "expect = { cause = \"qemu_died\" }",
	  "m.toml:18:20: 'expect' in [[scenario]]: cause 'qemu_died' is trouble of the host or the "
	  "user, never a result" },
	{ 18, "expect = { lgo = \"x\" }",
	  "m.toml:18:12: 'expect' in [[scenario]]: unknown key 'lgo' of expect; did you mean "
	  "'log'? known: outcome, cause, log" },
};

Test(matrixfile, what_is_wrong_is_said_with_its_place_and_what_would_be_right)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		KT_AUTO_BUF problems = { 0 };
		struct kt_err err = { 0 };
		size_t len = strcspn(refusals[i].problem, "\n");
		char *newline;

		text_with(refusals[i].line, refusals[i].instead, &text);
		cr_expect_eq(parse(&text, &problems, &matrix, &err), -EINVAL, "%s",
			     refusals[i].instead);
		cr_expect_null(matrix);
		newline = problems.len ? strrchr((char *)problems.data, '\n') : NULL;
		if (newline)
			*newline = 0;
		cr_expect_str_eq(kt_buf_text(&problems), refusals[i].problem);
		cr_expect_eq(err.fault, KT_FAULT_INPUT);
		cr_expect(strlen(err.text) == len &&
				  strncmp(err.text, refusals[i].problem, len) == 0,
			  "%s", err.text);
	}
}

/* What exactly an assertion's refusal says is the assertions' own: here only that it has its place. */
static const struct {
	size_t line;
	const char *instead;
	const char *begins;
} assertion_refusals[] = {
	{ 24, "nondecresing = true", "m.toml:24:1: " },
	{ 24, "nondecreasing = 3", "m.toml:24:17: " },
	{ 24, "each = { at_mots = 3 }", "m.toml:24:10: " },
	{ 24, "any_of = [{ nondecreasing = true },\n { each = { at_mots = 3 } }]",
	  "m.toml:25:13: " },
	{ 24, "any_of = [{ nondecreasing = true },\n { each = { between = [3, 2] } }]",
	  "m.toml:25:23: " },
	{ 24, "any_of = []", "m.toml:24:10: " },
	{ 24, "any_of = [3]", "m.toml:24:11: " },
	{ 24, "any_of = [{ over = \"any\" }]", "m.toml:24:13: " },
	{ 24, "over = \"most\"", "m.toml:24:8: " },
	{ 24, "over = { at_lest = 3 }", "m.toml:24:10: " },
	{ 24, "over = { at_least = 0 }", "m.toml:24:21: " },
	{ 24, "each = { at_most = \"x\" }", "m.toml:24:20: " },
	{ 24, "each = { at_most = [[[[[[[1]]]]]]] }", "m.toml:24:20: " },
	{ 23, "series = \"bpf:n[\"", "m.toml:23:" },
	{ 23, "series = \"bfp:n\"", "m.toml:23:1" },
	{ 23, "", "m.toml:22:1: " },
	{ 24, "", "m.toml:22:1: " },
};

Test(matrixfile, an_assertion_is_refused_where_it_is_wrong)
{
	for (size_t i = 0; i < sizeof(assertion_refusals) / sizeof(assertion_refusals[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		KT_AUTO_BUF problems = { 0 };
		struct kt_err err = { 0 };

		text_with(assertion_refusals[i].line, assertion_refusals[i].instead, &text);
		cr_expect_eq(parse(&text, &problems, &matrix, &err), -EINVAL);
		cr_expect_eq(strncmp(kt_buf_text(&problems), assertion_refusals[i].begins,
				     strlen(assertion_refusals[i].begins)),
			     0, "%s: %s", assertion_refusals[i].instead, kt_buf_text(&problems));
	}
}

Test(matrixfile, many_problems_are_cut_and_counted)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF text = { 0 };
	KT_AUTO_BUF problems = { 0 };
	struct kt_err err = { 0 };
	size_t n = 0;

	text_with(0, "", &text);
	for (int i = 0; i < 50; i++)
		kt_buf_printf(&text, "[zz_%02d]\n", i);
	cr_assert_eq(parse(&text, &problems, &matrix, &err), -EINVAL);
	for (const char *at = kt_buf_text(&problems); *at; at++)
		n += *at == '\n';
	cr_assert_eq(n, KT_PROBLEMS_MAX + 1);
	cr_assert(strstr(kt_buf_text(&problems), "\n... and 30 more\n"));
}

Test(matrixfile, every_byte_missing_at_the_end_is_a_matrix_or_a_problem)
{
	KT_AUTO_BUF text = { 0 };

	text_with(0, "", &text);
	for (size_t len = 0; len <= text.len; len++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF problems = { 0 };
		struct kt_buf cut = { .data = text.data, .len = len };
		struct kt_err err = { 0 };
		int rc = parse(&cut, &problems, &matrix, &err);

		cr_assert(rc == 0 ? matrix && !problems.len : !matrix && problems.len);
	}
}

Test(matrixfile, a_file_that_cannot_be_read_is_said_once)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF problems = { 0 };
	struct kt_err err = { 0 };

	cr_assert_eq(kt_matrixfile_load("/nonexistent.toml", NULL, keep_problem, &problems, &matrix,
					&err),
		     -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_str_eq(err.text, "/nonexistent.toml: No such file or directory");
	cr_assert_eq(problems.len, 0);
	cr_assert_eq(kt_matrixfile_load("/", NULL, NULL, NULL, &matrix, &err), -EISDIR);
}

Test(matrixfile, the_examples_are_right)
{
	static const struct {
		const char *path;
		uint64_t n_cells;
		const char *first;
	} examples[] = {
		{ KT_SOURCE_DIR "/examples/temporal.toml", 1,
		  "temporal_assertions_over_periodic_samples/sid/scx_kt/small#0" },
		{ KT_SOURCE_DIR "/examples/knobs.toml", 15, "two_spinners/sid/healthy/small#0" },
		{ KT_SOURCE_DIR "/examples/payload.toml", 2,
		  "stress_beside_spinners/sid/scx_kt/small#0" },
		{ KT_SOURCE_DIR "/examples/gauntlet.toml", 43, "two_spinners/sid/scx_kt/small#0" },
	};

	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		char name[KT_CELL_NAME_BYTES_MAX];
		struct kt_err err = { 0 };

		cr_assert_eq(kt_matrixfile_load(examples[i].path, &text, NULL, NULL, &matrix, &err),
			     0, "%s", err.text);
		cr_assert_gt(text.len, 0);
		cr_assert_eq(kt_matrix_n_cells(matrix), examples[i].n_cells);
		cr_assert_str_eq(kt_matrix_cell_name(matrix, 0, name), examples[i].first);
	}
}

/* ---- cells ---- */

Test(matrixfile, a_job_gets_the_nodes_of_its_topology)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	KT_AUTO_BUF problems = { 0 };
	struct kt_err err = { 0 };
	struct kt_msg_job job;

	text_with(13,
		  "cpus = \"2n4l2c1t\"\n"
		  "nodes = [{ memory = \"512M\", distances = [10, 31] },\n"
		  "{ memory = \"0M\", distances = [21, 10] }]",
		  &text);
	cr_assert_eq(parse(&text, &problems, &matrix, &err), 0, "%s", err.text);
	kt_matrix_job(matrix, 0, &arena, &job);
	cr_assert_eq(job.topology->mem_bytes, 512ull << 20);
	cr_assert_eq(job.topology->n_nodes, 2);
	cr_assert_eq(job.topology->nodes[0].mem_bytes, 512ull << 20);
	cr_assert_eq(job.topology->nodes[1].mem_bytes, 0);
	cr_assert_eq(job.topology->nodes[0].distances[1].value, 31);
	cr_assert_eq(job.topology->nodes[1].distances[0].value, 21);
}

static const char two_scenarios[] =
	"[sweep]\nname = \"s\"\nrepeats = 2\nseed = 7\nattempts = 5\nout = \"o\"\n"
	"template_renew = 100\n"
	"[[kernel]]\nname = \"k0\"\npath = \"a\"\n"
	"[[kernel]]\nname = \"k1\"\ndebian = { suite = \"sid\", package = \"linux-image-amd64\" }\n"
	"[[scheduler]]\nname = \"s0\"\nbinary = \"b\"\nargs = [\"-x\", \"\"]\n"
	"[[scheduler]]\nname = \"eevdf\"\n"
	"[[topology]]\nname = \"t0\"\ncpus = \"1n1l2c1t\"\nmemory = \"1G\"\n"
	"[[topology]]\nname = \"t1\"\ncpus = \"smt-2llc\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"10s\"\nsamples = 3\n"
	"kernels = [\"k1\"]\ntopologies = [\"t1\", \"t0\"]\n"
	"[[scenario.step]]\nhold = \"25%\"\n"
	"[[scenario.step]]\nhold = 0.5\ncgroup = [{ name = \"c\", workers = 2, work = \"spin\" }]\n"
	"[[scenario.step]]\nhold = \"2500ms\"\n"
	"[[scenario.assert]]\nseries = \"bpf:n\"\nnondecreasing = true\n"
	"[[scenario.assert]]\nseries = \"stats:m\"\neach = { at_most = 3 }\nname = \"small\"\n"
	"[[scenario]]\nname = \"b\"\nduration = \"3s\"\nrepeats = 1\nscript = \"end\"\n"
	"guest = \"cold\"\n"
	"schedulers = [\"eevdf\"]\n";

/* Golden: journals and reports keep these names and numbers. */
static const char *const two_scenarios_cells[] = {
	"a/k1/s0/t0#0",    "a/k1/s0/t0#1",    "a/k1/s0/t1#0",    "a/k1/s0/t1#1",
	"a/k1/eevdf/t0#0", "a/k1/eevdf/t0#1", "a/k1/eevdf/t1#0", "a/k1/eevdf/t1#1",
	"b/k0/eevdf/t0#0", "b/k0/eevdf/t1#0", "b/k1/eevdf/t0#0", "b/k1/eevdf/t1#0",
};
#define N_CELLS (sizeof(two_scenarios_cells) / sizeof(two_scenarios_cells[0]))

static struct kt_matrix *parse_text(const char *text)
{
	struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &matrix, &err),
		     0, "%s", err.text);
	return matrix;
}

Test(matrixfile, cells_have_the_names_and_numbers_they_always_had)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse_text(two_scenarios);
	char name[KT_CELL_NAME_BYTES_MAX];

	cr_assert_eq(kt_matrix_n_cells(matrix), N_CELLS);
	for (uint64_t i = 0; i < N_CELLS; i++) {
		uint64_t found = UINT64_MAX;

		cr_assert_str_eq(kt_matrix_cell_name(matrix, i, name), two_scenarios_cells[i]);
		cr_assert(kt_matrix_find_cell(matrix, name, &found));
		cr_assert_eq(found, i);
	}
}

Test(matrixfile, a_name_that_is_no_cell_finds_none)
{
	static const char *const names[] = {
		"",
		"a",
		"a/k1/s0/t0",
		"a/k1/s0/t0#",
		"a/k1/s0/t0#2",
		"a/k1/s0/t0#00",
		"a/k1/s0/t0# 0",
		"a/k1/s0/t0#+0",
		"a/k1/s0/t0#-0",
		"a/k1/s0/t0#0x",
		"a/k0/s0/t0#0",
		"c/k1/s0/t0#0",
		"b/k1/s0/t0#0",
		"a/k1/s0/t0/x#0",
		"a//s0/t0#0",
		"a/k1/s0/t0#18446744073709551616",
	};
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse_text(two_scenarios);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint64_t index;

		cr_assert_not(kt_matrix_find_cell(matrix, names[i], &index), "%s", names[i]);
	}
}

Test(matrixfile, a_job_says_all_that_the_matrix_knows)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse_text(two_scenarios);
	KT_AUTO_ARENA arena = { 0 };
	struct kt_matrix_cell cell;
	struct kt_msg_job job;
	struct kt_msg_job other;

	cr_assert_str_eq(matrix->sweep.name, "s");
	cr_assert_eq(matrix->sweep.attempts, 5);
	cr_assert_str_eq(matrix->sweep.out, "o");
	kt_matrix_job(matrix, 2, &arena, &job);
	cr_assert_str_eq(job.cell_name, "a/k1/s0/t1#0");
	cr_assert_str_eq(job.kernel->name, "k1");
	cr_assert_str_eq(job.scheduler->name, "s0");
	cr_assert_eq(job.scheduler->n_args, 3);
	cr_assert_str_eq(job.scheduler->args[0].text, "");
	cr_assert_str_eq(job.scheduler->args[1].text, "-x");
	cr_assert_str_eq(job.scheduler->args[2].text, "");
	cr_assert_eq(job.topology->threads, 2);
	cr_assert_eq(job.topology->mem_bytes, 512ull << 20);
	cr_assert_eq(job.scenario->duration_ns, 10 * KT_NS_PER_S);
	cr_assert_eq(job.scenario->samples, 3);
	cr_assert_eq(job.scenario->watchdog_ns, 0);
	cr_assert_eq(job.scenario->n_steps, 3);
	cr_assert_eq(job.scenario->steps[0].hold_ns, 2500 * KT_NS_PER_MS);
	cr_assert_eq(job.scenario->steps[1].hold_ns, 5 * KT_NS_PER_S);
	cr_assert_eq(job.scenario->steps[2].hold_ns, 2500 * KT_NS_PER_MS);
	cr_assert_eq(job.scenario->steps[1].n_cgroups, 1);
	cr_assert_str_eq(job.scenario->steps[1].cgroups[0].groups[0].work, "spin");
	cr_assert_str_eq(job.script, "");
	cr_assert_str_eq(job.guest, "");
	cr_assert_eq(job.template_renew, 100);
	kt_matrix_cell(matrix, 2, &cell);
	cr_assert_eq(cell.scenario->asserts.n, 2);
	cr_assert_str_eq(kt_assertion_label(&cell.scenario->asserts.list[1]), "small");
	kt_matrix_job(matrix, 8, &arena, &other);
	cr_assert_eq(other.scheduler->n_args, 0);
	cr_assert_str_eq(other.script, "end");
	cr_assert_str_eq(other.guest, "cold");
	cr_assert_eq(other.template_renew, 100);
	cr_assert_eq(other.topology->mem_bytes, 1ull << 30);
	cr_assert_eq(other.scenario->steps[0].hold_ns, 3 * KT_NS_PER_S);
	cr_assert_neq(other.seed, job.seed);
	kt_matrix_job(matrix, 2, &arena, &other);
	cr_assert_eq(other.seed, job.seed);
}

/* asked of the sweep, asked of the scenario, what the cell gets */
static const struct {
	const char *sweep;
	const char *scenario;
	const char *guest;
} guests[] = {
	{ "", "", "warm" },
	{ "guest = \"cold\"", "", "cold" },
	{ "", "guest = \"cold\"", "cold" },
	{ "guest = \"cold\"", "guest = \"warm\"", "warm" },
};

Test(matrixfile, a_job_asks_for_a_cold_guest_or_leaves_it_open)
{
	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF text = { 0 };
		KT_AUTO_BUF problems = { 0 };
		struct kt_msg_job job;
		struct kt_err err = { 0 };

		for (size_t k = 0; k < N_LINES; k++)
			kt_buf_printf(&text, "%s\n%s\n", lines[k],
				      k == 1    ? guests[i].sweep
				      : k == 17 ? guests[i].scenario
						: "");
		cr_assert_eq(parse(&text, &problems, &matrix, &err), 0, "%s", err.text);
		kt_matrix_job(matrix, 0, &arena, &job);
		cr_expect_str_eq(matrix->scenarios[0].guest, guests[i].guest);
		cr_expect_str_eq(job.guest, strcmp(guests[i].guest, "cold") == 0 ? "cold" : "");
		cr_expect_eq(job.template_renew, 0);
		kt_matrix_make_cold(matrix);
		kt_matrix_job(matrix, 0, &arena, &job);
		cr_expect_str_eq(job.guest, "cold");
	}
}

Test(matrixfile, an_error_found_later_still_has_its_place)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse_text(two_scenarios);
	struct kt_err err = { 0 };

	cr_assert_eq(kt_matrix_err_at(matrix, matrix->schedulers[0].binary_pos, &err, "no '%s'",
				      matrix->schedulers[0].binary),
		     -EINVAL);
	cr_assert_str_eq(err.text, "m.toml:16:10: no 'b'");
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_eq(matrix->kernels[0].from_pos.line, 10);
	cr_assert_eq(matrix->kernels[1].from_pos.line, 13);
}

static void add_axis(struct kt_buf *text, const char *table, const char *rest, int n)
{
	for (int i = 0; i < n; i++)
		kt_buf_printf(text, "[[%s]]\nname = \"%c%d\"\n%s\n", table, *table, i, rest);
}

static void large_text(struct kt_buf *text, int n, int repeats)
{
	kt_buf_printf(text, "[sweep]\nname = \"large\"\nrepeats = %d\n", repeats);
	add_axis(text, "kernel", "path = \"x\"", n);
	add_axis(text, "scheduler", "binary = \"x\"", n);
	add_axis(text, "topology", "cpus = \"tiny-1llc\"", n);
	add_axis(text, "scenario", "duration = \"10s\"\n[[scenario.step]]\nhold = \"full\"", n);
}

Test(matrixfile, ten_million_cells_cost_nothing_and_one_more_is_refused)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF text = { 0 };
	KT_AUTO_BUF problems = { 0 };
	struct kt_err err = { 0 };
	char name[KT_CELL_NAME_BYTES_MAX];

	large_text(&text, 10, 1000);
	cr_assert_eq(parse(&text, &problems, &matrix, &err), 0, "%s", err.text);
	cr_assert_eq(kt_matrix_n_cells(matrix), KT_CELLS_MAX);
	for (uint64_t i = 0; i < KT_CELLS_MAX; i += 9973) {
		uint64_t found;

		cr_assert(
			kt_matrix_find_cell(matrix, kt_matrix_cell_name(matrix, i, name), &found));
		cr_assert_eq(found, i);
	}
	cr_assert_str_eq(kt_matrix_cell_name(matrix, KT_CELLS_MAX - 1, name), "s9/k9/s9/t9#999");
	kt_matrix_destroy(&matrix);
	kt_buf_reset(&text);
	large_text(&text, 10, 1001);
	cr_assert_eq(parse(&text, &problems, &matrix, &err), -EINVAL);
	cr_assert(strstr(err.text, "more than 10000000 cells"), "%s", err.text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

Test(matrixfile, no_two_cells_share_a_name)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF text = { 0 };
	KT_AUTO_BUF problems = { 0 };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_err err = { 0 };
	char name[KT_CELL_NAME_BYTES_MAX];
	char **names;
	uint64_t n;

	large_text(&text, 6, 11);
	cr_assert_eq(parse(&text, &problems, &matrix, &err), 0, "%s", err.text);
	n = kt_matrix_n_cells(matrix);
	cr_assert_eq(n, 6 * 6 * 6 * 6 * 11);
	names = kt_arena_alloc(&arena, n, sizeof(*names));
	for (uint64_t i = 0; i < n; i++)
		names[i] = kt_arena_strdup(&arena, kt_matrix_cell_name(matrix, i, name));
	qsort(names, n, sizeof(*names), compare_names);
	for (uint64_t i = 1; i < n; i++)
		cr_assert_str_neq(names[i - 1], names[i]);
}

/* sweep, scheduler, scenario: of one name the last wins, in the first one's place. */
Test(matrixfile, a_scenario_s_word_on_a_check_counts_before_its_sweep_s)
{
	static const struct {
		const char *sweep;
		const char *scenario;
		const char *on;
	} rows[] = {
		{ "", "", "" },
		{ "checks = { not_stuck = true }", "",
		  "not_stuck;gap (at most 2000 ms);spread (at most 15%);" },
		{ "checks = { not_stuck = true }", "checks = { gap = \"3s\", spread = false }",
		  "not_stuck;gap (at most 3000 ms);" },
		{ "", "checks = { min_work_rate = 100, max_p99_wake_latency = \"5ms\" }",
		  "min_work_rate (at least 100/s);max_p99_wake_latency (at most 5 ms);" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		KT_AUTO_BUF problems = { 0 };
		KT_AUTO_BUF on = { 0 };
		struct kt_checks checks;
		struct kt_err err = { 0 };

		for (size_t k = 0; k < N_LINES; k++)
			kt_buf_printf(&text, "%s\n%s\n", lines[k],
				      k == 1    ? rows[i].sweep
				      : k == 17 ? rows[i].scenario
						: "");
		cr_assert_eq(parse(&text, &problems, &matrix, &err), 0, "%s", err.text);
		kt_matrix_checks(matrix, &matrix->scenarios[0], &checks);
		for (size_t id = 0; id < KT_CHECKS_N; id++) {
			if (checks.of[id].state != KT_CHECKS_ON)
				continue;
			kt_checks_print(&checks, (enum kt_checks_id)id, &on);
			kt_buf_puts(&on, ";");
		}
		cr_expect_str_eq(kt_buf_text(&on), rows[i].on);
	}
}

Test(matrixfile, the_innermost_assertion_of_a_name_wins)
{
	static const char text[] = "[[kernel]]\nname = 'k'\npath = '/k'\n"
				   "[[scheduler]]\nname = 'x'\nbinary = 'x'\n"
				   "[[scheduler.assert]]\nname = 'b'\nseries = 'bpf:b'\n"
				   "each = { at_most = 2 }\n"
				   "[[scheduler]]\nname = 'eevdf'\n"
				   "[[topology]]\nname = 't'\ncpus = '1n1l1c1t'\n"
				   "[[scenario]]\nname = 'one'\nduration = '10s'\nsamples = 3\n"
				   "[[scenario.step]]\nhold = 'full'\n"
				   "[[scenario.assert]]\nname = 'a'\noff = true\n"
				   "[[scenario.assert]]\nseries = 'bpf:c'\nmin_samples = 1\n"
				   "[[scenario]]\nname = 'two'\nduration = '10s'\nsamples = 3\n"
				   "[[scenario.step]]\nhold = 'full'\n"
				   "[[scenario.assert]]\nname = 'b'\nseries = 'bpf:b'\n"
				   "each = { at_most = 3 }\n"
				   "[sweep]\nname = 's'\n"
				   "[[sweep.assert]]\nname = 'a'\nseries = 'bpf:a'\n"
				   "must_progress = true\n"
				   "[[sweep.assert]]\nname = 'b'\nseries = 'bpf:b'\n"
				   "each = { at_most = 1 }\n";
	static const struct {
		uint64_t cell;
		const char *judged;
	} cells[] = {
		{ 0, "one/k/x/t#0: bpf:b: each at_most 2; bpf:c: min_samples 1; " },
		{ 1, "one/k/eevdf/t#0: bpf:b: each at_most 1; bpf:c: min_samples 1; " },
		{ 2, "two/k/x/t#0: bpf:a: must_progress; bpf:b: each at_most 3; " },
		{ 3, "two/k/eevdf/t#0: bpf:a: must_progress; bpf:b: each at_most 3; " },
	};
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_matrix_assert *asserts;
	struct kt_matrix_cell cell;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_matrixfile_parse("m.toml", text, sizeof(text) - 1, NULL, NULL, &matrix,
					 &err),
		     0, "%s", err.text);
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		const struct kt_assertion *const *list;
		KT_AUTO_BUF said = { 0 };
		char name[KT_CELL_NAME_BYTES_MAX];
		size_t n;

		kt_matrix_cell(matrix, cells[i].cell, &cell);
		n = kt_matrix_judged(matrix, &cell, &arena, &list);
		kt_buf_printf(&said, "%s: ", kt_matrix_cell_name(matrix, cells[i].cell, name));
		for (size_t k = 0; k < n; k++) {
			kt_assertion_print(list[k], &said);
			kt_buf_puts(&said, "; ");
		}
		cr_assert_str_eq(kt_buf_text(&said), cells[i].judged);
	}
	kt_matrix_cell(matrix, 0, &cell);
	cr_assert_eq(kt_matrix_asserts(matrix, cell.scenario, cell.scheduler, &arena, &asserts), 3);
	cr_assert(kt_assertion_is_off(asserts[0].assertion));
	cr_assert_eq(asserts[0].level, KT_MATRIX_LEVEL_SCENARIO);
	cr_assert_eq(asserts[0].replaces->level, KT_MATRIX_LEVEL_SWEEP);
	cr_assert_eq(asserts[1].level, KT_MATRIX_LEVEL_SCHEDULER);
	cr_assert_null(asserts[2].replaces);
}
