#include "assertions/pattern.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* ---- what every pattern says alike ---- */

/* A pattern while it judges. */
struct kt_pattern_talk {
	const struct kt_pattern_input *input;
	struct kt_verdict *verdict;
	const char *head; /* "nr_dispatched (nondecreasing)" */
	size_t fails;
	size_t unsure; /* said to be Inconclusive */
};

/* One Fail, up to the limit; text is what follows the head. */
static void fail(struct kt_pattern_talk *talk, const struct kt_buf *text)
{
	if (talk->fails++ < KT_PATTERN_SAID_MAX)
		kt_verdict_say(talk->verdict, KT_VERDICT_FAIL, KT_VERDICT_KIND_TEMPORAL,
			       talk->input->assertion, "%s: %s", talk->head, kt_buf_text(text));
}

/* What applies but could not be measured, up to the same limit. */
static void unsure(struct kt_pattern_talk *talk, const struct kt_buf *text)
{
	if (talk->unsure++ < KT_PATTERN_SAID_MAX)
		kt_verdict_say(talk->verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_TEMPORAL,
			       talk->input->assertion, "%s: %s", talk->head, kt_buf_text(text));
}

static void note(struct kt_pattern_talk *talk, const struct kt_buf *text)
{
	kt_verdict_say(talk->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_TEMPORAL,
		       talk->input->assertion, "%s: %s", talk->head, kt_buf_text(text));
}

/* More than the limit is one note with how many. */
static void say_more(struct kt_pattern_talk *talk, size_t said)
{
	if (said > KT_PATTERN_SAID_MAX)
		kt_verdict_say(talk->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_LIMIT,
			       talk->input->assertion, "%s: %zu more like these", talk->head,
			       said - KT_PATTERN_SAID_MAX);
}

/* " at periodic_004 (+850 ms): 100 after 200 at periodic_003 (+700 ms)" */
static void print_pair(const struct kt_column_slot *slot, const struct kt_column_slot *before,
		       struct kt_buf *text)
{
	struct kt_number number = kt_column_slot_number(slot);
	char value[KT_NUMBER_TEXT_BYTES];

	kt_buf_puts(text, " at ");
	kt_column_slot_print_place(slot, text);
	kt_buf_printf(text, ": %s after ", kt_number_format(&number, value));
	kt_column_slot_print(before, text);
}

static void fail_pair(struct kt_pattern_talk *talk, const char *what,
		      const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, what);
	print_pair(slot, before, &text);
	fail(talk, &text);
}

/* "above 10 at periodic_004 (+850 ms): 12" */
static void fail_slot(struct kt_pattern_talk *talk, const char *what,
		      const struct kt_column_slot *slot)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_number number = kt_column_slot_number(slot);
	char value[KT_NUMBER_TEXT_BYTES];

	kt_buf_printf(&text, "%s at ", what);
	kt_column_slot_print_place(slot, &text);
	kt_buf_printf(&text, ": %s", kt_number_format(&number, value));
	fail(talk, &text);
}

static void fail_errored(struct kt_pattern_talk *talk, const struct kt_column_slot *slot)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, "no value at ");
	kt_column_slot_print_place(slot, &text);
	kt_buf_printf(&text, ": %s", slot->error->text);
	fail(talk, &text);
}

static int refuse_empty(const char *low_name, const struct kt_param_arg *low, const char *high_name,
			const struct kt_param_arg *high, const char **param, struct kt_err *err)
{
	char low_text[KT_NUMBER_TEXT_BYTES];
	char high_text[KT_NUMBER_TEXT_BYTES];

	if (kt_number_compare(&low->number, &high->number) <= 0)
		return 0;
	*param = low_name;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s %s is above %s %s", low_name,
			  kt_number_format(&low->number, low_text), high_name,
			  kt_number_format(&high->number, high_text));
}

/* ---- adjacent pairs ---- */

#define LISTED_MAX 8 /* pairs named in a note; then "and 3 more" */

struct unjudged {
	struct kt_buf list;
	size_t n;
};

static void unjudged_destroy(struct unjudged *unjudged)
{
	kt_buf_destroy(&unjudged->list);
}

static void note_unjudged(struct unjudged *unjudged, const struct kt_column_slot *a,
			  const struct kt_column_slot *b)
{
	if (unjudged->n++ < LISTED_MAX)
		kt_buf_printf(&unjudged->list, "%s%s/%s", unjudged->n > 1 ? ", " : "", a->tag,
			      b->tag);
}

static void say_unjudged(struct kt_pattern_talk *talk, const struct unjudged *unjudged)
{
	KT_AUTO_BUF text = { 0 };

	if (unjudged->n == 0)
		return;
	kt_buf_printf(&text, "%s: %s",
		      talk->input->bridge ? "judged across errors"
					  : "pairs not judged because of errors",
		      kt_buf_text(&unjudged->list));
	if (unjudged->n > LISTED_MAX)
		kt_buf_printf(&text, " and %zu more", unjudged->n - LISTED_MAX);
	note(talk, &text);
}

typedef void judge_pair_fn(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			   const struct kt_column_slot *slot, const struct kt_column_slot *before);

static void judge_pairs(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			judge_pair_fn *judge_pair)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_column_slot *before = NULL; /* last one that carries a value */
	KT_AUTO(unjudged_destroy) struct unjudged unjudged = { 0 };
	KT_AUTO_BUF few = { 0 };

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		bool adjacent = i > 0 && before == slot - 1;

		if (!kt_column_slot_usable(slot)) {
			if (!talk->input->bridge && i > 0)
				note_unjudged(&unjudged, slot - 1, slot);
			continue;
		}
		if (adjacent || (before && talk->input->bridge))
			judge_pair(use, talk, slot, before);
		if (!adjacent && (talk->input->bridge ? before != NULL : i > 0))
			note_unjudged(&unjudged, talk->input->bridge ? before : slot - 1, slot);
		before = slot;
	}
	say_unjudged(talk, &unjudged);
	if (column->n < 2) {
		kt_buf_printf(&few, "%zu of the 2 samples that a pair needs", column->n);
		note(talk, &few);
	}
}

