#include "assertions/number.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMERIC_BYTES_MAX 64 /* of a string that is still taken for a number */

const char *kt_number_want_name(enum kt_number_want want)
{
	static const char *const names[] = {
		[KT_NUMBER_WANT_ANY] = "number", [KT_NUMBER_WANT_U64] = "u64",
		[KT_NUMBER_WANT_I64] = "i64",    [KT_NUMBER_WANT_F64] = "f64",
		[KT_NUMBER_WANT_BOOL] = "bool",
	};

	kt_must(want <= KT_NUMBER_WANT_BOOL);
	return names[want];
}

struct kt_number kt_number_u64(uint64_t u64)
{
	return (struct kt_number){ .type = KT_NUMBER_U64, .u64 = u64 };
}

struct kt_number kt_number_i64(int64_t i64)
{
	if (i64 >= 0)
		return kt_number_u64((uint64_t)i64);
	return (struct kt_number){ .type = KT_NUMBER_I64, .i64 = i64 };
}

struct kt_number kt_number_f64(double f64)
{
	return (struct kt_number){ .type = KT_NUMBER_F64, .f64 = f64 };
}

struct kt_number kt_number_bool(bool boolean)
{
	return (struct kt_number){ .type = KT_NUMBER_BOOL, .boolean = boolean };
}

static const char *skip_digits(const char *p)
{
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent. */
static bool is_numeric(const char *text, bool *whole)
{
	const char *p = text + (*text == '-' || *text == '+');
	const char *digits = p;
	size_t n;

	p = skip_digits(p);
	n = (size_t)(p - digits);
	*whole = *p == 0;
	if (*p == '.') {
		digits = p + 1;
		p = skip_digits(digits);
		n += (size_t)(p - digits);
	}
	if (n == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		digits = p;
		p = skip_digits(digits);
		if (p == digits)
			return false;
	}
	return *p == 0;
}

static bool from_digits(const char *text, struct kt_number *number)
{
	bool minus = *text == '-';
	uint64_t sum = 0;

	for (const char *p = text + (minus || *text == '+'); *p; p++)
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(*p - '0'), &sum))
			return false;
	if (minus && sum > (uint64_t)INT64_MAX + 1)
		return false;
	*number = minus ? kt_number_i64((int64_t)(0 - sum)) : kt_number_u64(sum);
	return true;
}

static bool from_text(const struct kt_value *value, struct kt_number *number)
{
	bool whole;

	if (value->n == 0 || value->n > NUMERIC_BYTES_MAX || strlen(value->str) != value->n ||
	    !is_numeric(value->str, &whole))
		return false;
	if (whole)
		return from_digits(value->str, number);
	*number = kt_number_f64(strtod(value->str, NULL));
	return isfinite(number->f64);
}

static bool as_is(const struct kt_value *value, struct kt_number *number)
{
	switch (value->type) {
	case KT_VALUE_BOOL:
		*number = kt_number_bool(value->boolean);
		return true;
	case KT_VALUE_U64:
		*number = kt_number_u64(value->u64);
		return true;
	case KT_VALUE_I64:
		*number = kt_number_i64(value->i64);
		return true;
	case KT_VALUE_F64:
		*number = kt_number_f64(value->f64);
		return true;
	case KT_VALUE_STR:
		return from_text(value, number);
	default:
		return false;
	}
}

/* A bool or a whole float becomes the integer that it is. */
static bool to_integer(struct kt_number *number)
{
	double f64 = number->f64;

	switch (number->type) {
	case KT_NUMBER_U64:
	case KT_NUMBER_I64:
		return true;
	case KT_NUMBER_BOOL:
		*number = kt_number_u64(number->boolean);
		return true;
	case KT_NUMBER_F64:
		if (!(f64 >= -0x1p63 && f64 < 0x1p64) || f64 != trunc(f64))
			return false;
		*number = f64 < 0 ? kt_number_i64((int64_t)f64) : kt_number_u64((uint64_t)f64);
		return true;
	}
	return false;
}

bool kt_number_from_value(const struct kt_value *value, enum kt_number_want want,
			  struct kt_number *number)
{
	struct kt_number n;

	if (!as_is(value, &n))
		return false;
	switch (want) {
	case KT_NUMBER_WANT_ANY:
		break;
	case KT_NUMBER_WANT_U64:
		if (!to_integer(&n) || n.type != KT_NUMBER_U64)
			return false;
		break;
	case KT_NUMBER_WANT_I64:
		if (!to_integer(&n) || (n.type == KT_NUMBER_U64 && n.u64 > INT64_MAX))
			return false;
		break;
	case KT_NUMBER_WANT_F64:
		if (n.type == KT_NUMBER_BOOL)
			return false;
		if (n.type != KT_NUMBER_F64)
			n = kt_number_f64(n.type == KT_NUMBER_U64 ? (double)n.u64 : (double)n.i64);
		break;
	case KT_NUMBER_WANT_BOOL:
		if (value->type != KT_VALUE_BOOL)
			return false;
		break;
	}
	*number = n;
	return true;
}

bool kt_number_is_nan(const struct kt_number *number)
{
	return number->type == KT_NUMBER_F64 && isnan(number->f64);
}

bool kt_number_is_zero(const struct kt_number *number)
{
	const struct kt_number zero = kt_number_u64(0);

	return !kt_number_is_nan(number) && kt_number_compare(number, &zero) == 0;
}

