/* fromjson.h - JSON of strangers, as a value tree: what a scheduler answers, what a program prints.
 *
 * Integers keep all 64 bits, nothing goes through double; one that needs more is refused, never rounded. Of a
 * key that is there twice the last one counts.
 */
#ifndef KT_FROMJSON_H
#define KT_FROMJSON_H

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/value.h"

#define KT_FROMJSON_DEPTH_MAX  16
#define KT_FROMJSON_NODES_MAX  65536
#define KT_FROMJSON_DIGITS_MAX 64 /* characters of one number */
#define KT_FROMJSON_BYTES_MAX  (1u << 20)

/* The one value at the beginning of the text, in the arena; *used says how many bytes it took, with the blanks
 * behind it. used may be NULL: then nothing but blanks may follow. Fault GUEST: -EINVAL when it is no JSON ("not JSON: ..."),
 * -E2BIG when there is too much of it.
 */
int kt_fromjson(const void *text, size_t len, struct kt_arena *arena, struct kt_value *value,
		size_t *used, struct kt_err *err);

#endif