/* ---- nondecreasing, strictly_increasing ---- */

static void judge_order(struct kt_pattern_talk *talk, bool strictly,
			const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	struct kt_number now = kt_column_slot_number(slot);
	struct kt_number then = kt_column_slot_number(before);
	int order;

	if (kt_number_is_nan(&now) || kt_number_is_nan(&then)) {
		fail_pair(talk, "incomparable", slot, before);
		return;
	}
	order = kt_number_compare(&now, &then);
	if (order < 0)
		fail_pair(talk, "fell", slot, before);
	else if (strictly && order == 0)
		fail_pair(talk, "did not rise", slot, before);
}

static void judge_rise(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
		       const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	judge_order(talk, true, slot, before);
}

static void judge_no_fall(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			  const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	judge_order(talk, false, slot, before);
}

static void judge_nondecreasing(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	judge_pairs(use, talk, judge_no_fall);
}

static void judge_strictly_increasing(const struct kt_pattern_use *use,
				      struct kt_pattern_talk *talk)
{
	judge_pairs(use, talk, judge_rise);
}

/* ---- rate_within ---- */

enum rate_param { RATE_LO, RATE_HI, RATE_PER, RATE_N };

static const char *const rate_words[] = { "ms", "s", NULL };
static const double rate_unit_ns[] = { KT_NS_PER_MS, KT_NS_PER_S };

static const struct kt_param rate_params[] = {
	[RATE_LO] = { .name = "lo",
		      .kind = KT_PARAM_NUMBER,
		      .unit = "per ms or s",
		      .required = true,
		      .sentence = "the slowest that is right" },
	[RATE_HI] = { .name = "hi",
		      .kind = KT_PARAM_NUMBER,
		      .unit = "per ms or s",
		      .required = true,
		      .sentence = "the fastest that is right" },
	[RATE_PER] = { .name = "per",
		       .kind = KT_PARAM_WORD,
		       .words = rate_words,
		       .fallback = "ms",
		       .sentence = "the time that lo and hi are counted in" },
};

static int check_rate(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	return refuse_empty("lo", &use->args[RATE_LO], "hi", &use->args[RATE_HI], param, err);
}

static void judge_rate(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
		       const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	size_t word = use->args[RATE_PER].given ? use->args[RATE_PER].word : 0;
	struct kt_number now = kt_column_slot_number(slot);
	struct kt_number then = kt_column_slot_number(before);
	struct kt_number delta = kt_number_minus(&now, &then);
	int64_t dt_ns = slot->elapsed_ns - before->elapsed_ns;
	struct kt_number rate;
	const char *what = NULL;
	char limit[KT_NUMBER_TEXT_BYTES];
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };

	if (dt_ns <= 0) {
		kt_buf_puts(&text, "no time passed");
		print_pair(slot, before, &text);
		unsure(talk, &text);
		return;
	}
	/* The difference of counters is exact; a rate is a division, in doubles: what stands in the
	 * numerator is a whole number up to 2^53, so that 3 in 10 ms is just what 0.3 reads as.
	 */
	rate = kt_number_f64(kt_number_to_f64(&delta) * rate_unit_ns[word] / (double)dt_ns);
	if (!isfinite(rate.f64)) {
		fail_pair(talk, "no finite rate", slot, before);
		return;
	}
	if (kt_number_compare(&rate, &use->args[RATE_LO].number) < 0) {
		what = "below";
		kt_number_format(&use->args[RATE_LO].number, limit);
	} else if (kt_number_compare(&rate, &use->args[RATE_HI].number) > 0) {
		what = "above";
		kt_number_format(&use->args[RATE_HI].number, limit);
	}
	if (what) {
		kt_buf_printf(&text, "%s per %s, %s %s,", kt_number_format(&rate, value),
			      rate_words[word], what, limit);
		fail_pair(talk, kt_buf_text(&text), slot, before);
	}
}

static void judge_rate_within(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	judge_pairs(use, talk, judge_rate);
}

/* ---- steady_within ---- */

#define DEADLINE_MS_MAX ((uint64_t)(KT_DURATION_NS_MAX / KT_NS_PER_MS))

enum steady_param { STEADY_WARMUP_MS, STEADY_TOL, STEADY_N };

static const struct kt_param steady_params[] = {
	[STEADY_WARMUP_MS] = { .name = "warmup_ms",
			       .kind = KT_PARAM_COUNT,
			       .unit = "ms",
			       .max = DEADLINE_MS_MAX,
			       .fallback = "0",
			       .sentence = "samples before it are not judged" },
	[STEADY_TOL] = { .name = "tol",
			 .kind = KT_PARAM_NUMBER,
			 .unit = "of the mean",
			 .required = true,
			 .sentence = "how far a value may stand from the mean; 0.1 is a tenth" },
};

static int refuse_negative(const struct kt_param_arg *arg, const char *name, const char **param,
			   struct kt_err *err)
{
	const struct kt_number zero = kt_number_u64(0);
	char text[KT_NUMBER_TEXT_BYTES];

	if (kt_number_compare(&arg->number, &zero) >= 0)
		return 0;
	*param = name;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must not be negative, it is %s", name,
			  kt_number_format(&arg->number, text));
}

static int refuse_infinite(const struct kt_param_arg *arg, const char *name, const char **param,
			   struct kt_err *err)
{
	if (arg->number.type != KT_NUMBER_F64 || isfinite(arg->number.f64))
		return 0;
	*param = name;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be a finite number", name);
}

