/* value.h - a tree of values: what one axis of one sample holds.
 *
 * Integers keep all 64 bits and their sign; nothing goes through double. A tree lives in one arena.
 * Its wire form is plain msgpack: nil, bool, int, float 64, str, array, map with string keys.
 */
#ifndef KT_VALUE_H
#define KT_VALUE_H

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kt_value_type {
	KT_VALUE_NIL,
	KT_VALUE_BOOL,
	KT_VALUE_U64, /* every non-negative integer */
	KT_VALUE_I64, /* negative integers only, so that each integer has one form */
	KT_VALUE_F64,
	KT_VALUE_STR,
	KT_VALUE_LIST,
	KT_VALUE_MAP, /* string keys, unique, in the order given */
};

struct kt_value {
	enum kt_value_type type;
	uint32_t n; /* bytes of a STR, items of a LIST, pairs of a MAP */
	union {
		bool boolean;
		uint64_t u64;
		int64_t i64;
		double f64;
		const char *str; /* n bytes and a 0 */
		struct kt_value *items;
		struct kt_value_pair *pairs;
	};
};

struct kt_value_pair {
	const char *key;
	struct kt_value value;
};

struct kt_value kt_value_nil(void);
struct kt_value kt_value_bool(bool boolean);
struct kt_value kt_value_u64(uint64_t u64);
struct kt_value kt_value_i64(int64_t i64); /* U64 when not negative */
struct kt_value kt_value_f64(double f64);
struct kt_value kt_value_str(struct kt_arena *arena, const char *text);
/* Lists and maps with room for n; filled with nil. Set items[i] / pairs[i] afterwards. */
struct kt_value kt_value_list(struct kt_arena *arena, size_t n);
struct kt_value kt_value_map(struct kt_arena *arena, size_t n);

/* NULL when value is not a map or has no such key. Borrowed from the tree. */
const struct kt_value *kt_value_get(const struct kt_value *value, const char *key);
bool kt_value_equal(const struct kt_value *a, const struct kt_value *b); /* NaN equals NaN */

/* For people: JSON-like, at most max bytes, then "...". */
void kt_value_print(const struct kt_value *value, size_t max, struct kt_buf *out);
const char *kt_value_type_name(enum kt_value_type type);

void kt_value_encode(const struct kt_value *value, struct kt_buf *out);
int kt_value_decode(const void *bytes, size_t len, struct kt_arena *arena, struct kt_value *value,
		    struct kt_err *err);

#endif
