#include "coordinator/report.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <json.h>
#include <stdlib.h>
#include <string.h>

/* Two cells that leave the guest open, one that wants a boot. */
static const char text[] =
	"[sweep]\nname = \"s\"\n"
	"[[kernel]]\nname = \"k\"\npath = \"a\"\n"
	"[[scheduler]]\nname = \"eevdf\"\n"
	"[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"1s\"\nrepeats = 2\n[[scenario.step]]\nhold = "
	"\"full\"\n"
	"[[scenario]]\nname = \"b\"\nduration = \"1s\"\nguest = \"cold\"\n[[scenario.step]]\nhold "
	"= "
	"\"full\"\n";
#define N_CELLS 3

struct stored {
	char dir[64];
	char path[96];
	struct kt_matrix *matrix;
	struct kt_journal *journal;
	struct kt_sweep sweep;
};

static void add(struct stored *stored, uint32_t tag, const void *fact)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_sweep_apply(&stored->sweep, tag, fact, &err), 0, "%s", err.text);
	cr_assert_eq(kt_journal_add_fact(stored->journal, 1, tag, fact, &err), 0, "%s", err.text);
}

/* guests: what each cell's machine says; NULL: the cell is not finished. */
static void store(struct stored *stored, const char *const guests[N_CELLS])
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = N_CELLS, .attempts_max = 3, .version = "0"
	};
	struct kt_err err = { 0 };

	*stored = (struct stored){ .dir = "/tmp/kt-test-report.XXXXXX" };
	cr_assert(mkdtemp(stored->dir));
	snprintf(stored->path, sizeof(stored->path), "%s/a.sweep", stored->dir);
	cr_assert_eq(kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &stored->matrix,
					 &err),
		     0, "%s", err.text);
	cr_assert_eq(kt_journal_create(stored->path, &stored->journal, &err), 0, "%s", err.text);
	kt_sweep_init(&stored->sweep);
	add(stored, KT_TAG_fact_opened, &opened);
	for (uint64_t i = 0; i < N_CELLS && guests[i]; i++) {
		struct kt_msg_fact_granted granted = {
			.cell = i, .epoch = i + 1, .attempt = 1, .host = "h"
		};
		struct kt_msg_machine machine = {
			.runner = "qemu",
			.accel = "tcg",
			.guest = guests[i],
			.qemu = "7.2",
			.cpu_model = "",
			.kernel_release = "",
			.template = strcmp(guests[i], "warm") == 0 ? "0123456789abcdef" : "",
		};
		struct kt_msg_moment timeline[] = {
			{ .name = "boot", .at_ns = 1500 * KT_NS_PER_MS, .detail = "" },
			{ .name = "step", .at_ns = 2 * KT_NS_PER_S, .detail = "0" },
			{ .name = "op",
			  .at_ns = 2 * KT_NS_PER_S,
			  .took_ns = 1500,
			  .detail = "capture a" },
			{ .name = "op",
			  .at_ns = 4 * KT_NS_PER_S,
			  .elapsed_ns = 2 * KT_NS_PER_S,
			  .took_ns = KT_NS_PER_S,
			  .failed = true,
			  .detail = "freeze_cgroup c: no" },
			{ .name = "payload",
			  .at_ns = 5 * KT_NS_PER_S,
			  .elapsed_ns = 3 * KT_NS_PER_S,
			  .detail = "p ended" },
		};
		struct kt_msg_result result = { .cause = "finished",
						.machine = &machine,
						.timeline = timeline,
						.n_timeline = 5 };
		struct kt_msg_clock_fit clock = { .ahead_ns = -1500 * KT_NS_PER_US,
						  .error_ns = 250 * KT_NS_PER_US };
		struct kt_msg_fact_ended ended = {
			.cell = i, .epoch = i + 1, .result = &result, .clock = i ? &clock : NULL
		};
		struct kt_msg_verdict verdict = { .outcome = "pass" };
		struct kt_msg_fact_judged judged = { .cell = i,
						     .epoch = i + 1,
						     .verdict = &verdict };

		add(stored, KT_TAG_fact_granted, &granted);
		add(stored, KT_TAG_fact_ended, &ended);
		add(stored, KT_TAG_fact_judged, &judged);
	}
	cr_assert_eq(kt_journal_commit(stored->journal, &err), 0, "%s", err.text);
}

static void forget(struct stored *stored)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	kt_journal_close(&stored->journal);
	kt_matrix_destroy(&stored->matrix);
	kt_sweep_destroy(&stored->sweep);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char file[128];

		snprintf(file, sizeof(file), "%s%s", stored->path, suffixes[i]);
		unlink(file);
	}
	rmdir(stored->dir);
}

/* guests of the cells (the third asked for cold), the line about them; NULL: none */
static const struct {
	const char *guests[N_CELLS];
	const char *line;
} totals[] = {
	{ { "warm", "warm", "cold" }, "guests: 2 warm, 1 cold as asked for\n" },
	{ { "warm", "cold", "cold" },
	  "guests: 1 warm, 1 cold as asked for, 1 cold for want of a template (why: ktcoord "
	  "show)\n" },
	{ { "cold", "cold", "cold" },
	  "guests: 1 cold as asked for, 2 cold for want of a template (why: ktcoord show)\n" },
	{ { "warm", "warm", NULL }, NULL },
	{ { "none", "none", "none" }, NULL },
	{ { NULL, NULL, NULL }, NULL },
};