static int check_tol(const struct kt_param_arg *tol, const char **param, struct kt_err *err)
{
	int status = refuse_negative(tol, "tol", param, err);

	return status < 0 ? status : refuse_infinite(tol, "tol", param, err);
}

static int check_steady(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	return check_tol(&use->args[STEADY_TOL], param, err);
}

static bool is_finite(const struct kt_number *number)
{
	return number->type != KT_NUMBER_F64 || isfinite(number->f64);
}

/* What steady_within gathers in its first pass. */
struct steady {
	size_t n; /* finite values after the warm-up */
	size_t skipped; /* no value, or NaN, after the warm-up */
	double sum;
	struct kt_number lowest;
	struct kt_number highest;
};

static bool is_warm(const struct kt_pattern_use *use, const struct kt_column_slot *slot)
{
	const struct kt_param_arg *warmup = &use->args[STEADY_WARMUP_MS];

	return slot->elapsed_ns >= (warmup->given ? (int64_t)warmup->count * KT_NS_PER_MS : 0);
}

static void gather_steady(const struct kt_pattern_use *use, const struct kt_column *column,
			  struct steady *steady)
{
	for (size_t i = 0; i < column->n; i++) {
		struct kt_number value;

		if (!is_warm(use, &column->slots[i]))
			continue;
		if (!kt_column_slot_usable(&column->slots[i])) {
			steady->skipped++;
			continue;
		}
		value = kt_column_slot_number(&column->slots[i]);
		steady->skipped += kt_number_is_nan(&value);
		if (!is_finite(&value))
			continue;
		if (steady->n == 0 || kt_number_compare(&value, &steady->lowest) < 0)
			steady->lowest = value;
		if (steady->n == 0 || kt_number_compare(&value, &steady->highest) > 0)
			steady->highest = value;
		steady->sum += kt_number_to_f64(&value);
		steady->n++;
	}
}

/* The mean is a quotient, and so the band around it a pair of doubles; the values are compared with
 * it as they are.
 */
static void judge_steady(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	double tol = kt_number_to_f64(&use->args[STEADY_TOL].number);
	struct steady steady = { 0 };
	struct kt_number mean;
	struct kt_number low;
	struct kt_number high;
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };
	bool constant;

	gather_steady(use, column, &steady);
	mean = kt_number_f64(steady.n ? steady.sum / (double)steady.n : 0);
	low = kt_number_f64(mean.f64 * (mean.f64 < 0 ? 1 + tol : 1 - tol));
	high = kt_number_f64(mean.f64 * (mean.f64 < 0 ? 1 - tol : 1 + tol));
	/* What never changes is steady, whatever its mean is rounded to. */
	constant = steady.n && kt_number_compare(&steady.lowest, &steady.highest) == 0;
	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		struct kt_number number;
		KT_AUTO_BUF what = { 0 };

		if (!is_warm(use, slot) || !kt_column_slot_usable(slot))
			continue;
		number = kt_column_slot_number(slot);
		if (kt_number_is_nan(&number))
			continue;
		if (!is_finite(&number) || !is_finite(&low) || !is_finite(&high)) {
			fail_slot(talk, "no finite mean", slot);
			continue;
		}
		if (constant)
			continue;
		if (kt_number_compare(&number, &low) < 0)
			kt_buf_printf(&what, "below %s", kt_number_format(&low, value));
		else if (kt_number_compare(&number, &high) > 0)
			kt_buf_printf(&what, "above %s", kt_number_format(&high, value));
		else
			continue;
		kt_buf_printf(&what, " (mean %s of %zu)", kt_number_format(&mean, value), steady.n);
		fail_slot(talk, kt_buf_text(&what), slot);
	}
	if (steady.n == 0)
		kt_buf_puts(&text, "no value after the warm-up");
	if (steady.skipped)
		kt_buf_printf(&text, "%s%zu samples after the warm-up without a number",
			      text.len ? "; " : "", steady.skipped);
	if (text.len)
		note(talk, &text);
}

/* ---- converges_to ---- */

#define RUN_DEFAULT 3

enum converges_param {
	CONVERGES_TARGET,
	CONVERGES_TOL,
	CONVERGES_DEADLINE_MS,
	CONVERGES_RUN,
	CONVERGES_STAYS,
	CONVERGES_N
};

static const struct kt_param converges_params[] = {
	[CONVERGES_TARGET] = { .name = "target",
			       .kind = KT_PARAM_NUMBER,
			       .required = true,
			       .sentence = "the value that is to be reached" },
	[CONVERGES_TOL] = { .name = "tol",
			    .kind = KT_PARAM_NUMBER,
			    .required = true,
			    .sentence = "how far from the target still counts" },
	[CONVERGES_DEADLINE_MS] = { .name = "deadline_ms",
				    .kind = KT_PARAM_COUNT,
				    .unit = "ms",
				    .max = DEADLINE_MS_MAX,
				    .required = true,
				    .sentence = "when it must have been reached" },
	[CONVERGES_RUN] = { .name = "run",
			    .kind = KT_PARAM_COUNT,
			    .unit = "samples",
			    .min = 1,
			    .max = KT_SAMPLES_PER_ATTEMPT_MAX,
			    .fallback = "3",
			    .sentence = "as many in a row make it reached" },
	[CONVERGES_STAYS] = { .name = "stays",
			      .kind = KT_PARAM_FLAG,
			      .fallback = "false",
			      .sentence = "once reached it is kept to the end" },
};

static int check_converges(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	int status = refuse_infinite(&use->args[CONVERGES_TARGET], "target", param, err);

	return status < 0 ? status : check_tol(&use->args[CONVERGES_TOL], param, err);
}

