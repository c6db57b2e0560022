#include "assertions/checks_workers.h"
#include "assertions/checks_talk.h"
#include "proto/base/limits.h"
#include "proto/cpuset.h"
#include "proto/work.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void kt_checks_workers_print(const struct kt_msg_worker_report *report, struct kt_buf *out)
{
	kt_buf_printf(out, "%s/%" PRIu64, report->cgroup, report->index);
	if (report->step)
		kt_buf_printf(out, " of step %" PRIu64, report->step);
}

static double seconds(int64_t ns)
{
	return (double)ns / KT_NS_PER_S;
}

/* ---- by worker ---- */

typedef void worker_fn(const struct kt_msg_worker_report *report, struct kt_buf *text,
		       struct kt_checks_talk *talk);

/* Those who reported; text has the worker's name. */
static void each_worker(const struct kt_checks_judge_input *input, struct kt_checks_talk *talk,
			worker_fn *judge)
{
	for (size_t i = 0; i < input->result->n_reports; i++) {
		const struct kt_msg_worker_report *report = &input->result->reports[i];
		KT_AUTO_BUF text = { 0 };

		if (*report->missing)
			continue;
		kt_checks_workers_print(report, &text);
		kt_buf_puts(&text, ": ");
		judge(report, &text, talk);
	}
}

void kt_checks_workers_not_stuck(const struct kt_checks_judge_input *input,
				 struct kt_checks_talk *talk)
{
	for (size_t i = 0; i < input->result->n_reports; i++) {
		const struct kt_msg_worker_report *report = &input->result->reports[i];
		KT_AUTO_BUF text = { 0 };

		kt_checks_workers_print(report, &text);
		if (*report->missing) {
			kt_buf_printf(&text, ": no report: %s", report->missing);
		} else {
			kt_buf_puts(&text, ": no progress: 0 work units in ");
			kt_checks_print_about_ms(report->wall_ns, 0, &text);
		}
		kt_checks_talk_flag(talk, !*report->missing && report->work_units > 0, &text);
	}
}

static void judge_gap(const struct kt_msg_worker_report *report, struct kt_buf *text,
		      struct kt_checks_talk *talk)
{
	int64_t ns = report->work_units ? report->gap_ns_max : report->wall_ns;

	if (ns == 0 && report->work_units == 0) {
		kt_buf_puts(text, "no time was measured");
		kt_checks_talk_unsure(talk, text);
		return;
	}
	kt_checks_print_about_ms(ns, talk->limit, text);
	if (report->work_units) {
		kt_buf_puts(text, ", until +");
		kt_checks_print_about_ms(report->gap_at_ns, 0, text);
		kt_buf_printf(text, " on CPU %" PRIu64, report->gap_cpu);
	} else {
		kt_buf_puts(text, ", all of its wall time: it did no round of its work");
	}
	kt_checks_talk_value(talk, (double)ns, text);
}

void kt_checks_workers_gap(const struct kt_checks_judge_input *input, struct kt_checks_talk *talk)
{
	each_worker(input, talk, judge_gap);
}

/* What is in `set` and not in `without`; "" when there is nothing. */
static const char *rest(const struct kt_cpuset *set, const struct kt_cpuset *without,
			char text[KT_CPUSET_TEXT_BYTES])
{
	struct kt_cpuset left;

	for (size_t i = 0; i < KT_CPUSET_WORDS; i++)
		left.words[i] = set->words[i] & ~without->words[i];
	return kt_cpuset_print(&left, text);
}

static void judge_isolation(const struct kt_msg_worker_report *report, struct kt_buf *text,
			    struct kt_checks_talk *talk)
{
	struct kt_cpuset used;
	struct kt_cpuset allowed;
	char outside[KT_CPUSET_TEXT_BYTES];

