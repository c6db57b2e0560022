#include "worker/core/looks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MS KT_NS_PER_MS

static const char *const names[] = { "select_cpu_fallback", "dispatch_keep_last",
				     "insert_not_owned" };

struct fixture {
	struct kt_arena arena;
	struct kt_looks looks;
	struct kt_looks_look look; /* the next */
	struct kt_msg_monitor_report report;
};

static void begin(struct fixture *fixture, size_t n_cpus, enum kt_looks_ran ran)
{
	memset(fixture, 0, sizeof(*fixture));
	kt_looks_init(&fixture->looks, names, 3);
	fixture->look.n_cpus = n_cpus;
	fixture->look.ran = ran;
	for (size_t i = 0; i < n_cpus; i++)
		fixture->look.cpus[i] =
			(struct kt_looks_cpu){ .there = true, .nr_running = 1, .clock = 1000 + i };
}

/* 100 ms later: clocks and threads went on, but for what the test says afterwards. */
static void pass(struct fixture *fixture)
{
	fixture->look.at_ns += 100 * MS;
	for (size_t i = 0; i < fixture->look.n_cpus; i++) {
		fixture->look.cpus[i].clock += (uint64_t)(100 * MS);
		fixture->look.cpus[i].ran_ns += 100 * MS;
	}
}

static void add(struct fixture *fixture)
{
	kt_looks_add(&fixture->looks, &fixture->look);
	pass(fixture);
}

static const struct kt_msg_monitor_measure *measure(struct fixture *fixture, const char *name)
{
	kt_arena_reset(&fixture->arena);
	kt_looks_report(&fixture->looks, "", &fixture->arena, &fixture->report);
	for (size_t i = 0; i < fixture->report.n_measures; i++)
		if (strcmp(fixture->report.measures[i].name, name) == 0)
			return &fixture->report.measures[i];
	return NULL;
}

static int64_t counted(struct fixture *fixture, const char *name)
{
	kt_arena_reset(&fixture->arena);
	kt_looks_report(&fixture->looks, "", &fixture->arena, &fixture->report);
	for (size_t i = 0; i < fixture->report.n_events; i++)
		if (strcmp(fixture->report.events[i].name, name) == 0)
			return fixture->report.events[i].count;
	return -1;
}

/* values: nr_running of the first CPU, one look each; the second has 1. 'x': that look is invalid. */
Test(looks, what_five_in_a_row_did_not_fall_below)
{
	static const struct {
		const char *values;
		double highest;
		uint64_t windows;
		double sustained;
		int64_t at_ms;
	} rows[] = {
		{ "1", 1, 0, 0, 0 },
		{ "5555", 5, 0, 0, 0 },
		{ "55555", 5, 1, 5, 400 },
		{ "5555155555", 5, 6, 5, 900 },
		/* 4 bad, 1 good, 4 bad: nothing above 1 is sustained */
		{ "555515555", 5, 5, 1, 400 },
		{ "123456789", 9, 5, 5, 800 },
		{ "987654321", 9, 5, 5, 400 },
		{ "949494949", 9, 5, 4, 400 },
		{ "5555x5555", 5, 0, 0, 0 },
		{ "55555x9999", 9, 1, 5, 400 },
		{ "00000", 1, 1, 1, 400 }, /* the other CPU's 1 by 1 */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture fixture;
		const struct kt_msg_monitor_measure *imbalance;

		begin(&fixture, 2, KT_LOOKS_RAN_UNKNOWN);
		for (const char *c = rows[i].values; *c; c++) {
			fixture.look.cpus[0].nr_running = (uint64_t)(*c - '0');
			fixture.look.cpus[1].local_dsq = *c == 'x' ? 10001 : 10000;
			if (*c == 'x')
				fixture.look.cpus[0].nr_running = 99;
			add(&fixture);
		}
		imbalance = measure(&fixture, "imbalance");
		cr_assert(imbalance, "%s", rows[i].values);
		cr_assert_eq(imbalance->highest, rows[i].highest, "%s", rows[i].values);
		cr_assert_eq(imbalance->windows, rows[i].windows, "%s: %lu", rows[i].values,
			     imbalance->windows);
		cr_assert_eq(imbalance->sustained, rows[i].sustained, "%s", rows[i].values);
		cr_assert_eq(imbalance->sustained_at_ns, rows[i].at_ms * MS, "%s", rows[i].values);
		cr_assert_eq(fixture.report.invalid, strchr(rows[i].values, 'x') != NULL);
		kt_arena_destroy(&fixture.arena);
	}
}