/* Integers by their distance, exactly; with a float on either side by the ends of the band. */
static bool is_near(const struct kt_number *value, const struct kt_number *target,
		    const struct kt_number *tol)
{
	struct kt_number low = kt_number_minus(target, tol);
	struct kt_number high = kt_number_plus(target, tol);
	struct kt_number distance;

	if (kt_number_is_nan(value))
		return false;
	if (value->type == KT_NUMBER_F64 || target->type == KT_NUMBER_F64)
		return kt_number_compare(value, &low) >= 0 && kt_number_compare(value, &high) <= 0;
	distance = kt_number_compare(value, target) < 0 ? kt_number_minus(target, value)
							: kt_number_minus(value, target);
	return kt_number_compare(&distance, tol) <= 0;
}

/* What converges_to has seen so far. A witness is a run of slots that all stand near the target. */
struct converging {
	size_t usable; /* up to the deadline */
	size_t run; /* near the target up to here */
	size_t longest;
	const struct kt_column_slot *longest_at; /* last slot of the longest run */
	const struct kt_column_slot *last; /* usable, up to the deadline */
	const struct kt_column_slot *errored; /* the first one, up to the deadline */
	const struct kt_column_slot *witness; /* last slot of the first run that is long enough */
	const struct kt_column_slot *left; /* first slot behind a witness that is not near */
};

static void follow(const struct kt_pattern_use *use, const struct kt_column_slot *slot, size_t run,
		   struct converging *seen)
{
	const struct kt_param_arg *args = use->args;
	bool in_time =
		slot->elapsed_ns <= (int64_t)args[CONVERGES_DEADLINE_MS].count * KT_NS_PER_MS;
	bool stays = args[CONVERGES_STAYS].given && args[CONVERGES_STAYS].flag;
	struct kt_number value;

	if (!kt_column_slot_usable(slot)) {
		seen->run = 0;
		if (in_time && !seen->errored)
			seen->errored = slot;
		return;
	}
	if (in_time) {
		seen->usable++;
		seen->last = slot;
	}
	value = kt_column_slot_number(slot);
	if (!is_near(&value, &args[CONVERGES_TARGET].number, &args[CONVERGES_TOL].number)) {
		seen->run = 0;
		/* A later run within the deadline may still stay. */
		if (stays && seen->witness) {
			seen->left = slot;
			seen->witness = NULL;
		}
		return;
	}
	if (!in_time)
		return;
	if (++seen->run > seen->longest) {
		seen->longest = seen->run;
		seen->longest_at = slot;
	}
	if (seen->run >= run && !seen->witness)
		seen->witness = slot;
}

static void print_no_witness(const struct converging *seen, size_t run, uint64_t deadline_ms,
			     struct kt_buf *text)
{
	if (seen->left) {
		struct kt_number value = kt_column_slot_number(seen->left);
		char number[KT_NUMBER_TEXT_BYTES];

		kt_buf_puts(text, "reached and left again at ");
		kt_column_slot_print_place(seen->left, text);
		kt_buf_printf(text, ": %s", kt_number_format(&value, number));
		return;
	}
	kt_buf_printf(text, "not %zu in a row by +%llu ms: ", run, (unsigned long long)deadline_ms);
	if (seen->longest) {
		kt_buf_printf(text, "at most %zu, the last of them ", seen->longest);
		kt_column_slot_print(seen->longest_at, text);
	} else {
		kt_buf_puts(text, "none, the last value is ");
		kt_column_slot_print(seen->last, text);
	}
	if (seen->errored) {
		kt_buf_puts(text, "; no value at ");
		kt_column_slot_print_place(seen->errored, text);
		kt_buf_printf(text, ": %s", seen->errored->error->text);
	}
}

static void judge_converges(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_param_arg *given = &use->args[CONVERGES_RUN];
	uint64_t deadline_ms = use->args[CONVERGES_DEADLINE_MS].count;
	size_t run = given->given ? given->count : RUN_DEFAULT;
	struct converging seen = { 0 };
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < column->n; i++)
		follow(use, &column->slots[i], run, &seen);
	if (seen.witness) {
		kt_buf_printf(&text, "reached, %zu in a row to ", run);
		kt_column_slot_print(seen.witness, &text);
		note(talk, &text);
	} else if (seen.usable < run) {
		kt_buf_printf(&text, "%zu of the %zu values that a run needs by +%llu ms",
			      seen.usable, run, (unsigned long long)deadline_ms);
		note(talk, &text);
	} else {
		print_no_witness(&seen, run, deadline_ms, &text);
		fail(talk, &text);
	}
}

/* ---- ratio_across_steps ---- */

enum steps_param { STEPS_EARLY, STEPS_LATE, STEPS_AT_MOST, STEPS_N };

static const struct kt_param steps_params[] = {
	[STEPS_EARLY] = { .name = "early",
			  .kind = KT_PARAM_COUNT,
			  .unit = "index of a step, from 0",
			  .max = KT_STEPS_MAX - 1,
			  .required = true,
			  .sentence = "the step whose last value is the baseline" },
	[STEPS_LATE] = { .name = "late",
			 .kind = KT_PARAM_COUNT,
			 .unit = "index of a step, from 0",
			 .max = KT_STEPS_MAX - 1,
			 .required = true,
			 .sentence = "the step whose last value is compared with it" },
	[STEPS_AT_MOST] = { .name = "at_most",
			    .kind = KT_PARAM_NUMBER,
			    .required = true,
			    .sentence = "late / early is not above it" },
};

static const struct kt_column_slot *last_of_step(const struct kt_column *column, uint64_t step)
{
	for (size_t i = column->n; i > 0; i--)
		if (column->slots[i - 1].step == step &&
		    kt_column_slot_usable(&column->slots[i - 1]))
			return &column->slots[i - 1];
	return NULL;
}

