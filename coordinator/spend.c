#include "coordinator/spend.h"
#include "coordinator/core/matrix/estimate.h"
#include "coordinator/durations.h"
#include "proto/base/clock.h"
#include "proto/base/duration.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct times {
	const struct kt_matrix *matrix;
	struct kt_durations *durations;
};

static int64_t cell_ns(void *arg, uint64_t index)
{
	const struct times *times = arg;
	int64_t measured_ns = kt_durations_cell_ns(times->durations, times->matrix, index);
	struct kt_matrix_cell cell;

	if (measured_ns)
		return measured_ns;
	kt_matrix_cell(times->matrix, index, &cell);
	return kt_estimate_cell_ns(&cell, NULL);
}

/* As worker/main.c has it. */
static uint64_t default_slots(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus > 3 ? (uint64_t)cpus / 2 : 1;
}

static void look_back(const struct times *times, struct kt_spend *spend)
{
	for (uint64_t i = 0; i < spend->budget.n_cells; i++)
		spend->n_measured += spend->budget.taken[i] &&
				     kt_durations_cell_ns(times->durations, times->matrix, i) > 0;
}

int kt_spend_choose(const char *text, uint64_t slots, const char *state_dir, const char *runner,
		    const struct kt_matrix *matrix, struct kt_spend *spend, struct kt_err *err)
{
	struct times times = { .matrix = matrix };
	struct kt_budget_ask ask = { .matrix = matrix, .cell_ns = cell_ns, .arg = &times };
	int rc;

	*spend = (struct kt_spend){ .text = text, .slots = slots ? slots : default_slots() };
	if (!kt_duration_parse(text, &spend->budget_ns) || spend->budget_ns == 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--budget takes a time of at most 24h, e.g. 20m, not '%.64s'",
				  text);
	times.durations = kt_durations_load(state_dir, runner, 0);
	ask.budget_ns = spend->budget_ns;
	ask.slots = spend->slots;
	rc = kt_budget_choose(&ask, &spend->budget, err);
	if (rc == 0)
		look_back(&times, spend);
	kt_durations_destroy(&times.durations);
	return rc;
}

void kt_spend_destroy(struct kt_spend *spend)
{
	kt_budget_destroy(&spend->budget);
}

int64_t kt_spend_wall_ns(const struct kt_spend *spend)
{
	int64_t share_ns = spend->budget.taken_ns / (int64_t)spend->slots;

	return share_ns > spend->budget.longest_ns ? share_ns : spend->budget.longest_ns;
}

int kt_spend_record(const struct kt_spend *spend, struct kt_journal *journal,
		    struct kt_sweep *sweep, struct kt_err *err)
{
	struct kt_msg_fact_left_out fact = { 0 };
	char why[KT_NAME_BYTES_MAX];
	int rc = 0;

	snprintf(why, sizeof(why), "by --budget %.64s", spend->text);
	fact.why = why;
	while (rc == 0 && kt_budget_left_out(&spend->budget, &fact.cell, &fact.n)) {
		rc = kt_journal_add_fact(journal, kt_clock_wall_ns(), KT_TAG_fact_left_out, &fact,
					 err);
		if (rc == 0)
			rc = kt_sweep_apply(sweep, KT_TAG_fact_left_out, &fact, err);
		fact.cell += fact.n;
	}
	return rc;
}
