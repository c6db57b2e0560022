#include "crowd.h"

static bool is_quarantined(const struct crowd *c, size_t host)
{
	return kt_sweep_admission(&c->sweep, crowd_name(host)) == KT_ADMISSION_QUARANTINED;
}

/* Two cells in a row end by trouble of host 0. */
static void spoil(struct crowd *c)
{
	for (int i = 0; i < 2; i++) {
		crowd_sync(c, 0, 1);
		c->now_ns += KT_NS_PER_MS;
		crowd_end(c, 0, "disk_full");
		c->now_ns += KT_NS_PER_MS;
	}
}

Test(endings, trouble_in_a_row_on_two_cells_is_a_quarantine_and_a_canary_ends_it)
{
	static struct crowd c;
	uint8_t charged = 0;

	crowd_open(&c, 20, 2, 3);
	crowd_sync(&c, 1, 1);
	spoil(&c);
	cr_assert(is_quarantined(&c, 0));
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 0, "not before a pause");
	cr_assert_gt(strlen(c.hosts[0].note), 0);
	crowd_restart(&c);
	crowd_hello(&c, 0, 1, false);
	crowd_hello(&c, 1, 1, false);
	crowd_sync(&c, 1, 0);
	cr_assert(is_quarantined(&c, 0), "a restart changes nothing");
	crowd_tick(&c, KT_NS_PER_S);
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 1, "one cell at a time");
	cr_assert_eq(c.sweep.cells[c.hosts[0].held[0].cell].charged, 0,
		     "one that has not failed elsewhere");
	crowd_sync(&c, 0, 7);
	cr_assert_eq(c.hosts[0].n_held, 1);
	crowd_end(&c, 0, "disk_full");
	for (uint64_t i = 0; i < 20; i++)
		charged += c.sweep.cells[i].charged;
	cr_assert_eq(charged, 2, "what fails as a canary is not charged to the cell");
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 0);
	c.hosts[0].n_nudges = 0;
	crowd_tick(&c, 2 * CROWD_RETRY);
	crowd_sync(&c, 1, 0);
	cr_assert_eq(c.hosts[0].n_nudges, 1, "it is told when the pause is over");
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 1);
	crowd_end(&c, 0, "finished");
	cr_assert_not(is_quarantined(&c, 0));
	crowd_sync(&c, 0, 8);
	cr_assert_eq(c.hosts[0].n_held, 8);
	crowd_close(&c);
}

Test(endings, a_host_that_dies_with_all_it_has_has_had_one_trouble)
{
	static struct crowd c;

	crowd_open(&c, 8, 2, 5);
	crowd_sync(&c, 0, 8);
	crowd_sync(&c, 0, 0);
	cr_assert_eq(c.hosts[0].n_held, 8);
	for (int i = 0; i < 20; i++) {
		crowd_tick(&c, KT_NS_PER_S);
		crowd_sync(&c, 1, 0);
	}
	cr_assert_eq(c.sweep.counts[KT_CELL_PENDING], 8);
	cr_assert_not(is_quarantined(&c, 0));
	crowd_close(&c);
}

Test(endings, a_host_that_is_alone_is_not_put_into_quarantine)
{
	static struct crowd c;

	crowd_open(&c, 4, 1, 3);
	spoil(&c);
	cr_assert_not(is_quarantined(&c, 0));
	crowd_close(&c);
}

Test(endings, a_sweep_whose_only_host_is_quarantined_comes_to_its_end)
{
	static struct crowd c;
	struct kt_msg_bye bye = { .reason = "" };

	crowd_open(&c, 6, 2, 3);
	spoil(&c);
	cr_assert(is_quarantined(&c, 0));
	bye.session = c.hosts[1].session;
	crowd_say(&c, 1, KT_TAG_bye, &bye);
	for (int i = 0; i < 60 && !c.sweep.closed; i++) {
		crowd_tick(&c, CROWD_SYNC);
		crowd_sync(&c, 0, 8);
		if (c.hosts[0].n_held)
			crowd_end(&c, 0, "disk_full");
	}
	cr_assert(c.sweep.closed,
		  "canaries at the pace of retries, and charged: nobody else is left");
	cr_assert_eq(c.sweep.counts[KT_CELL_ERRORED], 6);
	crowd_close(&c);
}