Test(report, the_totals_say_which_guests_there_were_when_it_is_worth_a_line)
{
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		KT_AUTO_FREE char *printed = NULL;
		struct stored stored;
		size_t len;
		FILE *out = open_memstream(&printed, &len);

		store(&stored, totals[i].guests);
		kt_report_totals(stored.matrix, &stored.sweep, "p", out);
		fclose(out);
		if (totals[i].line)
			cr_expect(strstr(printed, totals[i].line), "%zu: %s", i, printed);
		else
			cr_expect_null(strstr(printed, "guests"), "%zu: %s", i, printed);
		cr_expect(strstr(printed, "\nsweep s  p\n"), "%s", printed);
		forget(&stored);
	}
}

Test(report, as_asked_for_is_what_the_whole_sweep_was_forced_to)
{
	static const char *const guests[N_CELLS] = { "cold", "cold", "cold" };
	KT_AUTO_FREE char *printed = NULL;
	struct stored stored;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	store(&stored, guests);
	kt_matrix_make_cold(stored.matrix);
	kt_report_totals(stored.matrix, &stored.sweep, "p", out);
	fclose(out);
	cr_expect_null(strstr(printed, "guests"), "%s", printed);
	forget(&stored);
}

static const char timeline_text[] =
	"        +1.500 s  boot\n"
	"        +2.000 s  step  0\n"
	"        +2.000 s  op  at +0.000 s, took 1.5us: capture a\n"
	"        +4.000 s  op  at +2.000 s, failed after 1s: freeze_cgroup c: no\n"
	"        +5.000 s  payload  at +3.000 s: p ended\n";

Test(report, show_names_the_template_of_a_warm_guest_and_tells_what_happened_in_it)
{
	static const char *const guests[N_CELLS] = { "warm", "cold", "cold" };
	struct kt_report_show how = { 0 };
	struct stored stored;

	store(&stored, guests);
	for (uint64_t i = 0; i < 2; i++) {
		KT_AUTO_FREE char *printed = NULL;
		struct kt_err err = { 0 };
		size_t len;
		FILE *out = open_memstream(&printed, &len);

		cr_assert_eq(kt_report_show(stored.journal, stored.matrix, &stored.sweep, i, &how,
					    out, &err),
			     0, "%s", err.text);
		fclose(out);
		cr_expect(strstr(printed, i == 0 ? "qemu tcg warm from template 0123456789abcdef  "
						 : "qemu tcg cold  qemu"),
			  "%s", printed);
		cr_expect(strstr(printed, timeline_text), "%s", printed);
		cr_expect_eq(!strstr(printed, "     its host's clock was -1.500 ms ahead of ours, "
					      "give or take 0.250 ms\n"),
			     i == 0, "%s", printed);
	}
	forget(&stored);
}

static const char *json_text(struct json_object *object, const char *key)
{
	return json_object_get_string(json_object_object_get(object, key));
}

Test(report, json_says_what_was_asked_for_and_what_it_was)
{
	static const char *const guests[N_CELLS] = { "warm", "cold", "cold" };
	KT_AUTO_FREE char *printed = NULL;
	struct json_object *json, *totals_json, *cells, *attempt, *machine;
	struct stored stored;
	struct kt_err err = { 0 };
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	store(&stored, guests);
	cr_assert_eq(kt_report_json(stored.journal, stored.matrix, &stored.sweep, out, &err), 0,
		     "%s", err.text);
	fclose(out);
	json = json_tokener_parse(printed);
	cr_assert(json, "%s", printed);
	totals_json = json_object_object_get(json, "totals");
	cr_expect_str_eq(json_text(totals_json, "warm"), "1");
	cr_expect_str_eq(json_text(totals_json, "cold"), "2");
	cells = json_object_object_get(json, "cells");
	for (size_t i = 0; i < N_CELLS; i++) {
		struct json_object *cell = json_object_array_get_idx(cells, i);

		attempt = json_object_array_get_idx(json_object_object_get(cell, "attempts"), 0);
		machine = json_object_object_get(json_object_object_get(attempt, "result"),
						 "machine");
		cr_expect_str_eq(json_text(cell, "guest"), i == 2 ? "cold" : "warm");
		cr_expect_str_eq(json_text(machine, "guest"), guests[i]);
		if (i)
			cr_expect_str_eq(json_text(json_object_object_get(attempt, "clock"),
						   "ahead_ns"),
					 "-1500000");
		else
			cr_expect_null(json_object_object_get(attempt, "clock"));
		if (i == 0)
			cr_expect_str_eq(json_text(machine, "template"), "0123456789abcdef");
	}
	json_object_put(json);
	forget(&stored);
}

