/* number.h - a number that keeps all of its bits: what one slot of a column holds.
 *
 * Counters are 64-bit integers; a double has 53 bits. So integers stay integers, and every comparison
 * here is exact, also between an integer and a double: no detour through double anywhere.
 */
#ifndef KT_NUMBER_H
#define KT_NUMBER_H

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/value.h"

#include <stdbool.h>
#include <stdint.h>

enum kt_number_type {
	KT_NUMBER_U64, /* every non-negative integer */
	KT_NUMBER_I64, /* negative integers only, so that each integer has one form */
	KT_NUMBER_F64,
	KT_NUMBER_BOOL, /* counts as 0 or 1 in comparisons and sums */
};

struct kt_number {
	enum kt_number_type type;
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		bool boolean;
	};
};

/* What a column is read as (semantics.md section 3, coercions). */
enum kt_number_want {
	KT_NUMBER_WANT_ANY, /* as it is; numeric strings become the number they spell */
	KT_NUMBER_WANT_U64, /* non-negative integers, booleans, whole non-negative floats, numeric strings */
	KT_NUMBER_WANT_I64, /* likewise signed */
	KT_NUMBER_WANT_F64, /* numbers and numeric strings; an integer beyond 2^53 is rounded */
	KT_NUMBER_WANT_BOOL, /* booleans only */
};

const char *kt_number_want_name(enum kt_number_want want); /* "number", "u64", ... */

struct kt_number kt_number_u64(uint64_t u64);
struct kt_number kt_number_i64(int64_t i64); /* U64 when not negative */
struct kt_number kt_number_f64(double f64);
struct kt_number kt_number_bool(bool boolean);

/* False when value cannot be had as `want` without changing it. A numeric string is an optional sign,
 * decimal digits, fraction and exponent, nothing around it; "nan", "inf" and hex are not.
 */
bool kt_number_from_value(const struct kt_value *value, enum kt_number_want want,
			  struct kt_number *number);

bool kt_number_is_nan(const struct kt_number *number);
bool kt_number_is_zero(const struct kt_number *number);

/* -1, 0 or 1 as a is below, equal to or above b. Neither may be NaN (a bug of ours). */
int kt_number_compare(const struct kt_number *a, const struct kt_number *b);

/* Rounded when an integer needs more than 53 bits: for divisions, never for comparisons. */
double kt_number_to_f64(const struct kt_number *number);

/* a + b and a - b: exact for integers as long as the result fits into 64 bits; else, and with a float
 * on either side, in doubles.
 */
struct kt_number kt_number_plus(const struct kt_number *a, const struct kt_number *b);
struct kt_number kt_number_minus(const struct kt_number *a, const struct kt_number *b);

/* Exact for integers; false when the sum needs more than 64 bits. With a float on either side it is
 * the sum of doubles and always true.
 */
bool kt_number_add(const struct kt_number *a, const struct kt_number *b, struct kt_number *sum);

/* "18446744073709551615", "-5", "0.25" (shortest form that reads back as the same double), "NaN",
 * "true".
 */
#define KT_NUMBER_TEXT_BYTES 40
const char *kt_number_format(const struct kt_number *number, char text[KT_NUMBER_TEXT_BYTES]);

#endif