static void judge_steps(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	uint64_t steps[] = { use->args[STEPS_EARLY].count, use->args[STEPS_LATE].count };
	const struct kt_number *at_most = &use->args[STEPS_AT_MOST].number;
	const struct kt_column_slot *slots[2];
	struct kt_number early;
	struct kt_number late;
	struct kt_number ratio;
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < 2; i++) {
		slots[i] = last_of_step(talk->input->column, steps[i]);
		if (slots[i])
			continue;
		kt_buf_printf(&text, "no value in step %llu", (unsigned long long)steps[i]);
		unsure(talk, &text);
		return;
	}
	early = kt_column_slot_number(slots[0]);
	late = kt_column_slot_number(slots[1]);
	if (kt_number_is_zero(&early)) {
		kt_buf_printf(&text, "the baseline, step %llu, is ", (unsigned long long)steps[0]);
		kt_column_slot_print(slots[0], &text);
		unsure(talk, &text);
		return;
	}
	/* A quotient is a double's. */
	ratio = kt_number_f64(kt_number_to_f64(&late) / kt_number_to_f64(&early));
	if (!isfinite(ratio.f64)) {
		fail_pair(talk, "no finite ratio", slots[1], slots[0]);
		return;
	}
	if (kt_number_compare(&ratio, at_most) <= 0)
		return;
	kt_buf_printf(&text, "%s times,", kt_number_format(&ratio, value));
	kt_buf_printf(&text, " above %s,", kt_number_format(at_most, value));
	fail_pair(talk, kt_buf_text(&text), slots[1], slots[0]);
}

/* ---- ratio_within ---- */

enum ratio_param { RATIO_OTHER, RATIO_LO, RATIO_HI, RATIO_N };

static const struct kt_param ratio_params[] = {
	[RATIO_OTHER] = { .name = "other",
			  .kind = KT_PARAM_SERIES,
			  .min = 1,
			  .max = KT_NAME_BYTES_MAX,
			  .required = true,
			  .sentence = "the series that is divided by, \"axis:path\"" },
	[RATIO_LO] = { .name = "lo",
		       .kind = KT_PARAM_NUMBER,
		       .required = true,
		       .sentence = "the smallest ratio that is right" },
	[RATIO_HI] = { .name = "hi",
		       .kind = KT_PARAM_NUMBER,
		       .required = true,
		       .sentence = "the largest ratio that is right" },
};

static int check_ratio(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	return refuse_empty("lo", &use->args[RATIO_LO], "hi", &use->args[RATIO_HI], param, err);
}

/* Slots by their tag. A tag that is used again has its slots in order: the first of one column
 * belongs to the first of the other.
 */
struct tagged {
	const struct kt_column_slot *slot;
	struct tagged *next; /* same tag, later */
	UT_hash_handle hh;
};

struct by_tag {
	struct tagged *all; /* an array */
	struct tagged *heads; /* the hash */
};

static void by_tag_destroy(struct by_tag *by_tag)
{
	HASH_CLEAR(hh, by_tag->heads);
	free(by_tag->all);
}

static void by_tag_fill(struct by_tag *by_tag, const struct kt_column *column)
{
	by_tag->all = kt_must_calloc(column->n ? column->n : 1, sizeof(*by_tag->all));
	for (size_t i = column->n; i > 0; i--) {
		struct tagged *item = &by_tag->all[i - 1];
		const char *tag = column->slots[i - 1].tag;

		item->slot = &column->slots[i - 1];
		HASH_FIND_STR(by_tag->heads, tag, item->next);
		if (item->next)
			HASH_DELETE(hh, by_tag->heads, item->next);
		HASH_ADD_KEYPTR(hh, by_tag->heads, tag, strlen(tag), item);
	}
}

/* The next slot of this tag, NULL when there is no more. */
static const struct kt_column_slot *by_tag_take(struct by_tag *by_tag, const char *tag)
{
	struct tagged *item;

	HASH_FIND_STR(by_tag->heads, tag, item);
	if (!item)
		return NULL;
	HASH_DELETE(hh, by_tag->heads, item);
	if (item->next)
		HASH_ADD_KEYPTR(hh, by_tag->heads, tag, strlen(tag), item->next);
	return item->slot;
}

/* ", above 2, at periodic_004 (+850 ms): 100 over 40 of bpf:other at periodic_004 (+850 ms)" */
static void print_ratio(const struct kt_pattern_use *use, const struct kt_column_slot *slot,
			const struct kt_column_slot *other, struct kt_buf *text)
{
	struct kt_number above = kt_column_slot_number(slot);
	struct kt_number below = kt_column_slot_number(other);
	char value[KT_NUMBER_TEXT_BYTES];

	kt_buf_puts(text, " at ");
	kt_column_slot_print_place(slot, text);
	kt_buf_printf(text, ": %s over", kt_number_format(&above, value));
	kt_buf_printf(text, " %s of %s at ", kt_number_format(&below, value),
		      use->args[RATIO_OTHER].series->text);
	kt_column_slot_print_place(other, text);
}

static void judge_ratio(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			const struct kt_column_slot *slot, const struct kt_column_slot *other)
{
	const struct kt_number *lo = &use->args[RATIO_LO].number;
	const struct kt_number *hi = &use->args[RATIO_HI].number;
	struct kt_number above = kt_column_slot_number(slot);
	struct kt_number below = kt_column_slot_number(other);
	struct kt_number ratio;
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };

	if (kt_number_is_zero(&below)) {
		kt_buf_puts(&text, "nothing to divide by");
		print_ratio(use, slot, other, &text);
		unsure(talk, &text);
		return;
	}
	/* A quotient is a double's. */
	ratio = kt_number_f64(kt_number_to_f64(&above) / kt_number_to_f64(&below));
	if (!isfinite(ratio.f64)) {
		kt_buf_puts(&text, "no finite ratio");
	} else {
		bool low = kt_number_compare(&ratio, lo) < 0;

		if (!low && kt_number_compare(&ratio, hi) <= 0)
			return;
		kt_buf_puts(&text, kt_number_format(&ratio, value));
		kt_buf_printf(&text, ", %s %s,", low ? "below" : "above",
			      kt_number_format(low ? lo : hi, value));
	}
	print_ratio(use, slot, other, &text);
	fail(talk, &text);
}