	if (!*report->cpus_allowed) {
		kt_buf_puts(text, "no cpuset");
		kt_checks_talk_skip(talk, text);
	} else if (kt_cpuset_parse(report->cpus_used, &used) < 0 ||
		   kt_cpuset_parse(report->cpus_allowed, &allowed) < 0 ||
		   kt_cpuset_count(&used) == 0) {
		kt_buf_puts(text, "where it ran was not seen");
		kt_checks_talk_unsure(talk, text);
	} else {
		kt_buf_printf(text, "ran on CPU %s, outside of its cpuset %s",
			      rest(&used, &allowed, outside), report->cpus_allowed);
		kt_checks_talk_flag(talk, kt_cpuset_is_subset(&used, &allowed), text);
	}
}

void kt_checks_workers_isolation(const struct kt_checks_judge_input *input,
				 struct kt_checks_talk *talk)
{
	each_worker(input, talk, judge_isolation);
}

/* Work units per second of a time that was measured: of its CPU, of the wall's clock. */
static void judge_rate(const struct kt_msg_worker_report *report, int64_t ns, const char *of,
		       struct kt_buf *text, struct kt_checks_talk *talk)
{
	double rate;

	if (ns == 0) {
		kt_buf_printf(text, "no %s was measured", of);
		kt_checks_talk_unsure(talk, text);
		return;
	}
	rate = (double)report->work_units / seconds(ns);
	kt_buf_printf(text, "%.6g/s, %" PRIu64 " work units in ", rate, report->work_units);
	kt_checks_print_about_ms(ns, 0, text);
	kt_buf_printf(text, " of %s", of);
	kt_checks_talk_value(talk, rate, text);
}

static void judge_work_rate(const struct kt_msg_worker_report *report, struct kt_buf *text,
			    struct kt_checks_talk *talk)
{
	judge_rate(report, report->cpu_ns, "CPU time", text, talk);
}

void kt_checks_workers_work_rate(const struct kt_checks_judge_input *input,
				 struct kt_checks_talk *talk)
{
	each_worker(input, talk, judge_work_rate);
}

static void judge_iteration_rate(const struct kt_msg_worker_report *report, struct kt_buf *text,
				 struct kt_checks_talk *talk)
{
	judge_rate(report, report->wall_ns, "wall time", text, talk);
}

void kt_checks_workers_iteration_rate(const struct kt_checks_judge_input *input,
				      struct kt_checks_talk *talk)
{
	each_worker(input, talk, judge_iteration_rate);
}

/* ---- by group ---- */

struct group;

/* What workers of a group are compared by. */
struct share {
	const char *of; /* what it is divided by */
	double (*value)(const struct kt_msg_worker_report *report);
	int64_t (*divisor_ns)(const struct kt_msg_worker_report *report);
	void (*judge)(const struct group *group, struct kt_buf *text, struct kt_checks_talk *talk);
};

/* The values of one group. */
struct group {
	size_t workers; /* those without a value too */
	size_t n;
	double mean;
	double squares; /* sum of the distances from the mean, squared (Welford) */
	double lowest;
	double highest;
	const struct kt_msg_worker_report *first;
	const struct kt_msg_worker_report *low; /* who has the lowest */
	const struct kt_msg_worker_report *high;
};

static void add_value(struct group *group, const struct kt_msg_worker_report *report, double value)
{
	double from_mean = value - group->mean;

	group->n++;
	group->mean += from_mean / (double)group->n;
	group->squares += from_mean * (value - group->mean);
	if (!group->low || value < group->lowest) {
		group->low = report;
		group->lowest = value;
	}
	if (!group->high || value > group->highest) {
		group->high = report;
		group->highest = value;
	}
}

/* "cg_0 (2 x spin)", with the group and the step where there are several. */
static void print_group(const struct group *group, struct kt_buf *text)
{
	const struct kt_msg_worker_report *first = group->first;

	kt_buf_puts(text, first->cgroup);
	if (first->group)
		kt_buf_printf(text, " group %" PRIu64, first->group);
	if (first->step)
		kt_buf_printf(text, " of step %" PRIu64, first->step);
	kt_buf_printf(text, " (%zu x %s): ", group->workers, *first->work ? first->work : "work");
}