/* The first cell has its verdict; the second was under way, the third had not begun. */
static void store_cancelled(struct stored *stored)
{
	static const char *const guests[N_CELLS] = { "warm", NULL, NULL };
	struct kt_msg_fact_granted granted = { .cell = 1, .epoch = 2, .attempt = 1, .host = "h" };
	struct kt_err err = { 0 };

	store(stored, guests);
	add(stored, KT_TAG_fact_granted, &granted);
	for (uint64_t i = 1; i < N_CELLS; i++) {
		struct kt_msg_fact_cancelled cancelled = { .cell = i, .line = "uid 7 asked" };

		add(stored, KT_TAG_fact_cancelled, &cancelled);
	}
	cr_assert_eq(kt_journal_commit(stored->journal, &err), 0, "%s", err.text);
}

Test(report, a_cancelled_cell_is_neither_pass_nor_fail_wherever_it_is_told)
{
	KT_AUTO_FREE char *lines = NULL;
	KT_AUTO_FREE char *printed = NULL;
	struct json_object *json, *cell, *attempt;
	struct stored stored;
	struct kt_err err = { 0 };
	size_t len;
	FILE *out = open_memstream(&lines, &len);

	store_cancelled(&stored);
	cr_expect_eq(kt_report_exit_of(&stored.sweep, false), KT_REPORT_EXIT_INTERRUPTED);
	cr_assert_eq(kt_report_text(stored.journal, stored.matrix, &stored.sweep, out, &err), 0,
		     "%s", err.text);
	fclose(out);
	cr_expect(strstr(lines, "CANCELLED  a/k/eevdf/t#1"), "%s", lines);
	cr_expect(strstr(lines, "CANCELLED  b/k/eevdf/t#0"), "%s", lines);
	cr_expect(strstr(lines, "       uid 7 asked\n"), "%s", lines);
	cr_expect(strstr(lines, "3 cells: 1 pass, 2 cancelled\n"), "%s", lines);
	out = open_memstream(&printed, &len);
	cr_assert_eq(kt_report_json(stored.journal, stored.matrix, &stored.sweep, out, &err), 0,
		     "%s", err.text);
	fclose(out);
	json = json_tokener_parse(printed);
	cr_assert(json, "%s", printed);
	cr_expect_str_eq(json_text(json_object_object_get(json, "totals"), "cancelled"), "2");
	cell = json_object_array_get_idx(json_object_object_get(json, "cells"), 1);
	attempt = json_object_array_get_idx(json_object_object_get(cell, "attempts"), 0);
	cr_expect_str_eq(json_text(cell, "outcome"), "cancelled");
	cr_expect_str_eq(json_text(cell, "state"), "cancelled");
	cr_expect_str_eq(json_text(cell, "cancelled"), "uid 7 asked");
	cr_expect_str_eq(json_text(attempt, "state"), "cancelled");
	json_object_put(json);
	forget(&stored);
}

Test(report, a_cancelled_cell_that_runs_again_is_cancelled_no_more)
{
	struct kt_msg_fact_reopened reopened = { .cell = 2 };
	struct kt_report_show how = { 0 };
	KT_AUTO_FREE char *printed = NULL;
	struct stored stored;
	struct kt_err err = { 0 };
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	store_cancelled(&stored);
	add(&stored, KT_TAG_fact_reopened, &reopened);
	cr_assert_eq(kt_report_show(stored.journal, stored.matrix, &stored.sweep, 2, &how, out,
				    &err),
		     0, "%s", err.text);
	fclose(out);
	cr_expect(strstr(printed, "b/k/eevdf/t#0: pending\n"), "%s", printed);
	forget(&stored);
}

/* outcomes of the sweep's cells, what the sweep ends with */
static const struct {
	uint64_t outcomes[KT_OUTCOME_N];
	uint64_t errored;
	uint64_t cancelled;
	enum kt_report_exit exit;
} exits[] = {
	{ { [KT_OUTCOME_PASS] = 1 }, 0, 0, KT_REPORT_EXIT_OK },
	{ { [KT_OUTCOME_PASS] = 1 }, 0, 1, KT_REPORT_EXIT_INTERRUPTED },
	{ { [KT_OUTCOME_INCONCLUSIVE] = 1 }, 0, 1, KT_REPORT_EXIT_INTERRUPTED },
	{ { [KT_OUTCOME_PASS] = 1 }, 1, 1, KT_REPORT_EXIT_INFRA },
	{ { [KT_OUTCOME_FAIL] = 1 }, 1, 1, KT_REPORT_EXIT_FAILED },
};

Test(report, a_failed_verdict_and_infra_trouble_say_more_than_a_cancelled_cell)
{
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		struct kt_sweep sweep = { 0 };

		for (int k = 0; k < KT_OUTCOME_N; k++) {
			sweep.outcomes[k] = exits[i].outcomes[k];
			sweep.counts[KT_CELL_JUDGED] += exits[i].outcomes[k];
		}
		sweep.counts[KT_CELL_ERRORED] = exits[i].errored;
		sweep.counts[KT_CELL_CANCELLED] = exits[i].cancelled;
		sweep.n_cells = kt_sweep_n_done(&sweep);
		cr_expect_eq(kt_report_exit_of(&sweep, false), exits[i].exit, "row %zu", i);
	}
}
