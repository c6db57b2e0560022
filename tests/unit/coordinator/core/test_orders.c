#include "crowd.h"

static void cancel(struct crowd *c, uint64_t cell, uint64_t n)
{
	struct kt_input input = {
		.kind = KT_INPUT_CANCEL, .cell = cell, .n = n, .line = "by a test"
	};

	crowd_step(c, &input);
}

#define MANY    4000
#define REPEATS 4

/* The repeats of the second half are judged together. Counts how often it is asked. */
static bool group(void *arg, uint64_t cell, uint64_t *first, uint64_t *n)
{
	*(uint64_t *)arg += 1;
	*first = cell - cell % REPEATS;
	*n = REPEATS;
	return cell >= MANY / 2;
}

static void drain(struct crowd *c, const char *host, bool on)
{
	struct kt_input input = { .kind = KT_INPUT_DRAIN, .host = host, .on = on };

	crowd_step(c, &input);
}

Test(orders, a_cancelled_cell_is_revoked_at_once_and_the_sweep_waits_for_its_guest)
{
	static struct crowd c;

	crowd_open(&c, 2, 1, 3);
	crowd_sync(&c, 0, 2);
	crowd_sync(&c, 0, 0);
	cr_assert_eq(c.hosts[0].n_held, 2);
	cancel(&c, 0, UINT64_MAX);
	cr_assert_eq(c.sweep.counts[KT_CELL_CANCELLED], 2);
	cr_assert_eq(c.hosts[0].n_revokes, 2, "without being asked");
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 2);
	cr_assert_not(c.sweep.closed);
	crowd_sync(&c, 0, 0);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 2, "it says that they are dying");
	c.hosts[0].n_held = 1;
	crowd_sync(&c, 0, 1);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 1);
	c.hosts[0].n_held = 0;
	crowd_sync(&c, 0, 2);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 0);
	cr_assert(c.sweep.closed);
	crowd_close(&c);
}

Test(orders, a_sync_that_crossed_the_revoke_is_no_proof_of_death)
{
	static struct crowd c;
	int64_t before_ns;

	crowd_open(&c, 1, 1, 3);
	crowd_sync(&c, 0, 1);
	before_ns = c.hosts[0].clock_ns;
	c.now_ns += 1;
	cancel(&c, 0, 1);
	c.hosts[0].n_held = 0;
	c.hosts[0].clock_ns = before_ns; /* said before the STATE with the grant arrived */
	crowd_sync(&c, 0, 0);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 1);
	crowd_sync(&c, 0, 0);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 0);
	crowd_close(&c);
}

Test(orders, a_wall_clock_that_is_set_back_does_not_keep_the_dead_alive)
{
	static struct crowd c;
	int64_t before_ns;

	crowd_open(&c, 1, 1, 3);
	crowd_sync(&c, 0, 1);
	before_ns = c.hosts[0].clock_ns;
	c.now_ns += 1;
	cancel(&c, 0, 1);
	c.hosts[0].n_held = 0;
	c.hosts[0].clock_ns = before_ns; /* the revoke is still on its way */
	c.wall_back_ns = 3600 * KT_NS_PER_S;
	crowd_sync(&c, 0, 0);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 1, "what it heard before is no proof");
	crowd_sync(&c, 0, 0);
	cr_assert_eq(kt_dispatch_n_dying(c.dispatch), 0, "what it heard since is");
	crowd_close(&c);
}

Test(orders, a_host_that_is_cut_off_holds_a_cancelled_sweep_for_a_lease_and_kills_when_it_is_back)
{
	static struct crowd c;

	crowd_open(&c, 1, 1, 3);
	crowd_sync(&c, 0, 1);
	cancel(&c, 0, 1);
	c.hosts[0].held[0].phase = "run"; /* it was not heard */
	crowd_tick(&c, CROWD_TTL - KT_NS_PER_S);
	cr_assert_not(c.sweep.closed);
	crowd_tick(&c, 2 * KT_NS_PER_S);
	cr_assert(c.sweep.closed, "not for ever");
	crowd_hello(&c, 0, 1, false);
	c.hosts[0].n_revokes = 0;
	crowd_sync(&c, 0, 0);
	cr_assert_eq(c.hosts[0].n_revokes, 1);
	cr_assert(c.hosts[0].finished);
	crowd_close(&c);
}

Test(orders, what_comes_of_a_cancelled_cell_is_evidence_once_and_never_a_verdict)
{
	static struct crowd c;
	struct kt_msg_verdict verdict = { .outcome = "pass" };
	struct kt_input judged = { .kind = KT_INPUT_JUDGED, .epoch = 1, .verdict = &verdict };

	crowd_open(&c, 3, 1, 3);
	crowd_sync(&c, 0, 2);
	c.hosts[0].held[0].phase = "done"; /* finished, on its way */
	crowd_sync(&c, 0, 0);
	crowd_end(&c, 0, "finished"); /* cell 1: ended, is being judged */
	cr_assert_eq(c.n_judge, 1);
	judged.cell = c.hosts[0].held[1].cell;
	judged.epoch = c.hosts[0].held[1].epoch;
	cancel(&c, 0, 2);
	cr_assert_eq(c.hosts[0].n_revokes, 0, "what is finished is let deliver");
	crowd_step(&c, &judged);
	cr_assert_eq(c.out.n_facts, 0, "not judged after that");
	c.hosts[0].n_held = 2; /* its result once more: it is in the journal */
	crowd_end(&c, 0, "finished");
	cr_assert_null(crowd_fact(&c, KT_TAG_fact_late));
	crowd_end(&c, 0, "finished");
	cr_assert_not_null(crowd_fact(&c, KT_TAG_fact_late));
	c.hosts[0].n_held = 1;
	crowd_end(&c, 0, "finished");
	cr_assert_null(crowd_fact(&c, KT_TAG_fact_late), "once");
	cr_assert_eq(c.sweep.counts[KT_CELL_CANCELLED], 2);
	cr_assert_eq(c.sweep.counts[KT_CELL_PENDING], 1, "the other one is not touched");
	crowd_close(&c);
}

