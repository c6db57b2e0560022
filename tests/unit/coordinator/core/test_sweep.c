#include "coordinator/core/sweep.h"

#include <criterion/criterion.h>

static struct kt_msg_verdict pass = { .outcome = "pass" };
static struct kt_msg_result finished = { .cause = "finished" };

static struct kt_sweep opened(uint64_t n_cells)
{
	struct kt_msg_fact_opened fact = {
		.sweep_id = "s", .n_cells = n_cells, .attempts_max = 2, .version = "0"
	};
	struct kt_sweep sweep;

	kt_sweep_init(&sweep);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_opened, &fact, NULL), 0);
	return sweep;
}

static int grant(struct kt_sweep *sweep, uint64_t cell, uint64_t epoch)
{
	struct kt_msg_fact_granted fact = {
		.cell = cell, .epoch = epoch, .attempt = 1, .host = "a"
	};

	return kt_sweep_apply(sweep, KT_TAG_fact_granted, &fact, NULL);
}

static int end(struct kt_sweep *sweep, uint64_t cell, uint64_t epoch)
{
	struct kt_msg_fact_ended fact = { .cell = cell, .epoch = epoch, .result = &finished };

	return kt_sweep_apply(sweep, KT_TAG_fact_ended, &fact, NULL);
}

static int judge(struct kt_sweep *sweep, uint64_t cell, uint64_t epoch)
{
	struct kt_msg_fact_judged fact = { .cell = cell, .epoch = epoch, .verdict = &pass };

	return kt_sweep_apply(sweep, KT_TAG_fact_judged, &fact, NULL);
}

static int fail(struct kt_sweep *sweep, uint64_t cell, uint64_t epoch)
{
	struct kt_msg_fact_failed fact = {
		.cell = cell, .epoch = epoch, .cause = "qemu_died", .line = "", .charged = true
	};

	return kt_sweep_apply(sweep, KT_TAG_fact_failed, &fact, NULL);
}

Test(sweep, a_cell_that_was_given_up_is_reopened_with_all_its_tries)
{
	struct kt_msg_fact_errored errored = { .cell = 0, .cause = "disk_full", .line = "" };
	struct kt_msg_fact_reopened reopened = { .cell = 0 };
	struct kt_msg_fact_closed closed = { .errored = 1 };
	struct kt_sweep sweep = opened(1);

	cr_assert_lt(kt_sweep_apply(&sweep, KT_TAG_fact_reopened, &reopened, NULL), 0);
	grant(&sweep, 0, 1);
	fail(&sweep, 0, 1);
	grant(&sweep, 0, 2);
	fail(&sweep, 0, 2);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_errored, &errored, NULL), 0);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_closed, &closed, NULL), 0);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_reopened, &reopened, NULL), 0);
	cr_assert_not(sweep.closed);
	cr_assert_eq(sweep.cells[0].charged, 0);
	cr_assert_eq(sweep.counts[KT_CELL_PENDING], 1);
	cr_assert_eq(grant(&sweep, 0, 3), 0);
	cr_assert_eq(end(&sweep, 0, 3), 0);
	cr_assert_eq(judge(&sweep, 0, 3), 0);
	cr_assert_lt(kt_sweep_apply(&sweep, KT_TAG_fact_reopened, &reopened, NULL), 0);
	kt_sweep_destroy(&sweep);
}

Test(sweep, a_cell_goes_from_pending_to_judged)
{
	struct kt_sweep sweep = opened(1);

	cr_assert_eq(grant(&sweep, 0, 1), 0);
	cr_assert_eq(end(&sweep, 0, 1), 0);
	cr_assert_not(kt_sweep_is_done(&sweep));
	cr_assert_eq(judge(&sweep, 0, 1), 0);
	cr_assert(kt_sweep_is_done(&sweep));
	cr_assert_eq(sweep.outcomes[KT_OUTCOME_PASS], 1);
	kt_sweep_destroy(&sweep);
}