/* Who did not report was named already. */
static void add_worker(struct group *group, const struct kt_msg_worker_report *report,
		       const struct share *share, struct kt_checks_talk *talk)
{
	KT_AUTO_BUF text = { 0 };

	if (group->workers++ == 0)
		group->first = report;
	if (*report->missing)
		return;
	if (share->divisor_ns(report) > 0) {
		add_value(group, report, share->value(report));
		return;
	}
	kt_checks_workers_print(report, &text);
	kt_buf_printf(&text, ": no %s was measured", share->of);
	kt_checks_talk_unsure(talk, &text);
}

static void judge_group(const struct kt_checks_judge_input *input, size_t number,
			const struct share *share, struct kt_checks_talk *talk)
{
	const struct kt_work *work;
	struct group group = { 0 };
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < input->result->n_reports; i++)
		if (input->group_of[i] == number)
			add_worker(&group, &input->result->reports[i], share, talk);
	print_group(&group, &text);
	work = kt_work_by_name(group.first->work);
	if (work && kt_work_has_roles(work)) {
		kt_buf_puts(&text, "they do different things and are not compared");
		kt_checks_talk_skip(talk, &text);
	} else if (group.workers < 2) {
		kt_buf_puts(&text, "nobody to compare with");
		kt_checks_talk_skip(talk, &text);
	} else if (group.n >= 2) {
		share->judge(&group, &text, talk);
	}
}

static void each_group(const struct kt_checks_judge_input *input, const struct share *share,
		       struct kt_checks_talk *talk)
{
	for (size_t i = 0; i < input->n_groups; i++)
		judge_group(input, i, share, talk);
}

static int64_t wall_of(const struct kt_msg_worker_report *report)
{
	return report->wall_ns;
}

static int64_t cpu_of(const struct kt_msg_worker_report *report)
{
	return report->cpu_ns;
}

/* Two clocks: a worker that never slept may have a little more CPU time than time. */
static double off_cpu_percent(const struct kt_msg_worker_report *report)
{
	int64_t off_ns = report->wall_ns - report->cpu_ns;

	return off_ns > 0 ? (double)off_ns / (double)report->wall_ns * 100 : 0;
}

static void judge_spread(const struct group *group, struct kt_buf *text,
			 struct kt_checks_talk *talk)
{
	double spread = group->highest - group->lowest;

	kt_buf_printf(text, "%.4g%%, from %.4g%% off the CPU (", spread, group->lowest);
	kt_checks_workers_print(group->low, text);
	kt_buf_printf(text, ") to %.4g%% (", group->highest);
	kt_checks_workers_print(group->high, text);
	kt_buf_puts(text, ")");
	kt_checks_talk_value(talk, spread, text);
}

void kt_checks_workers_spread(const struct kt_checks_judge_input *input,
			      struct kt_checks_talk *talk)
{
	static const struct share off_cpu = { "wall time", off_cpu_percent, wall_of, judge_spread };

	each_group(input, &off_cpu, talk);
}

static double throughput(const struct kt_msg_worker_report *report)
{
	return (double)report->work_units / seconds(report->cpu_ns);
}

static void judge_throughput_cv(const struct group *group, struct kt_buf *text,
				struct kt_checks_talk *talk)
{
	double cv;

	if (group->mean == 0) {
		kt_buf_puts(text, "no work units");
		kt_checks_talk_unsure(talk, text);
		return;
	}
	cv = sqrt(group->squares / (double)group->n) / group->mean;
	kt_buf_printf(text, "%.4g, from %.6g/s (", cv, group->lowest);
	kt_checks_workers_print(group->low, text);
	kt_buf_printf(text, ") to %.6g/s (", group->highest);
	kt_checks_workers_print(group->high, text);
	kt_buf_printf(text, "), mean %.6g/s", group->mean);
	kt_checks_talk_value(talk, cv, text);
}

