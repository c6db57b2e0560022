#include "assertions/checks_judge.h"
#include "assertions/checks_monitor.h"
#include "assertions/checks_talk.h"
#include "assertions/checks_workers.h"
#include "proto/base/must.h"
#include "proto/cause.h"

#include <string.h>

/* What a check is about. */
enum about {
	GUEST, /* what was seen from outside */
	REPORTS, /* what workers reported */
	WORKERS, /* the same, and it has its own word on a worker that did not */
};

/* What is judged one by one, and by which function. */
static const struct {
	const char *thing; /* NULL: the guest as a whole */
	kt_checks_judge_fn *judge;
	enum about about;
} judges[KT_CHECKS_N] = {
	[KT_CHECKS_not_stuck] = { "worker", kt_checks_workers_not_stuck, WORKERS },
	[KT_CHECKS_gap] = { "worker", kt_checks_workers_gap, REPORTS },
	[KT_CHECKS_spread] = { "group", kt_checks_workers_spread, REPORTS },
	[KT_CHECKS_isolation] = { "worker", kt_checks_workers_isolation, REPORTS },
	[KT_CHECKS_max_throughput_cv] = { "group", kt_checks_workers_throughput_cv, REPORTS },
	[KT_CHECKS_min_work_rate] = { "worker", kt_checks_workers_work_rate, REPORTS },
	[KT_CHECKS_max_p99_wake_latency] = { "cgroup", kt_checks_workers_p99_wake_latency,
					     REPORTS },
	[KT_CHECKS_max_wake_latency_cv] = { "cgroup", kt_checks_workers_wake_latency_cv, REPORTS },
	[KT_CHECKS_min_iteration_rate] = { "worker", kt_checks_workers_iteration_rate, REPORTS },
	[KT_CHECKS_max_migration_ratio] = { "cgroup", kt_checks_workers_migration_ratio, REPORTS },
	[KT_CHECKS_min_page_locality] = { "cgroup", kt_checks_workers_page_locality, REPORTS },
	[KT_CHECKS_max_cross_node_ratio] = { "cgroup", kt_checks_workers_cross_node_ratio,
					     REPORTS },
	[KT_CHECKS_events_clean] = { "counter", kt_checks_monitor_events_clean, GUEST },
	[KT_CHECKS_imbalance] = { NULL, kt_checks_monitor_imbalance, GUEST },
	[KT_CHECKS_dsq_depth] = { NULL, kt_checks_monitor_dsq_depth, GUEST },
	[KT_CHECKS_stuck] = { NULL, kt_checks_monitor_stuck, GUEST },
	[KT_CHECKS_fallback] = { NULL, kt_checks_monitor_fallback, GUEST },
	[KT_CHECKS_keep_last] = { NULL, kt_checks_monitor_keep_last, GUEST },
};

/* ---- who belongs together ---- */

static bool same_cgroup(const struct kt_msg_worker_report *a, const struct kt_msg_worker_report *b)
{
	return strcmp(a->cgroup, b->cgroup) == 0;
}

/* What a step started was there for as long as the step; what did other work has another share of the CPU. */
static bool same_group(const struct kt_msg_worker_report *a, const struct kt_msg_worker_report *b)
{
	return same_cgroup(a, b) && a->step == b->step && a->group == b->group &&
	       strcmp(a->work, b->work) == 0;
}

/* Numbers them as they come. Reports of a group stand together in all but hostile results. */
static size_t *number(const struct kt_msg_result *result,
		      bool (*same)(const struct kt_msg_worker_report *,
				   const struct kt_msg_worker_report *),
		      size_t *n)
{
	size_t *numbers = kt_must_calloc(result->n_reports + 1, sizeof(*numbers));

	*n = 0;
	for (size_t i = 0; i < result->n_reports; i++) {
		size_t j = i;

		while (j > 0 && !same(&result->reports[i], &result->reports[j - 1]))
			j--;
		numbers[i] = j > 0 ? numbers[j - 1] : (*n)++;
	}
	return numbers;
}

/* ---- one check ---- */

static void name_missing(const struct kt_msg_result *result, struct kt_checks_talk *talk)
{
	for (size_t i = 0; i < result->n_reports; i++) {
		KT_AUTO_BUF text = { 0 };

		if (!*result->reports[i].missing)
			continue;
		kt_checks_workers_print(&result->reports[i], &text);
		kt_buf_printf(&text, ": no report (%s)", result->reports[i].missing);
		kt_checks_talk_unsure(talk, &text);
	}
}

/* A guest that died took what was measured with it; one that ran to its end had no workers. */
static void no_reports(const struct kt_msg_result *result, struct kt_checks_talk *talk)
{
	KT_AUTO_BUF text = { 0 };

	if (kt_cause_by_name(result->cause)->side == KT_CAUSE_NONE) {
		kt_buf_puts(&text, "there were no workers");
		kt_checks_talk_skip(talk, &text);
	} else {
		kt_buf_printf(&text, "no worker reported before the attempt ended (%s)",
			      result->cause);
		kt_checks_talk_unsure(talk, &text);
	}
}

static void judge_one(const struct kt_checks *checks, enum kt_checks_id id,
		      const struct kt_checks_judge_input *input, struct kt_verdict *verdict)
{
	struct kt_checks_talk talk;

	kt_checks_talk_begin(&talk, checks, id, judges[id].thing, verdict);
	if (judges[id].about != GUEST && input->result->n_reports == 0) {
		no_reports(input->result, &talk);
	} else {
		if (judges[id].about == REPORTS)
			name_missing(input->result, &talk);
		judges[id].judge(input, &talk);
	}
	kt_checks_talk_end(&talk);
}

void kt_checks_judge(const struct kt_checks *checks, const struct kt_msg_result *result,
		     struct kt_verdict *verdict)
{
	struct kt_checks_judge_input input = { .result = result };

	input.group_of = number(result, same_group, &input.n_groups);
	input.cgroup_of = number(result, same_cgroup, &input.n_cgroups);
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		if (checks->of[i].state == KT_CHECKS_ON)
			judge_one(checks, (enum kt_checks_id)i, &input, verdict);
	free(input.group_of);
	free(input.cgroup_of);
}