static void judge_ratio_within(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	KT_AUTO(by_tag_destroy) struct by_tag by_tag = { 0 };
	KT_AUTO_BUF gaps = { 0 };
	KT_AUTO_BUF text = { 0 };
	size_t n_gaps = 0;

	kt_must(talk->input->other);
	if (talk->input->other->n != column->n) {
		kt_buf_printf(&text, "%zu samples here, %zu of %s", column->n,
			      talk->input->other->n, use->args[RATIO_OTHER].series->text);
		fail(talk, &text);
		return;
	}
	by_tag_fill(&by_tag, talk->input->other);
	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		const struct kt_column_slot *other = by_tag_take(&by_tag, slot->tag);

		if (other && kt_column_slot_usable(slot) && kt_column_slot_usable(other))
			judge_ratio(use, talk, slot, other);
		else if (n_gaps++ < LISTED_MAX)
			kt_buf_printf(&gaps, "%s%s", n_gaps > 1 ? ", " : "", slot->tag);
	}
	if (n_gaps == 0)
		return;
	kt_buf_printf(&text, "not judged because of errors: %s", kt_buf_text(&gaps));
	if (n_gaps > LISTED_MAX)
		kt_buf_printf(&text, " and %zu more", n_gaps - LISTED_MAX);
	note(talk, &text);
	if (n_gaps == column->n) {
		KT_AUTO_BUF none = { 0 };

		kt_buf_puts(&none, "no sample has a value of both series");
		unsure(talk, &none);
	}
}

/* ---- always_true ---- */

static void judge_always_true(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		struct kt_number number;

		if (!kt_column_slot_usable(slot)) {
			fail_errored(talk, slot);
			continue;
		}
		number = kt_column_slot_number(slot);
		if (number.type != KT_NUMBER_BOOL)
			fail_slot(talk, "not a bool", slot);
		else if (!number.boolean)
			fail_slot(talk, "not true", slot);
	}
}

/* ---- each ---- */

enum each_param { AT_LEAST, AT_MOST, BETWEEN, EQ, NE, GT, LT, EACH_N };

/* Rows of every pattern that compares values one by one, first in its table. */
/* clang-format off */
#define EACH_PARAMS \
	[AT_LEAST] = { .name = "at_least", \
		       .kind = KT_PARAM_NUMBER, \
		       .sentence = "not below it" }, \
	[AT_MOST] = { .name = "at_most", \
		      .kind = KT_PARAM_NUMBER, \
		      .sentence = "not above it" }, \
	[BETWEEN] = { .name = "between", \
		      .kind = KT_PARAM_RANGE, \
		      .sentence = "in it, both ends included" }, \
	[EQ] = { .name = "eq", .kind = KT_PARAM_NUMBER, .sentence = "equal to it" }, \
	[NE] = { .name = "ne", .kind = KT_PARAM_NUMBER, .sentence = "not equal to it" }, \
	[GT] = { .name = "gt", .kind = KT_PARAM_NUMBER, .sentence = "above it" }, \
	[LT] = { .name = "lt", .kind = KT_PARAM_NUMBER, .sentence = "below it" }
/* clang-format on */

static const struct kt_param each_params[] = { EACH_PARAMS };

static int check_each(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	const struct kt_param_arg *between = &use->args[BETWEEN];
	char low[KT_NUMBER_TEXT_BYTES];
	char high[KT_NUMBER_TEXT_BYTES];

	if (!between->given || kt_number_compare(&between->range[0], &between->range[1]) <= 0)
		return 0;
	*param = "between";
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "between [%s, %s] is empty: the lowest stands first",
			  kt_number_format(&between->range[0], low),
			  kt_number_format(&between->range[1], high));
}

#define BELOW (1u << 0)
#define EQUAL (1u << 1)
#define ABOVE (1u << 2)

/* How a value must not stand to the limit, and what is said when it does. between is at_least its
 * lowest and at_most its highest.
 */
static const struct {
	unsigned int broken_if;
	const char *what;
} each_rules[] = {
	[AT_LEAST] = { BELOW, "below" },       [AT_MOST] = { ABOVE, "above" },
	[EQ] = { BELOW | ABOVE, "not" },       [NE] = { EQUAL, "equal to" },
	[GT] = { BELOW | EQUAL, "not above" }, [LT] = { EQUAL | ABOVE, "not below" },
};

static bool breaks(const struct kt_number *value, enum each_param rule,
		   const struct kt_number *limit)
{
	return each_rules[rule].broken_if & (1u << (kt_number_compare(value, limit) + 1));
}

static void compare_each(struct kt_pattern_talk *talk, const struct kt_column_slot *slot,
			 const struct kt_number *value, enum each_param rule,
			 const struct kt_number *limit)
{
	if (breaks(value, rule, limit)) {
		KT_AUTO_BUF what = { 0 };
		char text[KT_NUMBER_TEXT_BYTES];

		kt_buf_printf(&what, "%s %s", each_rules[rule].what, kt_number_format(limit, text));
		fail_slot(talk, kt_buf_text(&what), slot);
	}
}