Test(sweep, a_cell_remembers_the_guest_of_its_newest_result)
{
	static const struct {
		const char *said;
		enum kt_sweep_guest guest;
	} guests[] = { { "warm", KT_SWEEP_GUEST_WARM },
		       { "none", KT_SWEEP_GUEST_NONE },
		       { "", KT_SWEEP_GUEST_NONE },
		       { "cold", KT_SWEEP_GUEST_COLD } };
	struct kt_msg_machine machine = { .runner = "qemu", .accel = "tcg" };
	struct kt_msg_result result = { .cause = "finished", .machine = &machine };
	struct kt_msg_fact_ended ended = { .result = &result };
	struct kt_sweep sweep = opened(1);

	for (size_t i = 0; i < sizeof(guests) / sizeof(guests[0]); i++) {
		machine.guest = guests[i].said;
		ended.epoch = i + 1;
		cr_assert_eq(grant(&sweep, 0, ended.epoch), 0);
		cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_ended, &ended, NULL), 0);
		cr_expect_eq(sweep.cells[0].guest, guests[i].guest);
		cr_assert_eq(fail(&sweep, 0, ended.epoch), 0);
		cr_expect_eq(sweep.cells[0].guest, KT_SWEEP_GUEST_NONE);
	}
	kt_sweep_destroy(&sweep);
}

Test(sweep, what_cannot_follow_is_refused_and_changes_nothing)
{
	struct kt_sweep sweep = opened(2);
	struct kt_sweep same = opened(2);

	cr_assert_lt(end(&sweep, 0, 1), 0, "no lease");
	cr_assert_lt(judge(&sweep, 0, 0), 0, "nothing ended");
	cr_assert_lt(grant(&sweep, 2, 1), 0, "no such cell");
	cr_assert_lt(grant(&sweep, 0, 0), 0, "epochs begin at 1");
	cr_assert(kt_sweep_equal(&sweep, &same));
	cr_assert_eq(grant(&sweep, 0, 1), 0);
	cr_assert_lt(grant(&sweep, 0, 2), 0, "leased already");
	cr_assert_lt(grant(&sweep, 1, 1), 0, "the epoch is not new");
	cr_assert_lt(end(&sweep, 0, 2), 0, "another lease");
	kt_sweep_destroy(&sweep);
	kt_sweep_destroy(&same);
}

Test(sweep, a_fenced_worker_cannot_judge)
{
	struct kt_sweep sweep = opened(1);

	cr_assert_eq(grant(&sweep, 0, 1), 0);
	cr_assert_eq(fail(&sweep, 0, 1), 0);
	cr_assert_eq(grant(&sweep, 0, 2), 0);
	cr_assert_lt(end(&sweep, 0, 1), 0, "epoch 1 is fenced");
	cr_assert_eq(end(&sweep, 0, 2), 0);
	cr_assert_lt(judge(&sweep, 0, 1), 0);
	cr_assert_eq(judge(&sweep, 0, 2), 0);
	cr_assert_lt(judge(&sweep, 0, 2), 0, "the first accepted verdict stands");
	kt_sweep_destroy(&sweep);
}

static int group(struct kt_sweep *sweep, uint64_t cell, uint64_t repeats, const char *outcome)
{
	struct kt_msg_verdict verdict = { .outcome = outcome };
	struct kt_msg_fact_grouped fact = { .cell = cell, .repeats = repeats, .verdict = &verdict };

	return kt_sweep_apply(sweep, KT_TAG_fact_grouped, &fact, NULL);
}

Test(sweep, repeats_have_a_verdict_together_once_all_have_their_end)
{
	struct kt_msg_fact_errored errored = { .cell = 1, .cause = "disk_full", .line = "" };
	struct kt_msg_fact_reopened reopened = { .cell = 1 };
	struct kt_sweep sweep = opened(3);

	grant(&sweep, 0, 1);
	end(&sweep, 0, 1);
	cr_assert_lt(group(&sweep, 0, 1, "pass"), 0, "not judged yet");
	judge(&sweep, 0, 1);
	cr_assert_lt(group(&sweep, 0, 2, "pass"), 0, "one is left");
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_errored, &errored, NULL), 0);
	cr_assert_lt(group(&sweep, 0, 2, "perhaps"), 0, "no such outcome");
	cr_assert_lt(group(&sweep, 2, 2, "pass"), 0, "no such cells");
	cr_assert_lt(group(&sweep, 3, 1, "pass"), 0, "no such cells");
	cr_assert_not(kt_sweep_is_grouped(&sweep, 0, 1));
	cr_assert_eq(group(&sweep, 0, 2, "inconclusive"), 0);
	cr_assert(kt_sweep_is_grouped(&sweep, 0, 2));
	cr_assert_not(kt_sweep_is_grouped(&sweep, 0, 3));
	cr_assert_eq(sweep.groups[KT_OUTCOME_INCONCLUSIVE], 1);
	cr_assert_eq(sweep.cells[0].group, KT_OUTCOME_INCONCLUSIVE);
	/* One of them is tried again: their verdict comes again, and replaces the first. */
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_reopened, &reopened, NULL), 0);
	cr_assert_not(kt_sweep_is_grouped(&sweep, 0, 2));
	grant(&sweep, 1, 2);
	end(&sweep, 1, 2);
	judge(&sweep, 1, 2);
	cr_assert_eq(group(&sweep, 0, 2, "pass"), 0);
	cr_assert_eq(sweep.groups[KT_OUTCOME_INCONCLUSIVE], 0);
	cr_assert_eq(sweep.groups[KT_OUTCOME_PASS], 1);
	kt_sweep_destroy(&sweep);
}

