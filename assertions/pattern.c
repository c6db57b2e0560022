/* pattern.c - the table, and the walk that reads it. What a row does is in its family's file:
 *
 *	pattern_pairs.c     a value and the one before it
 *	pattern_each.c      every value by itself
 *	pattern_band.c      values near their mean, or near a target
 *	pattern_ratio.c     one value divided by another
 *	pattern_temporal.c  bounded temporal logic over comparisons
 *	pattern_talk.c      how all of them say what they found
 */
#include "assertions/pattern.h"
#include "assertions/condition.h"
#include "assertions/pattern_band.h"
#include "assertions/pattern_each.h"
#include "assertions/pattern_pairs.h"
#include "assertions/pattern_ratio.h"
#include "assertions/pattern_talk.h"
#include "assertions/pattern_temporal.h"

#include <errno.h>
#include <string.h>

#define PARAMS(params_) .params = (params_), .n_params = sizeof(params_) / sizeof((params_)[0])

static const struct kt_pattern patterns[] = {
	{
		.name = "nondecreasing",
		.sentence = "no value is below the one before it",
		.example = "nondecreasing = true",
		.judge = kt_pattern_pairs_nondecreasing,
	},
	{
		.name = "strictly_increasing",
		.sentence = "every value is above the one before it",
		.example = "strictly_increasing = true",
		.judge = kt_pattern_pairs_strictly_increasing,
	},
	{
		.name = "always_true",
		.sentence = "every value is true",
		.example = "always_true = true",
		.want = KT_NUMBER_WANT_BOOL,
		.judge = kt_pattern_each_true,
	},
	{
		.name = "each",
		.sentence = "every value stands to the limits as they say",
		.example = "each = { at_least = 1, at_most = 10 }",
		.any_of_params = true,
		PARAMS(kt_pattern_each_params),
		.check = kt_pattern_each_check,
		.judge = kt_pattern_each_compared,
	},
	{
		.name = "rate_within",
		.sentence = "from one value to the next it grows as fast as this",
		.example = "rate_within = { lo = 0.5, hi = 2, per = \"ms\" }",
		PARAMS(kt_pattern_pairs_rate_params),
		.check = kt_pattern_pairs_check_rate,
		.judge = kt_pattern_pairs_rate_within,
	},
	{
		.name = "steady_within",
		.sentence = "after the warm-up every value stands near their mean",
		.example = "steady_within = { warmup_ms = 2000, tol = 0.1 }",
		PARAMS(kt_pattern_band_steady_params),
		.check = kt_pattern_band_check_steady,
		.judge = kt_pattern_band_steady_within,
	},
	{
		.name = "converges_to",
		.sentence = "it comes near a target before a deadline",
		.example = "converges_to = { target = 100, tol = 5, deadline_ms = 5000, stays = "
			   "true }",
		PARAMS(kt_pattern_band_converges_params),
		.check = kt_pattern_band_check_converges,
		.judge = kt_pattern_band_converges_to,
	},
	{
		.name = "ratio_across_steps",
		.sentence = "from one step to another it does not grow beyond this",
		.example = "ratio_across_steps = { early = 0, late = 1, at_most = 1.5 }",
		PARAMS(kt_pattern_ratio_steps_params),
		.judge = kt_pattern_ratio_across_steps,
	},
	{
		.name = "ratio_within",
		.sentence = "divided by another series of the same sample it stands between these",
		.example = "ratio_within = { other = \"bpf:nr_queued\", lo = 0.9, hi = 1 }",
		PARAMS(kt_pattern_ratio_params),
		.check = kt_pattern_ratio_check,
		.judge = kt_pattern_ratio_within,
	},
	{
		.name = "eventually",
		.sentence = "before a deadline a condition holds at one sample",
		.example = "eventually = { within_ms = 5000, always = { at_least = 100, to_ms = "
			   "2000 } }",
		PARAMS(kt_pattern_temporal_eventually_params),
		.check = kt_condition_check,
		.judge = kt_pattern_temporal_eventually,
	},
	{
		.name = "always",
		.sentence = "within a time a condition holds at every sample",
		.example = "always = { any_of = [{ at_most = 10 }, { eventually = { at_most = 5, "
			   "within_ms = 500 } }] }",
		PARAMS(kt_pattern_temporal_always_params),
		.check = kt_pattern_temporal_check_always,
		.judge = kt_pattern_temporal_always,
	},
	{
		.name = "until",
		.sentence = "one condition holds until another is reached",
		.example = "until = { hold = { at_most = 10 }, then = { at_least = 100 }, "
			   "within_ms = 5000 }",
		PARAMS(kt_pattern_temporal_until_params),
		.check = kt_condition_check,
		.judge = kt_pattern_temporal_until,
	},
};

const struct kt_pattern *kt_pattern_table(size_t *n)
{
	*n = sizeof(patterns) / sizeof(patterns[0]);
	return patterns;
}

const struct kt_pattern *kt_pattern_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (strcmp(patterns[i].name, name) == 0)
			return &patterns[i];
	return NULL;
}

const struct kt_formula *kt_pattern_other(const struct kt_pattern_use *use)
{
	for (size_t i = 0; i < use->pattern->n_params; i++)
		if (use->pattern->params[i].kind == KT_PARAM_SERIES && use->args[i].given)
			return use->args[i].series;
	return NULL;
}

