#include "assertions/payloadcheck.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct kt_msg_payload_report report(const char *ended, int64_t status)
{
	return (struct kt_msg_payload_report){ .name = "stress",
					       .cgroup = "",
					       .ended = ended,
					       .status = status,
					       .wall_ns = 2010000000,
					       .text = "" };
}

/* Every detail as "outcome: text", one per line. */
static const char *said(const struct kt_verdict *verdict, char text[2048])
{
	size_t n = 0;

	text[0] = 0;
	for (const struct kt_verdict_detail *d = verdict->first; d; d = d->next)
		n += (size_t)snprintf(text + n, 2048 - n, "%s%s: %s", n ? "\n" : "",
				      kt_verdict_outcome_name(d->outcome), d->text);
	return text;
}

/* ---- how it ended ---- */

static const struct {
	const char *ended;
	int64_t status;
	const char *text;
	const char *out;
	const char *errors;
	int64_t exit; /* -1: any */
	const char *said;
} ends[] = {
	{ "exited", 0, "", "", "", 0, "note: payload stress: exited with status 0 after 2.01s" },
	{ "exited", 3, "", "", "", 3, "note: payload stress: exited with status 3 after 2.01s" },
	{ "exited", 3, "", "", "", -1, "note: payload stress: exited with status 3 after 2.01s" },
	{ "exited", 2, "", "a\n", "first\nno such option\n \n", 0,
	  "fail: payload stress: exited with status 2 after 2.01s, not with status 0; its last "
	  "words: no such option" },
	{ "exited", 0, "", "only this", "", 1,
	  "fail: payload stress: exited with status 0 after 2.01s, not with status 1; its last "
	  "words: only this" },
	{ "signaled", 11, "", "", "", 0,
	  "fail: payload stress: was ended by signal 11 (SIGSEGV) after 2.01s" },
	{ "signaled", 9, "", "", "", -1,
	  "note: payload stress: was ended by signal 9 (SIGKILL) after 2.01s" },
	{ "signaled", 1000000, "", "", "", 0,
	  "fail: payload stress: was ended by signal 1000000 after 2.01s" },
	{ "killed", 9, "", "", "", 0,
	  "note: payload stress: was killed after 2.01s, as its time was over" },
	{ "deadline", 9, "", "", "", 0,
	  "fail: payload stress: still ran at its deadline and was killed after 2.01s" },
	{ "deadline", 9, "", "", "", -1,
	  "fail: payload stress: still ran at its deadline and was killed after 2.01s" },
	{ "failed", 2, "execve: No such file or directory", "", "", -1,
	  "fail: payload stress: could not be started: execve: No such file or directory" },
	{ "exploded", 0, "", "", "", 0,
	  "inconclusive: payload stress: ended after 2.01s in a way that has no name here "
	  "(exploded)" },
};

Test(payloadcheck, how_it_ended_is_judged)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct kt_msg_payload_report msg = report(ends[i].ended, ends[i].status);
		struct kt_payloadcheck check = { .name = "stress",
						 .any_exit = ends[i].exit < 0,
						 .exit = ends[i].exit };
		struct kt_payloadcheck_run run = { .report = &msg };
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict verdict;
		char text[2048];

		msg.text = ends[i].text;
		msg.out = (struct kt_bin){ (const uint8_t *)ends[i].out, strlen(ends[i].out) };
		msg.errors =
			(struct kt_bin){ (const uint8_t *)ends[i].errors, strlen(ends[i].errors) };
		kt_verdict_init(&verdict, &arena);
		kt_payloadcheck_judge(&check, &run, 1, true, &verdict);
		cr_assert_str_eq(said(&verdict, text), ends[i].said);
	}
}

/* ---- metrics ---- */

#define MIN(n_) .has_min = true, .min = { KT_NUMBER_F64, { .f64 = (n_) } }
#define MAX(n_) .has_max = true, .max = { KT_NUMBER_F64, { .f64 = (n_) } }
#define U64(n_)                                                                \
	{                                                                      \
		.is_there = true, .number = { KT_NUMBER_U64, { .u64 = (n_) } } \
	}
#define F64(n_)                                                                \
	{                                                                      \
		.is_there = true, .number = { KT_NUMBER_F64, { .f64 = (n_) } } \
	}
#define NONE                                                 \
	{                                                    \
		.why = "nothing in its output matches \"x\"" \
	}