static int begin_judgement(struct kt_sweep *sweep, uint64_t judgement)
{
	struct kt_msg_fact_rejudging fact = { .judgement = judgement, .matrix_file = "" };

	return kt_sweep_apply(sweep, KT_TAG_fact_rejudging, &fact, NULL);
}

static int judge_again(struct kt_sweep *sweep, uint64_t cell, uint64_t epoch, uint64_t judgement,
		       const char *outcome)
{
	struct kt_msg_verdict verdict = { .outcome = outcome };
	struct kt_msg_fact_rejudged fact = {
		.cell = cell, .epoch = epoch, .judgement = judgement, .verdict = &verdict
	};

	return kt_sweep_apply(sweep, KT_TAG_fact_rejudged, &fact, NULL);
}

Test(sweep, the_newest_verdict_counts_and_only_a_judged_cell_is_judged_again)
{
	struct kt_sweep sweep = opened(2);

	grant(&sweep, 0, 1);
	end(&sweep, 0, 1);
	cr_assert_lt(judge_again(&sweep, 0, 1, 0, "fail"), 0); /* no judgement began */
	cr_assert_lt(begin_judgement(&sweep, 2), 0);
	cr_assert_eq(begin_judgement(&sweep, 1), 0);
	cr_assert_lt(judge_again(&sweep, 0, 1, 1, "fail"), 0); /* it has no verdict yet */
	judge(&sweep, 0, 1);
	cr_assert_lt(judge_again(&sweep, 0, 2, 1, "fail"), 0); /* another attempt */
	cr_assert_lt(judge_again(&sweep, 0, 1, 2, "fail"), 0); /* another judgement */
	cr_assert_lt(judge_again(&sweep, 0, 1, 1, "error"), 0);
	cr_assert_lt(judge_again(&sweep, 1, 1, 1, "fail"), 0);
	cr_assert_eq(sweep.outcomes[KT_OUTCOME_PASS], 1);
	cr_assert_eq(judge_again(&sweep, 0, 1, 1, "fail"), 0);
	cr_assert_eq(sweep.outcomes[KT_OUTCOME_PASS], 0);
	cr_assert_eq(sweep.outcomes[KT_OUTCOME_FAIL], 1);
	cr_assert_eq(sweep.cells[0].judgement, 1);
	cr_assert_eq(sweep.counts[KT_CELL_JUDGED], 1);
	cr_assert_eq(begin_judgement(&sweep, 2), 0);
	cr_assert_eq(judge_again(&sweep, 0, 1, 2, "skip"), 0);
	cr_assert_eq(sweep.outcomes[KT_OUTCOME_FAIL], 0);
	cr_assert_eq(sweep.outcomes[KT_OUTCOME_SKIP], 1);
	kt_sweep_destroy(&sweep);
}

Test(sweep, a_group_is_judged_again_with_its_cells)
{
	struct kt_msg_verdict fails = { .outcome = "fail" };
	struct kt_msg_fact_grouped grouped = { .cell = 0, .repeats = 1, .verdict = &fails };
	struct kt_msg_fact_regrouped again = {
		.cell = 0, .repeats = 1, .judgement = 1, .verdict = &pass
	};
	struct kt_sweep sweep = opened(1);

	grant(&sweep, 0, 1);
	end(&sweep, 0, 1);
	judge(&sweep, 0, 1);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_grouped, &grouped, NULL), 0);
	cr_assert_lt(kt_sweep_apply(&sweep, KT_TAG_fact_regrouped, &again, NULL), 0);
	begin_judgement(&sweep, 1);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_regrouped, &again, NULL), 0);
	cr_assert_eq(sweep.groups[KT_OUTCOME_FAIL], 0);
	cr_assert_eq(sweep.groups[KT_OUTCOME_PASS], 1);
	kt_sweep_destroy(&sweep);
}

