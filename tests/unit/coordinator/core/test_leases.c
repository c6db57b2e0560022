#include "coordinator/core/leases.h"
#include "crowd.h"

#include "coordinator/core/overdue.h"

Test(leases, all_syncs_together_stay_under_the_cap_and_leases_live_as_long_as_that_asks_for)
{
	static struct crowd c;

	crowd_open(&c, 1, 10, 3);
	cr_assert_eq(c.hosts[9].sync_ns, CROWD_SYNC, "few hosts: as configured");
	crowd_close(&c);
	crowd_open(&c, CROWD_MAX, CROWD_MAX, 3);
	for (size_t i = 0; i < CROWD_MAX; i++)
		crowd_sync(&c, i, 1);
	for (size_t i = 0; i < CROWD_MAX; i++)
		cr_assert_leq(CROWD_MAX * KT_NS_PER_S / c.hosts[i].sync_ns, KT_LEASES_SYNCS_PER_S);
	/* 200 hosts: every 4 s; 3.5 of them are within the configured 15 s. */
	cr_assert_eq(c.hosts[0].sync_ns, 4 * KT_NS_PER_S);
	crowd_tick(&c, CROWD_TTL - KT_NS_PER_S);
	cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], CROWD_MAX);
	crowd_close(&c);
	crowd_open(&c, CROWD_MAX, CROWD_MAX, 3);
	c.config.ttl_ns = KT_NS_PER_S; /* shorter than hosts can renew */
	for (size_t i = 0; i < CROWD_MAX; i++)
		crowd_sync(&c, i, 1);
	crowd_tick(&c, 13 * KT_NS_PER_S);
	cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], CROWD_MAX);
	crowd_tick(&c, 2 * KT_NS_PER_S);
	cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], 0);
	crowd_close(&c);
}

Test(leases, one_cell_that_is_ready_does_not_wake_the_herd)
{
	static struct crowd c;
	size_t n = 0;

	crowd_open(&c, 1, 100, 3);
	for (size_t i = 0; i < 100; i++)
		crowd_sync(&c, i, 8);
	cr_assert_eq(c.hosts[0].n_held, 1);
	crowd_end(&c, 0, "host_trouble");
	crowd_tick(&c, KT_NS_PER_S);
	for (size_t i = 0; i < 100; i++)
		n += c.hosts[i].n_nudges;
	cr_assert_gt(n, 0);
	cr_assert_lt(n, 10, "%zu hosts are told of one cell", n);
	crowd_close(&c);
}

Test(leases, a_lease_that_is_listed_for_ever_is_taken_back_as_overdue)
{
	static struct crowd c;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_job job;
	int64_t due_ns;

	crowd_job(NULL, 0, &arena, &job);
	due_ns = kt_overdue_ns(&job) + CROWD_GRACE;
	crowd_open(&c, 1, 1, 3);
	crowd_sync(&c, 0, 1);
	for (int64_t at_ns = 0; at_ns < due_ns - 2 * KT_NS_PER_S; at_ns += KT_NS_PER_S) {
		crowd_tick(&c, KT_NS_PER_S);
		crowd_sync(&c, 0, 0);
		cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], 1);
	}
	for (int i = 0; i < 4 && c.sweep.counts[KT_CELL_LEASED]; i++) {
		crowd_sync(&c, 0, 0);
		crowd_tick(&c, KT_NS_PER_S);
	}
	cr_assert_eq(c.sweep.counts[KT_CELL_PENDING], 1);
	cr_assert_eq(c.sweep.cells[0].charged, 1);
	cr_assert_eq(c.hosts[0].n_revokes, 1, "told at once");
	c.hosts[0].held[0].phase = "run";
	crowd_sync(&c, 0, 0);
	cr_assert_eq(c.hosts[0].n_revokes, 2, "and as often as it lists it");
	crowd_close(&c);
}

Test(leases, leases_of_an_earlier_term_wait_for_the_grace_and_are_not_charged)
{
	static struct crowd c;

	crowd_open(&c, 1, 1, 3);
	crowd_sync(&c, 0, 1);
	crowd_sync(&c, 0, 0);
	crowd_restart(&c);
	crowd_tick(&c, CROWD_GRACE - KT_NS_PER_S);
	cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], 1, "longer than any lease");
	crowd_tick(&c, 2 * KT_NS_PER_S);
	cr_assert_eq(c.sweep.counts[KT_CELL_PENDING], 1);
	cr_assert_eq(c.sweep.cells[0].charged, 0);
	crowd_close(&c);
}

Test(leases, another_schema_may_deliver_and_gets_nothing)
{
	static struct crowd c;

	crowd_open(&c, 2, 1, 3);
	crowd_sync(&c, 0, 1);
	crowd_sync(&c, 0, 0);
	crowd_hello(&c, 0, 1, true); /* upgraded under its lease */
	cr_assert(c.hosts[0].is_welcome);
	crowd_sync(&c, 0, 7);
	cr_assert_eq(c.hosts[0].n_held, 1, "no more than it had");
	cr_assert_not_null(strstr(c.hosts[0].note, "schema"));
	crowd_end(&c, 0, "finished");
	cr_assert_not_null(crowd_fact(&c, KT_TAG_fact_ended));
	crowd_hello(&c, 0, 1, false);
	crowd_sync(&c, 0, 1);
	cr_assert_eq(c.hosts[0].n_held, 1, "the same version again");
	cr_assert_eq(strlen(c.hosts[0].note), 0);
	crowd_close(&c);
}

Test(leases, a_result_carries_how_far_the_hosts_clock_was)
{
	static struct crowd c;
	const struct kt_msg_fact_ended *ended;

	crowd_open(&c, 1, 1, 3);
	crowd_sync(&c, 0, 1);
	crowd_tick(&c, KT_NS_PER_S);
	crowd_sync(&c, 0, 0);
	crowd_end(&c, 0, "finished");
	ended = crowd_fact(&c, KT_TAG_fact_ended);
	cr_assert_not_null(ended);
	cr_assert_not_null(ended->clock);
	/* The two clocks are one; the SYNC came 1 s after the STATE that it echoes, so it lies within half of that. */
	cr_assert_leq(ended->clock->ahead_ns, ended->clock->error_ns);
	cr_assert_geq(ended->clock->ahead_ns, -ended->clock->error_ns);
	crowd_close(&c);
}

Test(leases, versions_have_to_overlap)
{
	static const struct {
		uint64_t min, max;
		bool in;
	} rows[] = {
		{ KT_PROTOCOL_VERSION, KT_PROTOCOL_VERSION, true },
		{ KT_PROTOCOL_VERSION, KT_PROTOCOL_VERSION + 3, true },
		{ KT_PROTOCOL_VERSION + 1, KT_PROTOCOL_VERSION + 3, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct crowd c;
		struct kt_msg_machine machine = { .runner = "scripted", .accel = "none" };
		struct kt_msg_hello hello = { .version_min = rows[i].min,
					      .version_max = rows[i].max,
					      .build = "t",
					      .worker_id = "h0",
					      .boot_id = 1,
					      .slots = 1,
					      .cpus = 1,
					      .mem_bytes = 1,
					      .machine = &machine,
					      .accel_reason = "" };

		crowd_open(&c, 1, 0, 3);
		crowd_say(&c, 0, KT_TAG_hello, &hello);
		cr_assert_eq(c.hosts[0].is_welcome, rows[i].in, "row %zu", i);
		crowd_close(&c);
	}
}
