#include "coordinator/judging.h"
#include "assertions/checks_judge.h"
#include "assertions/group.h"
#include "assertions/judge.h"
#include "coordinator/metrics.h"
#include "proto/cause.h"

void kt_judging_cell(const struct kt_matrix *matrix, uint64_t index, const struct kt_stored *stored,
		     const struct kt_verdict *beside, struct kt_arena *arena,
		     struct kt_msg_verdict *verdict)
{
	const struct kt_assertion *const *asserts;
	struct kt_matrix_cell cell;
	struct kt_checks checks;
	struct kt_metrics metrics;
	struct kt_verdict checked;
	struct kt_verdict measured;
	const struct kt_verdict *all[3] = { &checked, &measured, beside };
	size_t n;

	kt_matrix_cell(matrix, index, &cell);
	n = kt_matrix_judged(matrix, &cell, arena, &asserts);
	kt_matrix_checks(matrix, cell.scenario, &checks);
	kt_verdict_init(&checked, arena);
	kt_checks_judge(&checks, stored->result, &checked);
	kt_metrics_read(matrix, cell.scenario, stored->result, arena, &metrics);
	kt_verdict_init(&measured, arena);
	kt_metrics_judge(&metrics, &measured);
	kt_judge_cell_beside(asserts, n, &stored->series, all, beside ? 3 : 2,
			     cell.scenario->expect, stored->result, arena, verdict);
}

static int add_repeat(struct kt_journal *journal, const struct kt_sweep *sweep, uint64_t index,
		      struct kt_group *group, struct kt_err *err)
{
	const struct kt_cell *cell = &sweep->cells[index];
	KT_AUTO_STORED stored = { 0 };
	int status;

	if (cell->state != KT_CELL_JUDGED) {
		kt_group_add(group, "", NULL);
		return 0;
	}
	status = kt_stored_load(journal, index, cell->epoch, &stored, err);
	if (status < 0)
		return status;
	/* What cannot run there at all (and was skipped) is not counted. */
	if (kt_cause_by_name(stored.result->cause)->side != KT_CAUSE_LACK)
		kt_group_add(group, sweep->hosts[cell->host].id, &stored.series);
	return 0;
}

int kt_judging_group(struct kt_journal *journal, const struct kt_sweep *sweep, uint64_t first,
		     uint64_t repeats, const struct kt_assertion *const *asserts, size_t n_asserts,
		     struct kt_arena *arena, struct kt_msg_verdict *verdict, struct kt_err *err)
{
	KT_AUTO(kt_group_destroy) struct kt_group group = { 0 };
	int status = 0;

	kt_group_init(&group, asserts, n_asserts);
	for (uint64_t i = first; i < first + repeats && status == 0; i++)
		status = add_repeat(journal, sweep, i, &group, err);
	if (status == 0)
		kt_group_finish(&group, arena, verdict);
	return status;
}
