#include "assertions/payloadcheck.h"
#include "proto/base/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LAST_WORDS_BYTES 200
#define TITLE_BYTES      (2 * KT_NAME_BYTES_MAX + 64)

struct judging {
	const struct kt_payloadcheck *check;
	const struct kt_payloadcheck_run *run;
	const char *title; /* begins every sentence */
	struct kt_verdict *verdict;
};

#define SAY(judging_, outcome_, kind_, label_, ...)                                         \
	kt_verdict_say((judging_)->verdict, KT_VERDICT_##outcome_, KT_VERDICT_KIND_##kind_, \
		       label_, __VA_ARGS__)

/* ---- how it ended ---- */

static const char *signal_words(int64_t status, char words[48])
{
	const char *name = status > 0 && status < 65 ? sigabbrev_np((int)status) : NULL;

	snprintf(words, 48, "signal %" PRId64 "%s%s%s", status, name ? " (SIG" : "",
		 name ? name : "", name ? ")" : "");
	return words;
}

void kt_payloadcheck_print_end(const struct kt_msg_payload_report *report, struct kt_buf *out)
{
	char wall[KT_DURATION_TEXT_BYTES];
	char words[48];

	kt_duration_format(report->wall_ns, wall);
	if (strcmp(report->ended, "exited") == 0)
		kt_buf_printf(out, "exited with status %" PRId64 " after %s", report->status, wall);
	else if (strcmp(report->ended, "signaled") == 0)
		kt_buf_printf(out, "was ended by %s after %s", signal_words(report->status, words),
			      wall);
	else if (strcmp(report->ended, "killed") == 0)
		kt_buf_printf(out, "was killed after %s, as its time was over", wall);
	else if (strcmp(report->ended, "deadline") == 0)
		kt_buf_printf(out, "still ran at its deadline and was killed after %s", wall);
	else if (strcmp(report->ended, "failed") == 0)
		kt_buf_printf(out, "could not be started: %s", report->text);
	else
		kt_buf_printf(out, "ended after %s in a way that has no name here (%s)", wall,
			      report->ended);
}

/* The last line that says anything, of the errors or else of the output: what one looks for first. */
static void put_last_words(const struct kt_msg_payload_report *report, struct kt_buf *out)
{
	const struct kt_bin *texts[] = { &report->errors, &report->out };

	for (size_t i = 0; i < 2; i++) {
		size_t end = texts[i]->len;
		size_t begin;

		while (end > 0 && texts[i]->data[end - 1] <= ' ')
			end--;
		begin = end;
		while (begin > 0 && texts[i]->data[begin - 1] != '\n')
			begin--;
		if (begin == end)
			continue;
		if (end - begin > LAST_WORDS_BYTES)
			end = begin + LAST_WORDS_BYTES;
		kt_buf_puts(out, "; its last words: ");
		kt_buf_append(out, texts[i]->data + begin, end - begin);
		return;
	}
}

static void judge_status(const struct judging *judging, const char *expected)
{
	const struct kt_msg_payload_report *report = judging->run->report;
	KT_AUTO_BUF end = { 0 };

	kt_payloadcheck_print_end(report, &end);
	kt_buf_puts(&end, expected);
	put_last_words(report, &end);
	SAY(judging, FAIL, PAYLOAD, judging->check->name, "%s: %s", judging->title,
	    kt_buf_text(&end));
}

static bool is_known(const char *ended)
{
	static const char *const all[] = { "exited", "signaled", "killed", "deadline", "failed" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i], ended) == 0)
			return true;
	return false;
}

static void judge_end(const struct judging *judging)
{
	const struct kt_payloadcheck *check = judging->check;
	const struct kt_msg_payload_report *report = judging->run->report;
	KT_AUTO_BUF end = { 0 };
	char expected[64] = "";

	if (strcmp(report->ended, "exited") == 0 && !check->any_exit &&
	    report->status != check->exit) {
		snprintf(expected, sizeof(expected), ", not with status %" PRId64, check->exit);
		judge_status(judging, expected);
	} else if ((strcmp(report->ended, "signaled") == 0 && !check->any_exit) ||
		   strcmp(report->ended, "deadline") == 0 || strcmp(report->ended, "failed") == 0) {
		judge_status(judging, "");
	} else if (!is_known(report->ended)) {
		kt_payloadcheck_print_end(report, &end);
		SAY(judging, INCONCLUSIVE, PAYLOAD, check->name, "%s: %s", judging->title,
		    kt_buf_text(&end));
	} else {
		kt_payloadcheck_print_end(report, &end);
		SAY(judging, NOTE, PAYLOAD, check->name, "%s: %s", judging->title,
		    kt_buf_text(&end));
	}
}