Test(orders, cancel_of_what_is_not_there_or_has_its_end_changes_nothing)
{
	static struct crowd c;

	crowd_open(&c, 2, 1, 3);
	cancel(&c, 2, 1);
	cancel(&c, UINT64_MAX, UINT64_MAX);
	cancel(&c, 0, 0);
	cr_assert_eq(c.sweep.counts[KT_CELL_PENDING], 2);
	cancel(&c, 1, 1);
	cr_assert_not_null(crowd_fact(&c, KT_TAG_fact_cancelled));
	cancel(&c, 1, 1);
	cr_assert_eq(c.out.n_facts, 0);
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 1, "what is cancelled is not granted");
	crowd_close(&c);
}

Test(orders, a_drained_host_finishes_what_it_has_and_gets_nothing_until_it_is_let_in)
{
	static struct crowd c;

	crowd_open(&c, 4, 2, 3);
	crowd_sync(&c, 0, 1);
	crowd_sync(&c, 0, 1); /* and one more that it has not spoken of */
	cr_assert_eq(c.hosts[0].n_held, 2);
	c.hosts[0].n_held = 1;
	drain(&c, "h0", true);
	cr_assert_eq(c.hosts[0].n_nudges, 1);
	crowd_sync(&c, 0, 7);
	cr_assert(c.hosts[0].drain);
	cr_assert_gt(strlen(c.hosts[0].note), 0);
	cr_assert_eq(c.hosts[0].n_held, 1, "nothing is offered again");
	cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], 1);
	crowd_end(&c, 0, "finished");
	cr_assert_eq(c.sweep.counts[KT_CELL_ENDED], 1);
	drain(&c, "h0", true);
	cr_assert_eq(c.out.n_facts, 0, "once");
	crowd_restart(&c);
	crowd_hello(&c, 0, 2, false);
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 0, "not after a restart of everybody either");
	drain(&c, "h0", false);
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 3);
	cr_assert_not(c.hosts[0].drain);
	drain(&c, "nobody", true);
	cr_assert_eq(c.out.n_facts, 0, "a host that nobody knows");
	for (uint64_t i = 0; i < 4; i++)
		cr_assert_eq(c.sweep.cells[i].charged, 0);
	crowd_close(&c);
}

Test(orders, a_host_whose_key_is_revoked_is_out_and_its_cells_go_elsewhere)
{
	static struct crowd c;
	struct kt_input revoked = { .kind = KT_INPUT_REVOKED, .who = "h0" };

	crowd_open(&c, 1, 2, 3);
	crowd_sync(&c, 0, 1);
	crowd_sync(&c, 0, 0);
	revoked.peer = 77;
	crowd_step(&c, &revoked);
	cr_assert_eq(c.sweep.counts[KT_CELL_LEASED], 1, "another connection with its former key");
	revoked.peer = 1;
	crowd_step(&c, &revoked);
	cr_assert_eq(c.hosts[0].n_refused, 1);
	cr_assert_eq(c.sweep.counts[KT_CELL_PENDING], 1);
	cr_assert_eq(c.sweep.cells[0].charged, 0);
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_refused, 2, "its session is over");
	crowd_tick(&c, KT_NS_PER_S);
	crowd_sync(&c, 1, 1);
	cr_assert_eq(c.hosts[1].n_held, 1);
	crowd_close(&c);
}

Test(orders, the_groups_of_a_large_cancelled_sweep_are_not_counted_again_with_each_of_them)
{
	static struct crowd c;
	static uint64_t n_asked;
	struct kt_msg_verdict verdict = { .outcome = "inconclusive" };
	struct kt_input grouped = { .kind = KT_INPUT_GROUPED,
				    .repeats = REPEATS,
				    .verdict = &verdict };

	crowd_open(&c, MANY, 1, 3);
	c.config.group = group;
	c.config.arg = &n_asked;
	cancel(&c, 0, MANY);
	cr_assert_eq(c.sweep.counts[KT_CELL_CANCELLED], MANY);
	for (grouped.cell = MANY / 2; grouped.cell < MANY; grouped.cell += REPEATS) {
		cr_assert_not(c.sweep.closed);
		crowd_step(&c, &grouped);
	}
	cr_assert(c.sweep.closed);
	cr_assert_lt(n_asked, 4 * MANY, "asked %llu times of %d cells", (unsigned long long)n_asked,
		     MANY);
	crowd_close(&c);
}