Test(looks, imbalance_is_the_highest_over_the_lowest_or_one)
{
	static const struct {
		size_t n;
		uint64_t nr[3];
		double imbalance;
	} rows[] = {
		{ 1, { 5 }, 1 },          { 1, { 0 }, 0 },    { 2, { 3, 3 }, 1 },
		{ 2, { 2, 8 }, 4 },       { 2, { 0, 5 }, 5 }, { 3, { 0, 0, 0 }, 0 },
		{ 3, { 6, 4, 9 }, 2.25 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture fixture;

		begin(&fixture, rows[i].n, KT_LOOKS_RAN_UNKNOWN);
		for (size_t k = 0; k < rows[i].n; k++)
			fixture.look.cpus[k].nr_running = rows[i].nr[k];
		fixture.look.cpus[rows[i].n] = (struct kt_looks_cpu){ .nr_running = 99 };
		fixture.look.n_cpus++; /* one that is not there */
		add(&fixture);
		add(&fixture);
		cr_assert_eq(measure(&fixture, "imbalance")->highest, rows[i].imbalance, "row %zu",
			     i);
		kt_arena_destroy(&fixture.arena);
	}
}

Test(looks, the_deepest_local_queue_and_its_cpu)
{
	struct fixture fixture;
	const struct kt_msg_monitor_measure *depth;

	begin(&fixture, 3, KT_LOOKS_RAN_UNKNOWN);
	add(&fixture);
	cr_assert_null(measure(&fixture, "dsq_depth"), "no sched_ext scheduler, no such queue");
	fixture.look.enabled = true;
	fixture.look.cpus[0].there = false;
	fixture.look.cpus[0].local_dsq = 50;
	for (size_t i = 0; i < 6; i++) {
		fixture.look.cpus[2].local_dsq = 7 + i;
		fixture.look.cpus[1].local_dsq = 3;
		add(&fixture);
	}
	depth = measure(&fixture, "dsq_depth");
	cr_assert_eq(depth->highest, 12);
	cr_assert_eq(depth->highest_cpu, 2);
	cr_assert_eq(depth->highest_at_ns, 600 * MS);
	cr_assert_eq(depth->sustained, 8);
	cr_assert_eq(depth->sustained_cpu, 2);
	cr_assert_eq(fixture.report.enabled, 6);
	fixture.look.enabled = false;
	add(&fixture);
	fixture.look.enabled = true;
	add(&fixture);
	cr_assert_eq(measure(&fixture, "dsq_depth")->windows, 2, "in a row again from here on");
	kt_arena_destroy(&fixture.arena);
}

/* Each letter is a look: '.' the clock of CPU 1 moves, 's' it stands still, 'i' still and idle, 'h' still while the
 * host did not run it, 'x' an invalid look, 'g' the CPU is gone.
 */
Test(looks, a_clock_that_stands_still_on_a_busy_cpu_that_the_host_runs)
{
	static const struct {
		const char *looks;
		double highest;
	} rows[] = {
		{ "......", 0 },      { ".sssss", 5 },  { ".ssss.ssss", 4 },
		{ ".sssss.ssss", 5 }, { ".iiiiii", 1 }, /* busy before the first; then idle in both */
		{ ".iisss", 3 }, /* idle, then busy: its clock must move */
		{ ".si", 2 }, /* busy, then idle: likewise */
		{ ".sshss", 2 }, /* no proof: it begins anew */
		{ ".hhhhhh", 0 },     { ".sxss", 1 }, /* a look between was not one */
		{ ".sgssss", 3 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture fixture;
		const struct kt_msg_monitor_measure *stuck;

		begin(&fixture, 2, KT_LOOKS_RAN_OWN);
		for (const char *c = rows[i].looks; *c; c++) {
			struct kt_looks_cpu *cpu = &fixture.look.cpus[1];

			if (*c != '.')
				cpu->clock -= (uint64_t)(100 * MS);
			if (*c == 'h')
				cpu->ran_ns -= 100 * MS - KT_LOOKS_RAN_NS + 1;
			cpu->idle = *c == 'i';
			cpu->there = *c != 'g';
			cpu->local_dsq = *c == 'x' ? 10001 : 0;
			add(&fixture);
		}
		stuck = measure(&fixture, "stuck");
		cr_assert(stuck, "%s", rows[i].looks);
		cr_assert_eq(stuck->highest, rows[i].highest, "%s: %g", rows[i].looks,
			     stuck->highest);
		cr_assert(stuck->highest == 0 || stuck->highest_cpu == 1);
		cr_assert_str_eq(fixture.report.vcpu_time, "thread");
		kt_arena_destroy(&fixture.arena);
	}
}

/* Taking turns in one thread: each had its turn only once the thread ran for as long as all of them may. */
Test(looks, under_tcg_a_vcpu_may_wait_for_its_turn)
{
	static const struct {
		size_t n_cpus;
		size_t looks; /* at which the clock of CPU 0 stands still */
		double highest;
	} rows[] = {
		{ 2, 1, 0 }, { 2, 2, 1 }, { 2, 6, 5 }, { 16, 15, 0 }, { 16, 16, 1 }, { 16, 20, 5 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture fixture;

		begin(&fixture, rows[i].n_cpus, KT_LOOKS_RAN_SHARED);
		add(&fixture);
		for (size_t k = 0; k < rows[i].looks; k++) {
			fixture.look.cpus[0].clock -= (uint64_t)(100 * MS);
			add(&fixture);
		}
		cr_assert_eq(measure(&fixture, "stuck")->highest, rows[i].highest, "row %zu: %g", i,
			     measure(&fixture, "stuck")->highest);
		cr_assert_str_eq(fixture.report.vcpu_time, "shared");
		/* It moves: all turns are to be waited for again. */
		add(&fixture);
		fixture.look.cpus[0].clock -= (uint64_t)(100 * MS);
		add(&fixture);
		cr_assert_eq(fixture.looks.cpus[0].still, 0);
		kt_arena_destroy(&fixture.arena);
	}
}

Test(looks, whether_the_host_ran_it_may_not_be_known)
{
	struct fixture fixture;

	begin(&fixture, 1, KT_LOOKS_RAN_UNKNOWN);
	for (size_t i = 0; i < 9; i++) {
		fixture.look.cpus[0].clock = 7 + (i == 0);
		add(&fixture);
	}
	cr_assert_null(measure(&fixture, "stuck"));
	cr_assert_str_eq(fixture.report.vcpu_time, "");
	kt_arena_destroy(&fixture.arena);
}

Test(looks, rates_and_counts_of_one_life)
{
	struct fixture fixture;
	const struct kt_msg_monitor_measure *fallback;

	begin(&fixture, 1, KT_LOOKS_RAN_UNKNOWN);
	add(&fixture);
	cr_assert_eq(counted(&fixture, "insert_not_owned"), -1, "nothing counts yet");
	fixture.look.has_events = fixture.look.enabled = true;
	fixture.look.life = 1;
	fixture.look.events[0] = 1000; /* before we looked */
	fixture.look.events[2] = 2;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "insert_not_owned"), 0);
	cr_assert_null(measure(&fixture, "fallback"), "one look has no rate");
	for (size_t i = 0; i < 6; i++) {
		fixture.look.events[0] += 20 + i;
		fixture.look.events[1] += 3;
		add(&fixture);
	}
	fallback = measure(&fixture, "fallback");
	cr_assert_eq(fallback->highest, 250);
	cr_assert_eq(fallback->sustained, 210);
	cr_assert_eq(fallback->windows, 2);
	cr_assert_eq(measure(&fixture, "keep_last")->highest, 30);
	cr_assert_eq(counted(&fixture, "select_cpu_fallback"), 135);
	/* A second life, at the same place or another, begins at 0. */
	memset(fixture.look.events, 0, sizeof(fixture.look.events));
	fixture.look.events[2] = 1;
	add(&fixture);
	fixture.look.life = 2;
	fixture.look.events[2] = 5;
	add(&fixture);
	fixture.look.events[2] = 7;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "insert_not_owned"), 2);
	cr_assert_eq(measure(&fixture, "fallback")->windows, 2, "not in a row with the first life");
	/* No scheduler in between; what rose at the last look of a life was its end. */
	fixture.look.events[0] += 9;
	add(&fixture);
	fixture.look.events[0] += 7;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "select_cpu_fallback"), 135 - 25 + 9 + 7);
	fixture.look.has_events = false;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "select_cpu_fallback"), 135 - 25 + 9);
	fixture.look.has_events = true;
	fixture.look.events[2] = 90;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "insert_not_owned"), 2);
	/* At the same moment there is no rate. */
	fixture.look.at_ns -= 100 * MS;
	fixture.look.events[2] = 91;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "insert_not_owned"), 2);
	kt_arena_destroy(&fixture.arena);
}