void kt_checks_workers_throughput_cv(const struct kt_checks_judge_input *input,
				     struct kt_checks_talk *talk)
{
	static const struct share rates = { "CPU time", throughput, cpu_of, judge_throughput_cv };

	each_group(input, &rates, talk);
}

/* ---- by cgroup ---- */

/* Sums over those who reported; what is summed are counts beyond any double's last bit at worst. */
struct cgroup {
	const char *name;
	size_t reported;
	double work_units;
	double migrations;
	double pages;
	double pages_local;
	uint64_t moved; /* the most of one */
	bool bound; /* mem_policy of one of them is bind */
};

static void add_report(struct cgroup *cgroup, const struct kt_msg_worker_report *report)
{
	cgroup->name = report->cgroup;
	if (*report->missing)
		return;
	cgroup->reported++;
	cgroup->work_units += (double)report->work_units;
	cgroup->migrations += (double)report->migrations;
	cgroup->pages += (double)report->pages;
	cgroup->pages_local += (double)report->pages_local;
	if (report->pages_migrated > cgroup->moved)
		cgroup->moved = report->pages_migrated;
	cgroup->bound |= strcmp(report->mem_policy, "bind") == 0;
}

typedef void cgroup_fn(const struct cgroup *cgroup, struct kt_buf *text,
		       struct kt_checks_talk *talk);

static void each_cgroup(const struct kt_checks_judge_input *input, struct kt_checks_talk *talk,
			cgroup_fn *judge)
{
	for (size_t number = 0; number < input->n_cgroups; number++) {
		struct cgroup cgroup = { 0 };
		KT_AUTO_BUF text = { 0 };

		for (size_t i = 0; i < input->result->n_reports; i++)
			if (input->cgroup_of[i] == number)
				add_report(&cgroup, &input->result->reports[i]);
		kt_buf_printf(&text, "%s: ", cgroup.name);
		if (cgroup.reported)
			judge(&cgroup, &text, talk);
	}
}

static void judge_migrations(const struct cgroup *cgroup, struct kt_buf *text,
			     struct kt_checks_talk *talk)
{
	double ratio;

	if (cgroup->work_units == 0) {
		kt_buf_puts(text, "no work units");
		kt_checks_talk_unsure(talk, text);
		return;
	}
	ratio = cgroup->migrations / cgroup->work_units;
	kt_buf_printf(text, "%.4g, %.15g migrations in %.15g work units", ratio, cgroup->migrations,
		      cgroup->work_units);
	kt_checks_talk_value(talk, ratio, text);
}

void kt_checks_workers_migration_ratio(const struct kt_checks_judge_input *input,
				       struct kt_checks_talk *talk)
{
	each_cgroup(input, talk, judge_migrations);
}

static void judge_locality(const struct cgroup *cgroup, struct kt_buf *text,
			   struct kt_checks_talk *talk)
{
	double locality = cgroup->pages > 0 ? cgroup->pages_local / cgroup->pages : 0;

	if (cgroup->pages == 0 && !cgroup->bound) {
		kt_buf_puts(text, "no pages were counted");
		kt_checks_talk_skip(talk, text);
		return;
	}
	if (cgroup->pages == 0)
		kt_buf_puts(text, "no pages at all, and its memory policy is bind");
	else
		kt_buf_printf(text, "%.4g, %.15g of %.15g pages", locality, cgroup->pages_local,
			      cgroup->pages);
	kt_checks_talk_value(talk, locality, text);
}

void kt_checks_workers_page_locality(const struct kt_checks_judge_input *input,
				     struct kt_checks_talk *talk)
{
	talk->must_apply = true;
	each_cgroup(input, talk, judge_locality);
}

static void judge_cross_node(const struct cgroup *cgroup, struct kt_buf *text,
			     struct kt_checks_talk *talk)
{
	double ratio;