/* Every comparison asked for of one slot that carries a value; what is broken is said. */
static void judge_slot(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
		       const struct kt_column_slot *slot)
{
	struct kt_number value = kt_column_slot_number(slot);

	if (kt_number_is_nan(&value)) {
		fail_slot(talk, "incomparable", slot);
		return;
	}
	for (enum each_param p = 0; p < EACH_N; p++) {
		const struct kt_param_arg *arg = &use->args[p];

		if (!arg->given)
			continue;
		if (p == BETWEEN) {
			compare_each(talk, slot, &value, AT_LEAST, &arg->range[0]);
			compare_each(talk, slot, &value, AT_MOST, &arg->range[1]);
		} else {
			compare_each(talk, slot, &value, p, &arg->number);
		}
	}
}

static void judge_each(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;

	for (size_t i = 0; i < column->n; i++) {
		if (kt_column_slot_usable(&column->slots[i]))
			judge_slot(use, talk, &column->slots[i]);
		else
			fail_errored(talk, &column->slots[i]);
	}
}

/* ---- eventually, always: bounded in time, over the comparisons of each ---- */

/* A slot without a value is neither true nor false: the outcome is inconclusive when, and only when,
 * it could have been another with the value there.
 */
enum eventually_param { EVENTUALLY_WITHIN_MS = EACH_N, EVENTUALLY_N };
enum always_param { ALWAYS_FROM_MS = EACH_N, ALWAYS_TO_MS, ALWAYS_N };

static const struct kt_param eventually_params[] = {
	EACH_PARAMS,
	[EVENTUALLY_WITHIN_MS] = { .name = "within_ms",
				   .kind = KT_PARAM_COUNT,
				   .unit = "ms",
				   .max = DEADLINE_MS_MAX,
				   .required = true,
				   .sentence = "by when one value must stand so" },
};

static const struct kt_param always_params[] = {
	EACH_PARAMS,
	[ALWAYS_FROM_MS] = { .name = "from_ms",
			     .kind = KT_PARAM_COUNT,
			     .unit = "ms",
			     .max = DEADLINE_MS_MAX,
			     .fallback = "0",
			     .sentence = "samples before it are not judged" },
	[ALWAYS_TO_MS] = { .name = "to_ms",
			   .kind = KT_PARAM_COUNT,
			   .unit = "ms",
			   .max = DEADLINE_MS_MAX,
			   .fallback = "the end",
			   .sentence = "samples after it are not judged" },
};

static int check_comparisons(const struct kt_pattern_use *use, const char **param,
			     struct kt_err *err)
{
	KT_AUTO_BUF names = { 0 };

	for (enum each_param p = 0; p < EACH_N; p++) {
		if (use->args[p].given)
			return check_each(use, param, err);
		kt_buf_printf(&names, "%s%s", p ? ", " : "", each_params[p].name);
	}
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs at least one of: %s",
			  use->pattern->name, kt_buf_text(&names));
}

static int check_always(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	const struct kt_param_arg *from = &use->args[ALWAYS_FROM_MS];
	const struct kt_param_arg *to = &use->args[ALWAYS_TO_MS];

	if (from->given && to->given && from->count > to->count) {
		*param = "from_ms";
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "from_ms %llu is after to_ms %llu",
				  (unsigned long long)from->count, (unsigned long long)to->count);
	}
	return check_comparisons(use, param, err);
}

static bool stands(const struct kt_pattern_use *use, const struct kt_column_slot *slot)
{
	struct kt_number value = kt_column_slot_number(slot);
	bool broken = kt_number_is_nan(&value);

	for (enum each_param p = 0; p < EACH_N && !broken; p++) {
		const struct kt_param_arg *arg = &use->args[p];

		if (!arg->given)
			continue;
		if (p == BETWEEN)
			broken = breaks(&value, AT_LEAST, &arg->range[0]) ||
				 breaks(&value, AT_MOST, &arg->range[1]);
		else
			broken = breaks(&value, p, &arg->number);
	}
	return !broken;
}

/* "2 samples have no value, the first periodic_001 (+100 ms): AxisError: ..." */
static void unsure_unknown(struct kt_pattern_talk *talk, const char *what, size_t n,
			   const struct kt_column_slot *first)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_printf(&text, "%s%zu samples have no value, the first ", what, n);
	kt_column_slot_print_place(first, &text);
	kt_buf_printf(&text, ": %s", first->error->text);
	unsure(talk, &text);
}

static void unsure_empty(struct kt_pattern_talk *talk)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, "no sample in that time");
	unsure(talk, &text);
}

static void judge_eventually(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	int64_t end_ns = (int64_t)use->args[EVENTUALLY_WITHIN_MS].count * KT_NS_PER_MS;
	const struct kt_column_slot *unknown = NULL; /* the first */
	const struct kt_column_slot *last = NULL;
	size_t n_unknown = 0;

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];

		if (slot->elapsed_ns > end_ns)
			continue;
		if (!kt_column_slot_usable(slot)) {
			if (n_unknown++ == 0)
				unknown = slot;
			continue;
		}
		if (stands(use, slot)) {
			KT_AUTO_BUF text = { 0 };

			kt_buf_puts(&text, "first ");
			kt_column_slot_print(slot, &text);
			note(talk, &text);
			return;
		}
		last = slot;
	}
	if (unknown)
		unsure_unknown(talk, "not seen, but ", n_unknown, unknown);
	else if (last)
		fail_slot(talk, "never, last seen", last);
	else
		unsure_empty(talk);
}

