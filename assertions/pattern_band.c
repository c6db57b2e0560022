#include "assertions/pattern_band.h"
#include "assertions/pattern_talk.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <math.h>

#define DEADLINE_MS_MAX ((uint64_t)(KT_DURATION_NS_MAX / KT_NS_PER_MS))

/* ---- steady_within ---- */

enum steady_param { STEADY_WARMUP_MS, STEADY_TOL, STEADY_N };

const struct kt_param kt_pattern_band_steady_params[] = {
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

static int check_tol(const struct kt_param_arg *tol, const char **param, struct kt_err *err)
{
	int status = kt_param_refuse_negative(tol, "tol", param, err);

	return status < 0 ? status : kt_param_refuse_infinite(tol, "tol", param, err);
}

int kt_pattern_band_check_steady(const struct kt_pattern_use *use, const char **param,
				 struct kt_err *err)
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
static void judge_steady(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			 const struct kt_column *column)
{
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
			kt_pattern_talk_fail_slot(talk, "no finite mean", slot);
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
		kt_pattern_talk_fail_slot(talk, kt_buf_text(&what), slot);
	}
	if (steady.n == 0)
		kt_buf_puts(&text, "no value after the warm-up");
	if (steady.skipped)
		kt_buf_printf(&text, "%s%zu sample%s after the warm-up without a number",
			      text.len ? "; " : "", steady.skipped, steady.skipped == 1 ? "" : "s");
	if (text.len)
		kt_pattern_talk_note(talk, &text);
}

/* The slots from `from` on that belong to one life of the scheduler. */
static struct kt_column life_from(const struct kt_column *column, size_t from)
{
	struct kt_column life = { .slots = column->slots + from };

	while (from + life.n < column->n && life.slots[life.n].epoch == life.slots[0].epoch)
		life.n++;
	return life;
}

void kt_pattern_band_steady_within(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	struct kt_column life;

	if (!talk->input->reset || column->n == 0) {
		judge_steady(use, talk, column);
		return;
	}
	for (size_t i = 0; i < column->n; i += life.n) {
		life = life_from(column, i);
		judge_steady(use, talk, &life);
	}
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

const struct kt_param kt_pattern_band_converges_params[] = {
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

int kt_pattern_band_check_converges(const struct kt_pattern_use *use, const char **param,
				    struct kt_err *err)
{
	int status = kt_param_refuse_infinite(&use->args[CONVERGES_TARGET], "target", param, err);

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

void kt_pattern_band_converges_to(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_param_arg *given = &use->args[CONVERGES_RUN];
	uint64_t deadline_ms = use->args[CONVERGES_DEADLINE_MS].count;
	size_t run = given->given ? given->count : RUN_DEFAULT;
	struct converging seen = { 0 };
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < column->n; i++) {
		if (talk->input->reset && i > 0 &&
		    column->slots[i].epoch != column->slots[i - 1].epoch)
			seen.run = 0;
		follow(use, &column->slots[i], run, &seen);
	}
	if (seen.witness) {
		kt_buf_printf(&text, "reached, %zu in a row to ", run);
		kt_column_slot_print(seen.witness, &text);
		kt_pattern_talk_note(talk, &text);
	} else if (seen.usable < run) {
		kt_buf_printf(&text, "%zu of the %zu values that a run needs by +%llu ms",
			      seen.usable, run, (unsigned long long)deadline_ms);
		kt_pattern_talk_note(talk, &text);
	} else {
		print_no_witness(&seen, run, deadline_ms, &text);
		kt_pattern_talk_mark(talk, seen.left ? seen.left : seen.last, KT_PATTERN_MARK_FAIL);
		kt_pattern_talk_fail(talk, &text);
	}
}