static int leave_out(struct kt_sweep *sweep, uint64_t cell, uint64_t n)
{
	struct kt_msg_fact_left_out fact = { .cell = cell, .n = n, .why = "by --budget 20m" };

	return kt_sweep_apply(sweep, KT_TAG_fact_left_out, &fact, NULL);
}

Test(sweep, what_is_left_out_is_never_run_and_nobody_waits_for_it)
{
	struct kt_msg_fact_term term = { .term = 1 };
	struct kt_sweep sweep = opened(5);

	cr_assert_lt(leave_out(&sweep, 4, 2), 0, "there are five");
	cr_assert_lt(leave_out(&sweep, 5, 1), 0);
	cr_assert_eq(leave_out(&sweep, 1, 3), 0);
	cr_assert_lt(leave_out(&sweep, 3, 2), 0, "one of them is out already");
	cr_assert_eq(sweep.cells[4].state, KT_CELL_PENDING, "and then none of them goes");
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_term, &term, NULL), 0);
	cr_assert_lt(leave_out(&sweep, 4, 1), 0, "it has begun");
	cr_assert_lt(grant(&sweep, 2, 1), 0);
	cr_assert_eq(kt_sweep_n_to_run(&sweep), 2);
	cr_assert_not(kt_sweep_has_ended(&sweep, 1, 3), "none of these will ever be run");
	grant(&sweep, 0, 1);
	end(&sweep, 0, 1);
	cr_assert_not(kt_sweep_has_ended(&sweep, 0, 3));
	judge(&sweep, 0, 1);
	cr_assert(kt_sweep_has_ended(&sweep, 0, 3), "of a group that was cut, what is left");
	cr_assert_not(kt_sweep_is_done(&sweep));
	grant(&sweep, 4, 2);
	end(&sweep, 4, 2);
	judge(&sweep, 4, 2);
	cr_assert(kt_sweep_is_done(&sweep));
	cr_assert_eq(kt_sweep_n_done(&sweep), 2);
	cr_assert_eq(sweep.counts[KT_CELL_LEFT_OUT], 3);
	cr_assert_str_eq(sweep.left_out_why, "by --budget 20m");
	kt_sweep_destroy(&sweep);
}

static int cancel(struct kt_sweep *sweep, uint64_t cell)
{
	struct kt_msg_fact_cancelled fact = { .cell = cell, .line = "ktcoord cancel" };

	return kt_sweep_apply(sweep, KT_TAG_fact_cancelled, &fact, NULL);
}

Test(sweep, what_was_cancelled_has_its_end_and_can_be_reopened)
{
	struct kt_msg_fact_reopened reopened = { .cell = 0 };
	struct kt_sweep sweep = opened(3);

	grant(&sweep, 1, 1);
	grant(&sweep, 2, 2);
	end(&sweep, 2, 2);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(cancel(&sweep, i), 0, "pending, leased or ended: cell %d", (int)i);
	cr_assert_lt(cancel(&sweep, 0), 0, "once");
	cr_assert_lt(end(&sweep, 1, 1), 0, "what comes later is evidence at most");
	cr_assert(kt_sweep_is_done(&sweep));
	cr_assert(kt_sweep_has_ended(&sweep, 0, 3));
	cr_assert_eq(sweep.counts[KT_CELL_CANCELLED], 3);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_reopened, &reopened, NULL), 0);
	cr_assert_eq(sweep.cells[0].state, KT_CELL_PENDING);
	kt_sweep_destroy(&sweep);
}

Test(sweep, the_newest_admission_of_a_host_counts)
{
	struct kt_msg_fact_admission fact = { .host = "h1", .admission = "quarantined" };
	struct kt_sweep sweep = opened(1);

	cr_assert_eq(kt_sweep_admission(&sweep, "h1"), KT_ADMISSION_OPEN, "of who is not known");
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_admission, &fact, NULL), 0);
	cr_assert_eq(kt_sweep_admission(&sweep, "h1"), KT_ADMISSION_QUARANTINED);
	fact.admission = "open";
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_admission, &fact, NULL), 0);
	cr_assert_eq(kt_sweep_admission(&sweep, "h1"), KT_ADMISSION_OPEN);
	fact.admission = "shut";
	cr_assert_lt(kt_sweep_apply(&sweep, KT_TAG_fact_admission, &fact, NULL), 0);
	kt_sweep_destroy(&sweep);
}
