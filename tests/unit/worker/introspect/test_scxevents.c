#include "worker/introspect/scxevents.h"

#include "tests/unit/worker/introspect/toyguest.h"

#include <criterion/criterion.h>
#include <errno.h>

#define DISTANCE 4096

/* Three counters (one of them no 64 bits) of CPU 0 and CPU 1. */
static void put_counters(struct toy *toy, uint64_t stats, uint64_t a, uint64_t b)
{
	toy_put64(toy, stats, a);
	toy_put64(toy, stats + 8, 999);
	toy_put64(toy, stats + 16, b);
}

static void read_all(struct toy *toy, struct kt_scx *scx, struct kt_runqueue_cpus *cpus)
{
	cr_assert_eq(kt_scx_read(&toy->pagewalk, &toy->layout, 0, scx), 0);
	kt_runqueue_cpus(&toy->pagewalk, &toy->layout, 0, cpus);
}

Test(scxevents, every_cpu_s_counters_are_summed_wherever_a_kernel_keeps_them)
{
	static struct kt_runqueue_cpus cpus;
	TOY_AUTO toy;
	int64_t counts[KT_KLAYOUT_EVENTS_MAX];
	uint64_t sched, percpu;
	struct kt_scx scx;

	toy_init(&toy);
	toy_cpus(&toy, DISTANCE);
	percpu = toy_alloc(&toy, 2 * DISTANCE);
	sched = toy_alloc(&toy, 512);
	toy_put64(&toy, toy.layout.sym.scx_root, sched);
	read_all(&toy, &scx, &cpus);
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts), -ENOENT,
		     "nothing is enabled");

	/* since 7.0 */
	toy_put32(&toy, toy.layout.sym.scx_enable_state_var, 1);
	toy_put64(&toy, sched + 264, percpu);
	put_counters(&toy, percpu + 16, 3, 5);
	put_counters(&toy, percpu + 16 + DISTANCE, 4, (uint64_t)-6);
	read_all(&toy, &scx, &cpus);
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts), 0);
	cr_assert_eq(counts[0], 7);
	cr_assert_eq(counts[1], 0, "not a counter as we know them");
	cr_assert_eq(counts[2], -1);

	/* 6.16 .. 6.19: the scheduler has them, not in a struct of its own */
	toy.layout.at.sched_pcpu.bytes = 0;
	toy.layout.at.sched_event_stats = toy_member(272, 8, 0);
	toy_put64(&toy, sched + 272, percpu + 16);
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts), 0);
	cr_assert_eq(counts[0], 7);

	/* 6.15: a variable of the kernel */
	toy.layout.at.sched_event_stats.bytes = 0;
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts),
		     -ENOENT);
	toy.layout.sym.event_stats_cpu = percpu + 16;
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts), 0);
	cr_assert_eq(counts[2], -1);
	toy.layout.sym.event_stats_cpu = 1ull << 60;
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts),
		     -EFAULT);
	toy.layout.n_events = 0;
	cr_assert_eq(kt_scxevents_read(&toy.pagewalk, &toy.layout, 0, &scx, &cpus, counts),
		     -ENOENT);
}

Test(scxevents, names_are_the_kernel_s_without_its_prefix)
{
	static const struct {
		const char *is;
		const char *named;
	} rows[] = {
		{ "SCX_EV_SELECT_CPU_FALLBACK", "select_cpu_fallback" },
		{ "OTHER", "other" },
		{ "SCX_EV_", "" },
		{ "SCX_EV_0123456789012345678901234567890123456789012345678901234567890123456789",
		  "012345678901234567890123456789012345678901234567890123456789012" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_kbtf_named event = { .name = rows[i].is };
		char name[KT_SCXEVENTS_NAME_BYTES];

		cr_assert_str_eq(kt_scxevents_name(&event, name), rows[i].named);
	}
}