Test(looks, a_kernel_may_count_other_events)
{
	static const char *const others[] = { "something_new" };
	struct fixture fixture;

	begin(&fixture, 1, KT_LOOKS_RAN_UNKNOWN);
	kt_looks_init(&fixture.looks, others, 1);
	fixture.look.has_events = true;
	add(&fixture);
	fixture.look.events[0] = 4;
	add(&fixture);
	cr_assert_eq(counted(&fixture, "something_new"), 4);
	cr_assert_null(measure(&fixture, "fallback"));
	kt_arena_destroy(&fixture.arena);
}

Test(looks, memory_that_no_kernel_has_set_up)
{
	struct fixture fixture;

	begin(&fixture, 2, KT_LOOKS_RAN_UNKNOWN);
	for (size_t i = 0; i < 6; i++) {
		fixture.look.cpus[0].clock = fixture.look.cpus[1].clock = 0;
		add(&fixture);
	}
	cr_assert_null(measure(&fixture, "imbalance"));
	cr_assert_str_eq(fixture.report.error,
			 "all run queues' clocks are the same: memory that no kernel has set up");
	kt_looks_report(&fixture.looks, "gone", &fixture.arena, &fixture.report);
	cr_assert_str_eq(fixture.report.error, "gone");
	fixture.look.cpus[1].clock = 1;
	add(&fixture);
	cr_assert_not_null(measure(&fixture, "imbalance"));
	cr_assert_str_eq(fixture.report.error, "");
	kt_arena_destroy(&fixture.arena);

	/* One clock seen once is no proof of anything. */
	begin(&fixture, 1, KT_LOOKS_RAN_UNKNOWN);
	add(&fixture);
	cr_assert_not_null(measure(&fixture, "imbalance"));
	kt_arena_destroy(&fixture.arena);
}

Test(looks, nobody_looked)
{
	struct fixture fixture;

	begin(&fixture, 0, KT_LOOKS_RAN_SHARED);
	kt_looks_report(&fixture.looks, "unreadable", &fixture.arena, &fixture.report);
	cr_assert_eq(fixture.report.looks, 0);
	cr_assert_eq(fixture.report.n_measures, 0);
	cr_assert_eq(fixture.report.n_events, 0);
	cr_assert_str_eq(fixture.report.error, "unreadable");
	add(&fixture); /* a guest without CPUs: nothing to see, nothing to trip over */
	add(&fixture);
	cr_assert_null(measure(&fixture, "imbalance"));
	cr_assert_null(measure(&fixture, "stuck"));
	kt_arena_destroy(&fixture.arena);
}
