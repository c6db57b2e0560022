#include "coordinator/durations.h"
#include "coordinator/journal.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define S KT_NS_PER_S

static char state[64];

static void make_state(void)
{
	char sweeps[80];

	snprintf(state, sizeof(state), "/tmp/kt-durations.XXXXXX");
	cr_assert(mkdtemp(state));
	snprintf(sweeps, sizeof(sweeps), "%s/sweeps", state);
	cr_assert_eq(mkdir(sweeps, 0755), 0);
}

static void remove_state(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", state);
	cr_assert_eq(system(command), 0);
}

TestSuite(durations, .init = make_state, .fini = remove_state);

/* Cells 0 and 1 are a's with t and u, 2 and 3 are b's; run_s: how long both are. */
static char *text_of(const char *run_s)
{
	static char text[2048];

	snprintf(text, sizeof(text),
		 "[sweep]\nname = \"s\"\n[[kernel]]\nname = \"k\"\npath = \"p\"\n"
		 "[[scheduler]]\nname = \"eevdf\"\n"
		 "[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
		 "[[topology]]\nname = \"u\"\ncpus = \"1n1l4c1t\"\n"
		 "[[scenario]]\nname = \"a\"\nduration = \"%s\"\n[[scenario.step]]\nhold = "
		 "\"full\"\n"
		 "[[scenario]]\nname = \"b\"\nduration = \"%s\"\nguest = \"cold\"\n"
		 "[[scenario.step]]\nhold = \"full\"\n",
		 run_s, run_s);
	return text;
}

static struct kt_matrix *matrix_of(const char *run_s)
{
	struct kt_matrix *matrix = NULL;
	char *text = text_of(run_s);

	cr_assert_eq(kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &matrix, NULL),
		     0);
	return matrix;
}

static struct kt_journal *sweep(const char *name, const char *runner, const char *run_s)
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = name, .n_cells = 4, .attempts_max = 1, .version = "0"
	};
	struct kt_journal *journal = NULL;
	char *text = text_of(run_s);
	char path[128];

	snprintf(path, sizeof(path), "%s/sweeps/%s.sweep", state, name);
	cr_assert_eq(kt_journal_create(path, &journal, NULL), 0);
	cr_assert_eq(kt_journal_set_meta(journal, "matrix", text, strlen(text), NULL), 0);
	cr_assert_eq(kt_journal_set_meta(journal, "runner", runner, strlen(runner), NULL), 0);
	cr_assert_eq(kt_journal_add_fact(journal, 1, KT_TAG_fact_opened, &opened, NULL), 0);
	return journal;
}

static void ended(struct kt_journal *journal, uint64_t cell, const char *guest, int64_t wall_ns)
{
	struct kt_msg_machine machine = { .runner = "qemu", .accel = "tcg", .guest = guest };
	struct kt_msg_result result = { .cause = "finished",
					.wall_ns = wall_ns,
					.machine = &machine };
	struct kt_msg_fact_ended fact = { .cell = cell, .epoch = 1, .result = &result };

	cr_assert_eq(kt_journal_add_fact(journal, 1, KT_TAG_fact_ended, &fact, NULL), 0);
	cr_assert_eq(kt_journal_commit(journal, NULL), 0);
}

Test(durations, a_cells_own_mean_comes_first_then_its_scenarios)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of("10s");
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *longer = matrix_of("60s");
	struct kt_journal *journal = sweep("one", "qemu", "10s");
	struct kt_durations *durations;

	ended(journal, 0, "warm", 12 * S);
	ended(journal, 0, "warm", 14 * S);
	kt_journal_close(&journal);
	durations = kt_durations_load(state, "qemu", 0);
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 0), 13 * S);
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 1), 13 * S, "another cell of a");
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 2), 0, "nothing is known of b");
	cr_assert_eq(kt_durations_cell_ns(durations, longer, 0), 63 * S, "what came on top of it");
	kt_durations_destroy(&durations);
}

Test(durations, like_is_measured_by_like)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of("10s");
	struct kt_journal *journal = sweep("one", "qemu", "10s");
	struct kt_journal *scripted = sweep("two", "scripted", "10s");
	struct kt_durations *durations;
	char path[128];
	FILE *file;

	ended(journal, 0, "cold", 20 * S); /* for want of a template */
	ended(journal, 1, "warm", 11 * S);
	ended(journal, 3, "cold", 30 * S);
	ended(scripted, 0, "none", S);
	kt_journal_close(&journal);
	kt_journal_close(&scripted);
	snprintf(path, sizeof(path), "%s/sweeps/broken.sweep", state);
	file = fopen(path, "w");
	fputs("not a sweep", file);
	fclose(file);

	durations = kt_durations_load(state, "qemu", 0);
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 0), 11 * S, "a warm one is asked for");
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 1), 11 * S);
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 2), 30 * S);
	kt_durations_destroy(&durations);
	durations = kt_durations_load(state, "scripted", 0);
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 1), S);
	kt_durations_destroy(&durations);
	durations = kt_durations_load("/nonexistent", "qemu", 0);
	cr_assert_eq(kt_durations_cell_ns(durations, matrix, 1), 0);
	kt_durations_destroy(&durations);
}

Test(durations, a_cell_that_failed_at_once_still_takes_time)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of("10s");
	struct kt_journal *journal = sweep("one", "qemu", "60s");
	struct kt_durations *durations;

	ended(journal, 0, "warm", 2 * S); /* 58 s before its end */
	kt_journal_close(&journal);
	durations = kt_durations_load(state, "qemu", 0);
	cr_assert_gt(kt_durations_cell_ns(durations, matrix, 0), 0);
	kt_durations_destroy(&durations);
}