Test(endings, a_cell_that_takes_down_three_hosts_is_poison_and_names_them)
{
	static struct crowd c;
	const struct kt_msg_fact_errored *errored;
	char kept[300] = "";

	crowd_open(&c, 1, 4, 50);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(c.sweep.counts[KT_CELL_ERRORED], 0);
		crowd_sync(&c, i, 1);
		cr_assert_eq(c.hosts[i].n_held, 1);
		if (i == 1) { /* a restart in between forgets nothing */
			crowd_restart(&c);
			for (size_t k = 0; k < 4; k++)
				crowd_hello(&c, k, 1, false);
			crowd_sync(&c, i, 0);
		}
		crowd_end(&c, i, "qemu_died");
		errored = crowd_fact(&c, KT_TAG_fact_errored);
		if (errored)
			snprintf(kept, sizeof(kept), "%.299s", errored->line);
		if (i < 2)
			crowd_tick(&c, 3 * KT_NS_PER_S);
		for (size_t k = 0; k < 4; k++)
			if (k != i + 1)
				crowd_sync(&c, k, 0);
	}
	cr_assert_eq(c.sweep.counts[KT_CELL_ERRORED], 1);
	cr_assert_not_null(strstr(kept, "h0, h1 and h2"), "%s", kept);
	crowd_close(&c);
}

Test(endings, poison_says_so_and_the_same_host_counts_once)
{
	static struct crowd c;
	const struct kt_msg_fact_errored *errored = NULL;

	crowd_open(&c, 1, 1, 50);
	for (int i = 0; i < 5; i++) { /* alone: it may have it again */
		crowd_hello(&c, 0, 1, false);
		crowd_sync(&c, 0, 1);
		cr_assert_eq(c.hosts[0].n_held, 1);
		crowd_end(&c, 0, "runner_crashed");
		crowd_tick(&c, 4 * KT_NS_PER_S);
		cr_assert_eq(c.sweep.counts[KT_CELL_ERRORED], 0);
	}
	crowd_hello(&c, 1, 1, false);
	crowd_hello(&c, 2, 1, false);
	for (size_t i = 1; i < 3; i++) {
		crowd_sync(&c, i, 1);
		cr_assert_eq(c.hosts[i].n_held, 1);
		crowd_end(&c, i, "disk_full"); /* no cell does that */
		cr_assert_null(crowd_fact(&c, KT_TAG_fact_errored));
		crowd_tick(&c, 5 * KT_NS_PER_S);
		crowd_hello(&c, 1, 1, false);
		crowd_hello(&c, 2, 1, false);
	}
	for (size_t i = 1; i < 3; i++) {
		crowd_sync(&c, i, 1);
		cr_assert_eq(c.hosts[i].n_held, 1);
		crowd_end(&c, i, "runner_crashed");
		errored = crowd_fact(&c, KT_TAG_fact_errored);
		if (i < 2)
			crowd_tick(&c, 2 * CROWD_GRACE);
		if (i < 2)
			crowd_hello(&c, 2, 1, false);
	}
	cr_assert_not_null(errored);
	cr_assert_str_eq(errored->cause, "poison");
	cr_assert_not_null(strstr(errored->line, "h0, h1 and h2"), "%s", errored->line);
	crowd_close(&c);
}

/* A host may say as much as a frame takes; what we add is left out before the fact is too large for the journal. */
Test(endings, a_result_of_a_whole_frame_and_our_clock_make_a_fact_that_can_be_read)
{
	static struct kt_msg_worker_report reports[KT_WORKERS_MAX];
	static char evidence[KT_LOG_BYTES_MAX + 1];
	static char missing[400];
	static struct crowd c;
	struct kt_msg_result result = { .cause = "finished",
					.line = "",
					.evidence = evidence,
					.note = "",
					.reports = reports };
	struct kt_msg_result_sent sent = { .result = &result };
	const struct kt_msg_fact_ended *ended;
	size_t bytes;

	memset(missing, 'm', sizeof(missing) - 1);
	for (size_t i = 0; i < KT_WORKERS_MAX; i++)
		reports[i] = (struct kt_msg_worker_report){ .cgroup = "c", .missing = missing };
	crowd_open(&c, 2, 1, 3);
	for (int i = 0; i < 4; i++)
		crowd_sync(&c, 0, i == 0 ? 2 : 0);
	crowd_end(&c, 0, "finished");
	ended = crowd_fact(&c, KT_TAG_fact_ended);
	cr_assert_not_null(ended->clock, "else this shows nothing");
	c.hosts[0].n_held = 0;
	sent.session = c.hosts[0].session;
	sent.epoch = c.hosts[0].held[0].epoch;
	sent.cell = c.hosts[0].held[0].cell;
	memset(evidence, 'e', 1000); /* its length has three bytes from the start */
	do {
		result.n_reports++;
		bytes = kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_result_sent, &sent);
	} while (bytes < KT_FRAME_BYTES_MAX - 1000);
	memset(evidence, 'e', 1000 + KT_FRAME_BYTES_MAX - bytes);
	cr_assert_eq(kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_result_sent, &sent),
		     KT_FRAME_BYTES_MAX);
	crowd_say(&c, 0, KT_TAG_result_sent, &sent);
	ended = crowd_fact(&c, KT_TAG_fact_ended);
	cr_assert_not_null(ended);
	cr_assert(kt_facts_fits(KT_TAG_fact_ended, ended));
	crowd_close(&c);
}