static bool is_nested(enum kt_param_kind kind)
{
	return kind == KT_PARAM_PATTERN || kind == KT_PARAM_CONDITION ||
	       kind == KT_PARAM_CONDITIONS;
}

static void print_args(const struct kt_pattern_use *use, struct kt_buf *out);

/* "hold (at_most 10)", "any_of (at_most 10) or (at_least 90)" */
static void print_nested(const struct kt_param *param, const struct kt_param_arg *arg,
			 struct kt_buf *out)
{
	kt_buf_puts(out, param->name);
	for (size_t i = 0; i < arg->n_uses; i++) {
		kt_buf_puts(out, i ? " or (" : " (");
		print_args(&arg->uses[i], out);
		kt_buf_puts(out, ")");
	}
}

/* Calls itself no deeper than KT_PATTERN_DEPTH_MAX: so deep was read. */
static void print_args(const struct kt_pattern_use *use, struct kt_buf *out)
{
	const char *between = "";

	for (size_t i = 0; i < use->pattern->n_params; i++) {
		const struct kt_param *param = &use->pattern->params[i];

		if (!use->args[i].given)
			continue;
		kt_buf_puts(out, between);
		if (is_nested(param->kind))
			print_nested(param, &use->args[i], out);
		else
			kt_param_print(param, &use->args[i], out);
		between = ", ";
	}
}

void kt_pattern_print(const struct kt_pattern_use *use, struct kt_buf *out)
{
	KT_AUTO_BUF args = { 0 };

	print_args(use, &args);
	kt_buf_printf(out, "%s%s%s", use->pattern->name, args.len ? " " : "", kt_buf_text(&args));
}

static int check_given(const struct kt_pattern *pattern, const struct kt_pattern_use *use,
		       struct kt_err *err)
{
	KT_AUTO_BUF names = { 0 };
	bool any = false;

	for (size_t i = 0; i < pattern->n_params; i++) {
		any |= use->args[i].given;
		if (pattern->params[i].required && !use->args[i].given)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs %s: %s",
					  pattern->name, pattern->params[i].name,
					  pattern->params[i].sentence);
		kt_buf_printf(&names, "%s%s", i ? ", " : "", pattern->params[i].name);
	}
	if (pattern->any_of_params && !any)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs at least one of: %s",
				  pattern->name, kt_buf_text(&names));
	return 0;
}

/* What a nested one is refused for is said behind the names of those around it. */
static int check_nested(const struct kt_pattern_use *use, struct kt_place *place,
			struct kt_err *err)
{
	const struct kt_pattern *pattern = use->pattern;

	for (size_t i = 0; i < pattern->n_params; i++) {
		const struct kt_param *param = &pattern->params[i];
		size_t mark = kt_place_enter(place, param->name);

		for (size_t j = 0; is_nested(param->kind) && j < use->args[i].n_uses; j++) {
			size_t item = param->kind == KT_PARAM_CONDITIONS
					      ? kt_place_enter_item(place, j)
					      : strlen(place->path);

			if (kt_pattern_check(&use->args[i].uses[j], place, err) < 0) {
				/* A condition is known by whose it is. */
				if (param->kind != KT_PARAM_PATTERN)
					kt_err_wrap(err, "%s", param->name);
				if (pattern != &kt_pattern_temporal_condition)
					kt_err_wrap(err, "%s", pattern->name);
				return -EINVAL;
			}
			kt_place_leave(place, item);
		}
		kt_place_leave(place, mark);
	}
	return 0;
}

int kt_pattern_check(const struct kt_pattern_use *use, struct kt_place *place, struct kt_err *err)
{
	const struct kt_pattern *pattern = use->pattern;
	struct kt_place nowhere = { 0 };
	const char *param = "";
	int status = check_given(pattern, use, err);

	if (!place)
		place = &nowhere;
	if (status == 0)
		status = check_nested(use, place, err);
	if (status < 0 || !pattern->check)
		return status;
	status = pattern->check(use, &param, err);
	if (status < 0 && *param)
		kt_place_enter(place, param);
	return status;
}

void kt_pattern_judge(const struct kt_pattern_use *use, const struct kt_pattern_input *input,
		      struct kt_verdict *verdict)
{
	KT_AUTO_BUF head = { 0 };
	struct kt_pattern_talk talk = { .input = input, .verdict = verdict };
	struct kt_err err = { 0 };

	kt_buf_printf(&head, "%s (", input->label);
	kt_pattern_print(use, &head);
	kt_buf_puts(&head, ")");
	talk.head = kt_buf_text(&head);
	if (kt_pattern_check(use, NULL, &err) < 0) {
		kt_verdict_say(verdict, KT_VERDICT_FAIL, KT_VERDICT_KIND_TEMPORAL, input->assertion,
			       "%s: %s", talk.head, err.text);
		return;
	}
	use->pattern->judge(use, &talk);
	kt_pattern_talk_end(&talk);
	if (talk.fails == 0 && talk.unsure == 0)
		kt_verdict_say(verdict, KT_VERDICT_PASS, KT_VERDICT_KIND_TEMPORAL, input->assertion,
			       "%s: holds over %zu values", talk.head,
			       kt_column_usable(input->column));
}