	if (cgroup->pages == 0) {
		kt_buf_puts(text, "no pages were counted");
		kt_checks_talk_skip(talk, text);
		return;
	}
	ratio = (double)cgroup->moved / cgroup->pages;
	kt_buf_printf(text, "%.4g, %" PRIu64 " pages moved, it has %.15g", ratio, cgroup->moved,
		      cgroup->pages);
	kt_checks_talk_value(talk, ratio, text);
}

void kt_checks_workers_cross_node_ratio(const struct kt_checks_judge_input *input,
					struct kt_checks_talk *talk)
{
	talk->must_apply = true;
	each_cgroup(input, talk, judge_cross_node);
}

/* ---- wake-ups ---- */

typedef void wake_fn(const struct kt_msg_wake_report *wakes, struct kt_buf *text,
		     struct kt_checks_talk *talk);

/* By cgroup; of all workers together when nobody knows more. Work that never waits measures none. */
static void each_wakes(const struct kt_checks_judge_input *input, struct kt_checks_talk *talk,
		       wake_fn *judge)
{
	const struct kt_msg_result *result = input->result;
	bool by_cgroup = false;

	talk->must_apply = true;
	for (size_t i = 0; i < result->n_wakes; i++)
		by_cgroup |= *result->wakes[i].cgroup != 0;
	for (size_t i = 0; i < result->n_wakes; i++) {
		const struct kt_msg_wake_report *wakes = &result->wakes[i];
		KT_AUTO_BUF text = { 0 };

		if (by_cgroup && !*wakes->cgroup)
			continue;
		kt_buf_printf(&text, "%s: ", *wakes->cgroup ? wakes->cgroup : "all workers");
		if (wakes->kept > 0) {
			judge(wakes, &text, talk);
		} else {
			kt_buf_puts(&text, "no wake-up was measured");
			kt_checks_talk_skip(talk, &text);
		}
	}
	if (result->n_wakes == 0) {
		KT_AUTO_BUF text = { 0 };

		kt_buf_puts(&text, "no wake-up was measured");
		kt_checks_talk_skip(talk, &text);
	}
}

static void print_wakes(const struct kt_msg_wake_report *wakes, struct kt_buf *text)
{
	kt_buf_printf(text, " of %" PRIu64 " wake-ups", wakes->total);
	if (wakes->kept != wakes->total)
		kt_buf_printf(text, ", %" PRIu64 " of them kept", wakes->kept);
}

static void judge_p99(const struct kt_msg_wake_report *wakes, struct kt_buf *text,
		      struct kt_checks_talk *talk)
{
	kt_checks_print_about_ms(wakes->p99_ns, talk->limit, text);
	print_wakes(wakes, text);
	kt_checks_talk_value(talk, (double)wakes->p99_ns, text);
}

void kt_checks_workers_p99_wake_latency(const struct kt_checks_judge_input *input,
					struct kt_checks_talk *talk)
{
	each_wakes(input, talk, judge_p99);
}

static void judge_wake_cv(const struct kt_msg_wake_report *wakes, struct kt_buf *text,
			  struct kt_checks_talk *talk)
{
	double cv = wakes->mean_ns > 0 ? wakes->stddev_ns / wakes->mean_ns : NAN;

	if (wakes->kept < 2) {
		kt_buf_puts(text, "one wake-up");
		kt_checks_talk_skip(talk, text);
	} else if (!isfinite(cv)) {
		kt_buf_puts(text, "their mean is 0");
		kt_checks_talk_unsure(talk, text);
	} else {
		kt_buf_printf(text, "%.4g, mean %.6g ms, deviation %.6g ms", cv,
			      wakes->mean_ns / KT_NS_PER_MS, wakes->stddev_ns / KT_NS_PER_MS);
		print_wakes(wakes, text);
		kt_checks_talk_value(talk, cv, text);
	}
}

void kt_checks_workers_wake_latency_cv(const struct kt_checks_judge_input *input,
				       struct kt_checks_talk *talk)
{
	each_wakes(input, talk, judge_wake_cv);
}