static void judge_always(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_param_arg *from = &use->args[ALWAYS_FROM_MS];
	const struct kt_param_arg *to = &use->args[ALWAYS_TO_MS];
	int64_t from_ns = from->given ? (int64_t)from->count * KT_NS_PER_MS : INT64_MIN;
	int64_t to_ns = to->given ? (int64_t)to->count * KT_NS_PER_MS : INT64_MAX;
	const struct kt_column_slot *unknown = NULL; /* the first */
	size_t n_unknown = 0;
	size_t n = 0;

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];

		if (slot->elapsed_ns < from_ns || slot->elapsed_ns > to_ns)
			continue;
		n++;
		if (kt_column_slot_usable(slot))
			judge_slot(use, talk, slot);
		else if (n_unknown++ == 0)
			unknown = slot;
	}
	if (n == 0)
		unsure_empty(talk);
	else if (unknown && talk->fails == 0)
		unsure_unknown(talk, "", n_unknown, unknown);
}

/* ---- the table ---- */

static const struct kt_pattern patterns[] = {
	{
		.name = "nondecreasing",
		.sentence = "no value is below the one before it",
		.judge = judge_nondecreasing,
	},
	{
		.name = "strictly_increasing",
		.sentence = "every value is above the one before it",
		.judge = judge_strictly_increasing,
	},
	{
		.name = "always_true",
		.sentence = "every value is true",
		.want = KT_NUMBER_WANT_BOOL,
		.judge = judge_always_true,
	},
	{
		.name = "each",
		.sentence = "every value stands to the limits as they say",
		.any_of_params = true,
		.params = each_params,
		.n_params = EACH_N,
		.check = check_each,
		.judge = judge_each,
	},
	{
		.name = "rate_within",
		.sentence = "from one value to the next it grows as fast as this",
		.params = rate_params,
		.n_params = RATE_N,
		.check = check_rate,
		.judge = judge_rate_within,
	},
	{
		.name = "steady_within",
		.sentence = "after the warm-up every value stands near their mean",
		.params = steady_params,
		.n_params = STEADY_N,
		.check = check_steady,
		.judge = judge_steady,
	},
	{
		.name = "converges_to",
		.sentence = "it comes near a target before a deadline",
		.params = converges_params,
		.n_params = CONVERGES_N,
		.check = check_converges,
		.judge = judge_converges,
	},
	{
		.name = "ratio_across_steps",
		.sentence = "from one step to another it does not grow beyond this",
		.params = steps_params,
		.n_params = STEPS_N,
		.judge = judge_steps,
	},
	{
		.name = "ratio_within",
		.sentence = "divided by another series of the same sample it stands between these",
		.params = ratio_params,
		.n_params = RATIO_N,
		.check = check_ratio,
		.judge = judge_ratio_within,
	},
	{
		.name = "eventually",
		.sentence = "before a deadline one value stands to the limits as they say",
		.params = eventually_params,
		.n_params = EVENTUALLY_N,
		.check = check_comparisons,
		.judge = judge_eventually,
	},
	{
		.name = "always",
		.sentence = "within a time every value stands to the limits as they say",
		.params = always_params,
		.n_params = ALWAYS_N,
		.check = check_always,
		.judge = judge_always,
	},
};

_Static_assert((int)EACH_N <= KT_PATTERN_PARAMS_MAX && (int)ALWAYS_N <= KT_PATTERN_PARAMS_MAX,
	       "a pattern's arguments must fit into its use");

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

const struct kt_projection *kt_pattern_other(const struct kt_pattern_use *use)
{
	for (size_t i = 0; i < use->pattern->n_params; i++)
		if (use->pattern->params[i].kind == KT_PARAM_SERIES && use->args[i].given)
			return use->args[i].series;
	return NULL;
}

void kt_pattern_print(const struct kt_pattern_use *use, struct kt_buf *out)
{
	const char *between = " ";

	kt_buf_puts(out, use->pattern->name);
	for (size_t i = 0; i < use->pattern->n_params; i++) {
		if (!use->args[i].given)
			continue;
		kt_buf_puts(out, between);
		kt_param_print(&use->pattern->params[i], &use->args[i], out);
		between = ", ";
	}
}

int kt_pattern_check(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	const struct kt_pattern *pattern = use->pattern;
	bool any = false;

	*param = "";
	for (size_t i = 0; i < pattern->n_params; i++) {
		any |= use->args[i].given;
		if (pattern->params[i].required && !use->args[i].given)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs %s: %s",
					  pattern->name, pattern->params[i].name,
					  pattern->params[i].sentence);
	}
	if (pattern->any_of_params && !any) {
		KT_AUTO_BUF names = { 0 };

		for (size_t i = 0; i < pattern->n_params; i++)
			kt_buf_printf(&names, "%s%s", i ? ", " : "", pattern->params[i].name);
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs at least one of: %s",
				  pattern->name, kt_buf_text(&names));
	}
	return pattern->check ? pattern->check(use, param, err) : 0;
}

void kt_pattern_judge(const struct kt_pattern_use *use, const struct kt_pattern_input *input,
		      struct kt_verdict *verdict)
{
	KT_AUTO_BUF head = { 0 };
	struct kt_pattern_talk talk = { .input = input, .verdict = verdict };
	struct kt_err err = { 0 };
	const char *param;

	kt_buf_printf(&head, "%s (", input->label);
	kt_pattern_print(use, &head);
	kt_buf_puts(&head, ")");
	talk.head = kt_buf_text(&head);
	if (kt_pattern_check(use, &param, &err) < 0) {
		kt_verdict_say(verdict, KT_VERDICT_FAIL, KT_VERDICT_KIND_TEMPORAL, input->assertion,
			       "%s: %s", talk.head, err.text);
		return;
	}
	use->pattern->judge(use, &talk);
	say_more(&talk, talk.fails);
	say_more(&talk, talk.unsure);
	if (talk.fails == 0 && talk.unsure == 0)
		kt_verdict_say(verdict, KT_VERDICT_PASS, KT_VERDICT_KIND_TEMPORAL, input->assertion,
			       "%s: holds over %zu values", talk.head,
			       kt_column_usable(input->column));
}