/* ---- metrics ---- */

static bool is_outside(const struct kt_metric *metric, const struct kt_number *number,
		       struct kt_buf *why)
{
	char bound[KT_NUMBER_TEXT_BYTES];
	char most[KT_NUMBER_TEXT_BYTES];

	if (!metric->has_min && !metric->has_max)
		return false;
	if (kt_number_is_nan(number)) {
		kt_buf_puts(why, "is comparable with nothing");
		return true;
	}
	if ((!metric->has_min || kt_number_compare(number, &metric->min) >= 0) &&
	    (!metric->has_max || kt_number_compare(number, &metric->max) <= 0))
		return false;
	if (metric->is_range)
		kt_buf_printf(why, "is outside of %s to %s (range)",
			      kt_number_format(&metric->min, bound),
			      kt_number_format(&metric->max, most));
	else if (metric->has_min && kt_number_compare(number, &metric->min) < 0)
		kt_buf_printf(why, "is less than %s (min)", kt_number_format(&metric->min, bound));
	else
		kt_buf_printf(why, "is more than %s (max)", kt_number_format(&metric->max, bound));
	return true;
}

static void judge_missing(const struct judging *judging, const struct kt_metric *metric,
			  const char *label, const char *why)
{
	if (metric->has_exists && !metric->exists)
		SAY(judging, NOTE, PAYLOAD, label, "%s, %s: is not there, as asked: %s",
		    judging->title, metric->name, why);
	else if (metric->has_exists)
		SAY(judging, FAIL, PAYLOAD, label, "%s, %s: does not exist: %s", judging->title,
		    metric->name, why);
	else
		SAY(judging, INCONCLUSIVE, PAYLOAD, label, "%s, %s: cannot be read: %s",
		    judging->title, metric->name, why);
}

static void judge_metric(const struct judging *judging, const struct kt_metric *metric,
			 const struct kt_metric_value *value)
{
	char label[2 * KT_NAME_BYTES_MAX + 2];
	char number[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF why = { 0 };

	snprintf(label, sizeof(label), "%s.%s", judging->check->name, metric->name);
	if (!value->is_there) {
		judge_missing(judging, metric, label, value->why);
		return;
	}
	kt_number_format(&value->number, number);
	if (metric->has_exists && !metric->exists)
		SAY(judging, FAIL, PAYLOAD, label, "%s, %s: %s is there and must not be",
		    judging->title, metric->name, number);
	else if (is_outside(metric, &value->number, &why))
		SAY(judging, FAIL, PAYLOAD, label, "%s, %s: %s %s", judging->title, metric->name,
		    number, kt_buf_text(&why));
	else
		SAY(judging, NOTE, MEASURED, label, "%s, %s: %s", judging->title, metric->name,
		    number);
}

/* ---- the whole ---- */

/* One start needs no number; of several each is told apart. */
static void put_title(const struct kt_payloadcheck *check, const struct kt_payloadcheck_run *run,
		      size_t i, size_t n, char title[TITLE_BYTES])
{
	const char *cgroup = run->report->cgroup;

	if (n == 1)
		snprintf(title, TITLE_BYTES, "payload %s", check->name);
	else
		snprintf(title, TITLE_BYTES, "payload %s (start %zu of %zu%s%s)", check->name,
			 i + 1, n, cgroup[0] ? ", in " : "", cgroup);
}

void kt_payloadcheck_judge(const struct kt_payloadcheck *check,
			   const struct kt_payloadcheck_run *runs, size_t n, bool finished,
			   struct kt_verdict *verdict)
{
	char title[TITLE_BYTES];

	if (n == 0 && finished)
		kt_verdict_say(verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_PAYLOAD,
			       check->name, "payload %s: the guest reported nothing of it",
			       check->name);
	for (size_t i = 0; i < n; i++) {
		struct judging judging = { check, &runs[i], title, verdict };

		put_title(check, &runs[i], i, n, title);
		judge_end(&judging);
		for (size_t k = 0; k < check->n_metrics; k++)
			judge_metric(&judging, &check->metrics[k], &runs[i].values[k]);
	}
}
