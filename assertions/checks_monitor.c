#include "assertions/checks_monitor.h"
#include "assertions/checks_talk.h"

#include <inttypes.h>
#include <string.h>

static void unsure(struct kt_checks_talk *talk, const char *why)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, why);
	kt_checks_talk_unsure(talk, &text);
}

static void skip(struct kt_checks_talk *talk, const char *why)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, why);
	kt_checks_talk_skip(talk, &text);
}

/* NULL when there is nothing to judge, which is said. What was seen before an error counts. */
static const struct kt_msg_monitor_report *report_of(const struct kt_checks_judge_input *input,
						     bool of_scx, struct kt_checks_talk *talk)
{
	const struct kt_msg_monitor_report *report = input->result->monitor;

	if (!report || (!report->looks && !*report->error)) {
		unsure(talk, "nobody looked at the guest from outside");
		return NULL;
	}
	if (*report->error)
		unsure(talk, report->error);
	if (report->invalid) {
		KT_AUTO_BUF text = { 0 };

		kt_buf_printf(&text,
			      "%" PRIu64 " of %" PRIu64
			      " looks saw memory that no kernel has set up",
			      report->invalid, report->looks);
		kt_checks_talk_unsure(talk, &text);
	}
	if (of_scx && !report->enabled && !*report->error) {
		skip(talk, "no sched_ext scheduler was there");
		return NULL;
	}
	return report;
}

static const struct kt_msg_monitor_measure *measure_of(const struct kt_msg_monitor_report *report,
						       struct kt_checks_talk *talk)
{
	for (size_t i = 0; i < report->n_measures; i++)
		if (strcmp(report->measures[i].name, talk->row->name) == 0 &&
		    report->measures[i].windows)
			return &report->measures[i];
	/* What is wrong otherwise was said. */
	if (!*report->error && !report->invalid) {
		KT_AUTO_BUF text = { 0 };

		kt_buf_printf(&text, "not measured %d times in a row", KT_CHECKS_LOOKS);
		kt_checks_talk_unsure(talk, &text);
	}
	return NULL;
}

static void judge_sustained(const struct kt_checks_judge_input *input, bool of_scx, bool has_cpu,
			    struct kt_checks_talk *talk)
{
	const struct kt_msg_monitor_report *report = report_of(input, of_scx, talk);
	const struct kt_msg_monitor_measure *measure = report ? measure_of(report, talk) : NULL;
	KT_AUTO_BUF text = { 0 };

	if (!measure)
		return;
	kt_buf_printf(&text, "%d looks in a row did not fall below %.6g%s, until +",
		      KT_CHECKS_LOOKS, measure->sustained, talk->row->unit);
	kt_checks_print_about_ms(measure->sustained_at_ns, 0, &text);
	if (has_cpu)
		kt_buf_printf(&text, " (then on CPU %" PRIu64 ")", measure->sustained_cpu);
	kt_buf_printf(&text, "; the highest %.6g%s at +", measure->highest, talk->row->unit);
	kt_checks_print_about_ms(measure->highest_at_ns, 0, &text);
	if (has_cpu)
		kt_buf_printf(&text, " on CPU %" PRIu64, measure->highest_cpu);
	kt_checks_talk_value(talk, measure->sustained, &text);
}

void kt_checks_monitor_imbalance(const struct kt_checks_judge_input *input,
				 struct kt_checks_talk *talk)
{
	judge_sustained(input, false, false, talk);
}

void kt_checks_monitor_dsq_depth(const struct kt_checks_judge_input *input,
				 struct kt_checks_talk *talk)
{
	judge_sustained(input, true, true, talk);
}

void kt_checks_monitor_fallback(const struct kt_checks_judge_input *input,
				struct kt_checks_talk *talk)
{
	judge_sustained(input, true, false, talk);
}

void kt_checks_monitor_keep_last(const struct kt_checks_judge_input *input,
				 struct kt_checks_talk *talk)
{
	judge_sustained(input, true, false, talk);
}

void kt_checks_monitor_stuck(const struct kt_checks_judge_input *input, struct kt_checks_talk *talk)
{
	const struct kt_msg_monitor_report *report = report_of(input, false, talk);
	const struct kt_msg_monitor_measure *measure;
	KT_AUTO_BUF text = { 0 };

	if (report && !*report->vcpu_time) {
		unsure(talk, "whether the host ran its vCPUs cannot be told");
		return;
	}
	measure = report ? measure_of(report, talk) : NULL;
	if (!measure)
		return;
	kt_buf_printf(&text,
		      "the clock of CPU %" PRIu64 " stood still for %.15g looks in a row, until +",
		      measure->highest_cpu, measure->highest);
	kt_checks_print_about_ms(measure->highest_at_ns, 0, &text);
	kt_checks_talk_flag(talk, measure->highest < KT_CHECKS_LOOKS, &text);
}

/* ---- events ---- */

static bool is_error(const char *name)
{
	static const char *const errors[] = { "select_cpu_fallback", "dispatch_local_dsq_offline",
					      "reenq_local_repeat", "bypass_activate",
					      "insert_not_owned" };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i], name) == 0)
			return true;
	return false;
}

void kt_checks_monitor_events_clean(const struct kt_checks_judge_input *input,
				    struct kt_checks_talk *talk)
{
	const struct kt_msg_monitor_report *report = report_of(input, true, talk);

	if (!report)
		return;
	if (report->n_events == 0 && !*report->error)
		unsure(talk, "this kernel counts no sched_ext events");
	for (size_t i = 0; i < report->n_events; i++) {
		const struct kt_msg_scx_event *event = &report->events[i];
		KT_AUTO_BUF text = { 0 };

		if (!is_error(event->name))
			continue;
		kt_buf_printf(&text, "%s: %" PRId64 " while the scenario ran", event->name,
			      event->count);
		kt_checks_talk_flag(talk, event->count == 0, &text);
	}
}