#define COMPARE(a_, b_) (((a_) > (b_)) - ((a_) < (b_)))

/* An integer and a double meet as integers: the double's whole part fits once its range is known,
 * and what it loses there decides only when the whole parts are equal.
 */
static int compare_u64_f64(uint64_t a, double b)
{
	uint64_t whole;

	if (b < 0)
		return 1;
	if (b >= 0x1p64)
		return -1;
	whole = (uint64_t)b;
	if (a != whole)
		return COMPARE(a, whole);
	return b > (double)whole ? -1 : 0;
}

static int compare_i64_f64(int64_t a, double b)
{
	int64_t whole;

	if (b >= 0) /* a is negative */
		return -1;
	if (b < -0x1p63)
		return 1;
	whole = (int64_t)b;
	if (a != whole)
		return COMPARE(a, whole);
	return b < (double)whole ? 1 : 0;
}

static int compare_integer_f64(const struct kt_number *a, double b)
{
	return a->type == KT_NUMBER_U64 ? compare_u64_f64(a->u64, b) : compare_i64_f64(a->i64, b);
}

static struct kt_number unbool(const struct kt_number *number)
{
	return number->type == KT_NUMBER_BOOL ? kt_number_u64(number->boolean) : *number;
}

int kt_number_compare(const struct kt_number *a_, const struct kt_number *b_)
{
	struct kt_number a = unbool(a_);
	struct kt_number b = unbool(b_);

	kt_must(!kt_number_is_nan(&a));
	kt_must(!kt_number_is_nan(&b));
	if (a.type == KT_NUMBER_F64 && b.type == KT_NUMBER_F64)
		return COMPARE(a.f64, b.f64);
	if (b.type == KT_NUMBER_F64)
		return compare_integer_f64(&a, b.f64);
	if (a.type == KT_NUMBER_F64)
		return -compare_integer_f64(&b, a.f64);
	if (a.type != b.type) /* one of them is negative */
		return a.type == KT_NUMBER_U64 ? 1 : -1;
	return a.type == KT_NUMBER_U64 ? COMPARE(a.u64, b.u64) : COMPARE(a.i64, b.i64);
}

static __int128 wide(const struct kt_number *number)
{
	return number->type == KT_NUMBER_U64 ? (__int128)number->u64 : (__int128)number->i64;
}

static double as_f64(const struct kt_number *number)
{
	return number->type == KT_NUMBER_F64 ? number->f64 : (double)wide(number);
}

static struct kt_number narrow(__int128 total)
{
	if (total > (__int128)UINT64_MAX || total < (__int128)INT64_MIN)
		return kt_number_f64((double)total);
	return total < 0 ? kt_number_i64((int64_t)total) : kt_number_u64((uint64_t)total);
}

double kt_number_to_f64(const struct kt_number *number_)
{
	struct kt_number number = unbool(number_);

	return as_f64(&number);
}

struct kt_number kt_number_plus(const struct kt_number *a_, const struct kt_number *b_)
{
	struct kt_number a = unbool(a_);
	struct kt_number b = unbool(b_);

	if (a.type == KT_NUMBER_F64 || b.type == KT_NUMBER_F64)
		return kt_number_f64(as_f64(&a) + as_f64(&b));
	return narrow(wide(&a) + wide(&b));
}

struct kt_number kt_number_minus(const struct kt_number *a_, const struct kt_number *b_)
{
	struct kt_number a = unbool(a_);
	struct kt_number b = unbool(b_);

	if (a.type == KT_NUMBER_F64 || b.type == KT_NUMBER_F64)
		return kt_number_f64(as_f64(&a) - as_f64(&b));
	return narrow(wide(&a) - wide(&b));
}

bool kt_number_add(const struct kt_number *a_, const struct kt_number *b_, struct kt_number *sum)
{
	struct kt_number a = unbool(a_);
	struct kt_number b = unbool(b_);
	__int128 total;

	if (a.type == KT_NUMBER_F64 || b.type == KT_NUMBER_F64) {
		*sum = kt_number_f64(as_f64(&a) + as_f64(&b));
		return true;
	}
	total = wide(&a) + wide(&b);
	if (total > (__int128)UINT64_MAX || total < (__int128)INT64_MIN)
		return false;
	*sum = total < 0 ? kt_number_i64((int64_t)total) : kt_number_u64((uint64_t)total);
	return true;
}

const char *kt_number_format(const struct kt_number *number, char text[KT_NUMBER_TEXT_BYTES])
{
	switch (number->type) {
	case KT_NUMBER_U64:
		snprintf(text, KT_NUMBER_TEXT_BYTES, "%" PRIu64, number->u64);
		break;
	case KT_NUMBER_I64:
		snprintf(text, KT_NUMBER_TEXT_BYTES, "%" PRId64, number->i64);
		break;
	case KT_NUMBER_BOOL:
		snprintf(text, KT_NUMBER_TEXT_BYTES, "%s", number->boolean ? "true" : "false");
		break;
	case KT_NUMBER_F64:
		if (isnan(number->f64)) {
			snprintf(text, KT_NUMBER_TEXT_BYTES, "NaN");
			break;
		}
		/* 17 digits always read back; fewer are easier on the eye. */
		for (int digits = 6; digits <= 17; digits++) {
			snprintf(text, KT_NUMBER_TEXT_BYTES, "%.*g", digits, number->f64);
			if (strtod(text, NULL) == number->f64)
				break;
		}
		break;
	}
	return text;
}