static const struct {
	struct kt_metric metric;
	struct kt_metric_value value;
	const char *said;
} metrics[] = {
	{ { .name = "rate" }, U64(5), "note: payload stress, rate: 5" },
	{ { .name = "rate", MIN(100) },
	  F64(52.3),
	  "fail: payload stress, rate: 52.3 is less than 100 (min)" },
	{ { .name = "rate", MIN(100) }, U64(100), "note: payload stress, rate: 100" },
	{ { .name = "rate", MAX(10) },
	  U64(11),
	  "fail: payload stress, rate: 11 is more than 10 (max)" },
	{ { .name = "rate", MAX(10) }, U64(10), "note: payload stress, rate: 10" },
	{ { .name = "rate", MIN(1), MAX(10) },
	  U64(11),
	  "fail: payload stress, rate: 11 is more than 10 (max)" },
	{ { .name = "rate", MIN(1), MAX(10), .is_range = true },
	  F64(0.5),
	  "fail: payload stress, rate: 0.5 is outside of 1 to 10 (range)" },
	{ { .name = "rate", MIN(1), MAX(10), .is_range = true },
	  F64(10),
	  "note: payload stress, rate: 10" },
	{ { .name = "rate", MIN(1) },
	  F64((double)NAN),
	  "fail: payload stress, rate: NaN is comparable with nothing" },
	{ { .name = "rate" }, F64((double)NAN), "note: payload stress, rate: NaN" },
	{ { .name = "rate", MAX(1) },
	  F64((double)INFINITY),
	  "fail: payload stress, rate: inf is more than 1 (max)" },
	/* 2^53 + 1: no detour through double */
	{ { .name = "rate",
	    .has_max = true,
	    .max = { KT_NUMBER_U64, { .u64 = 9007199254740992 } } },
	  U64(9007199254740993),
	  "fail: payload stress, rate: 9007199254740993 is more than 9007199254740992 (max)" },
	{ { .name = "rate", MIN(100) },
	  NONE,
	  "inconclusive: payload stress, rate: cannot be read: nothing in its output matches "
	  "\"x\"" },
	{ { .name = "rate", .has_exists = true, .exists = true },
	  NONE,
	  "fail: payload stress, rate: does not exist: nothing in its output matches \"x\"" },
	{ { .name = "rate", .has_exists = true, .exists = true },
	  U64(1),
	  "note: payload stress, rate: 1" },
	{ { .name = "rate", .has_exists = true },
	  U64(1),
	  "fail: payload stress, rate: 1 is there and must not be" },
	{ { .name = "rate", .has_exists = true },
	  NONE,
	  "note: payload stress, rate: is not there, as asked: nothing in its output matches "
	  "\"x\"" },
};

Test(payloadcheck, every_metric_is_judged_by_its_bounds)
{
	struct kt_msg_payload_report msg = report("exited", 0);

	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		struct kt_payloadcheck check = { .name = "stress",
						 .metrics = &metrics[i].metric,
						 .n_metrics = 1 };
		struct kt_payloadcheck_run run = { &msg, &metrics[i].value };
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict verdict;
		char text[2048];

		kt_verdict_init(&verdict, &arena);
		kt_payloadcheck_judge(&check, &run, 1, true, &verdict);
		cr_assert_str_eq(strchr(said(&verdict, text), '\n') + 1, metrics[i].said);
		cr_assert_str_eq(verdict.last->assertion, "stress.rate");
	}
}

/* ---- many starts, and none ---- */

Test(payloadcheck, of_several_starts_each_is_told_apart)
{
	struct kt_msg_payload_report msgs[] = { report("exited", 0), report("exited", 1) };
	struct kt_metric metric = { .name = "rate", MIN(2) };
	struct kt_metric_value values[] = { U64(1), U64(2) };
	struct kt_payloadcheck check = { .name = "stress", .metrics = &metric, .n_metrics = 1 };
	struct kt_payloadcheck_run runs[] = { { &msgs[0], &values[0] }, { &msgs[1], &values[1] } };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict verdict;
	char text[2048];

	msgs[1].cgroup = "cg_1";
	kt_verdict_init(&verdict, &arena);
	kt_payloadcheck_judge(&check, runs, 2, true, &verdict);
	cr_assert_str_eq(said(&verdict, text),
			 "note: payload stress (start 1 of 2): exited with status 0 after 2.01s\n"
			 "fail: payload stress (start 1 of 2), rate: 1 is less than 2 (min)\n"
			 "fail: payload stress (start 2 of 2, in cg_1): exited with status 1 after "
			 "2.01s, not with status 0\n"
			 "note: payload stress (start 2 of 2, in cg_1), rate: 2");
}

Test(payloadcheck, a_report_that_never_came_is_no_pass)
{
	struct kt_payloadcheck check = { .name = "stress" };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict verdict;
	char text[2048];

	kt_verdict_init(&verdict, &arena);
	kt_payloadcheck_judge(&check, NULL, 0, false, &verdict);
	cr_assert_eq(verdict.n, 0, "an attempt that ended early says itself why");
	kt_payloadcheck_judge(&check, NULL, 0, true, &verdict);
	cr_assert_str_eq(said(&verdict, text),
			 "inconclusive: payload stress: the guest reported nothing of it");
}
