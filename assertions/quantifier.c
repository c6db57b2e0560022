#include "assertions/quantifier.h"
#include "assertions/number.h"
#include "proto/base/limits.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A share of n that is whole but for the last bit of a double counts as whole: 0.9 of 10 is 9. */
#define ROUNDING 1e-9

static int wrong(struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "over must be \"all\", \"any\", { at_least = n } or { fraction = f }");
}

static int read_word(const char *word, struct kt_quantifier *quantifier, struct kt_err *err)
{
	if (strcmp(word, "all") == 0)
		quantifier->kind = KT_QUANTIFIER_ALL;
	else if (strcmp(word, "any") == 0)
		quantifier->kind = KT_QUANTIFIER_ANY;
	else
		return wrong(err);
	return 0;
}

static int read_of(const struct kt_value *value, struct kt_quantifier *quantifier,
		   struct kt_err *err)
{
	if (value->type == KT_VALUE_STR && strcmp(value->str, "hosts") == 0)
		quantifier->of_hosts = true;
	else if (value->type != KT_VALUE_STR || strcmp(value->str, "repeats") != 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "of must be \"repeats\" or \"hosts\"");
	return 0;
}

static int read_count(const struct kt_value *value, struct kt_quantifier *quantifier,
		      struct kt_err *err)
{
	quantifier->kind = KT_QUANTIFIER_AT_LEAST;
	quantifier->at_least = value->u64;
	if (value->type != KT_VALUE_U64 || value->u64 == 0 || value->u64 > KT_REPEATS_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "at_least must be a whole number from 1 to %d", KT_REPEATS_MAX);
	return 0;
}

static int read_fraction(const struct kt_value *value, struct kt_quantifier *quantifier,
			 struct kt_err *err)
{
	bool is_float = value->type == KT_VALUE_F64;

	quantifier->kind = KT_QUANTIFIER_FRACTION;
	quantifier->fraction = is_float ? value->f64 : 1;
	if ((is_float && value->f64 > 0 && value->f64 <= 1) ||
	    (value->type == KT_VALUE_U64 && value->u64 == 1))
		return 0;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "fraction must be a number of more than 0 and at most 1");
}

static int read_key(const char *key, const struct kt_value *value, struct kt_place *place,
		    struct kt_quantifier *quantifier, bool *found, struct kt_err *err)
{
	static const char *const names[] = { "at_least", "fraction", "of" };
	KT_AUTO_BUF known = { 0 };

	if (strcmp(key, "of") == 0)
		return read_of(value, quantifier, err);
	if (strcmp(key, "at_least") != 0 && strcmp(key, "fraction") != 0) {
		place->at_key = true;
		kt_suggest_print(key, names, 3, &known);
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "unknown key '%.*s' of over; %s",
				  KT_NAME_BYTES_MAX, key, kt_buf_text(&known));
	}
	if (*found)
		return wrong(err);
	*found = true;
	return *key == 'a' ? read_count(value, quantifier, err)
			   : read_fraction(value, quantifier, err);
}

int kt_quantifier_read(const struct kt_value *value, struct kt_place *place,
		       struct kt_quantifier *quantifier, struct kt_err *err)
{
	bool found = false;

	*quantifier = (struct kt_quantifier){ 0 };
	if (value->type == KT_VALUE_STR)
		return read_word(value->str, quantifier, err);
	if (value->type != KT_VALUE_MAP)
		return wrong(err);
	for (uint32_t i = 0; i < value->n; i++) {
		size_t mark = kt_place_enter(place, value->pairs[i].key);
		int status = read_key(value->pairs[i].key, &value->pairs[i].value, place,
				      quantifier, &found, err);

		if (status < 0)
			return status;
		kt_place_leave(place, mark);
	}
	return found ? 0 : wrong(err);
}

void kt_quantifier_print(const struct kt_quantifier *quantifier, struct kt_buf *out)
{
	const char *what = quantifier->of_hosts ? "hosts" : "repeats";

	switch (quantifier->kind) {
	case KT_QUANTIFIER_ALL:
		kt_buf_printf(out, "all %s", what);
		break;
	case KT_QUANTIFIER_ANY:
		kt_buf_printf(out, "any of the %s", what);
		break;
	case KT_QUANTIFIER_AT_LEAST:
		kt_buf_printf(out, "at least %" PRIu64 " %s", quantifier->at_least, what);
		break;
	case KT_QUANTIFIER_FRACTION:
		kt_buf_printf(out, "a fraction of %.10g of the %s", quantifier->fraction, what);
		break;
	}
}

uint64_t kt_quantifier_needed(const struct kt_quantifier *quantifier, uint64_t n)
{
	double share = quantifier->fraction * (double)n;
	uint64_t whole = (uint64_t)share;

	switch (quantifier->kind) {
	case KT_QUANTIFIER_ANY:
		return 1;
	case KT_QUANTIFIER_AT_LEAST:
		return quantifier->at_least;
	case KT_QUANTIFIER_FRACTION:
		return whole + (share - (double)whole > ROUNDING * (double)n);
	case KT_QUANTIFIER_ALL:
		break;
	}
	return n;
}

enum kt_verdict_outcome kt_quantifier_judge(const struct kt_quantifier *quantifier, uint64_t n,
					    uint64_t hold, uint64_t fail)
{
	uint64_t needed = kt_quantifier_needed(quantifier, n);

	if (n == 0)
		return KT_VERDICT_SKIP;
	if (hold >= needed)
		return KT_VERDICT_PASS;
	return n - fail < needed ? KT_VERDICT_FAIL : KT_VERDICT_INCONCLUSIVE;
}
