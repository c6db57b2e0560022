#include "worker/introspect/ktext.h"

#include "proto/base/must.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 sequence at `at` (Unicode 15, table 3-7); 0 when it is none. */
static size_t utf8_bytes(const uint8_t *at, size_t left)
{
	size_t n = at[0] < 0x80   ? 1
		   : at[0] < 0xc2 ? 0
		   : at[0] < 0xe0 ? 2
		   : at[0] < 0xf0 ? 3
		   : at[0] < 0xf5 ? 4
				  : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return n;
}

const char *kt_ktext_clean(struct kt_arena *arena, const void *bytes, size_t len, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *at = bytes;
	size_t room, n, used = 0;
	char *text;

	len = strnlen(bytes, len);
	room = len * 4 < max ? len * 4 : max;
	text = kt_arena_alloc(arena, room + 1, 1);
	kt_must(text);
	for (size_t i = 0; i < len; i += n) {
		bool fine;

		n = utf8_bytes(at + i, len - i);
		fine = n > 1 || (n == 1 && at[i] >= 0x20 && at[i] != 0x7f);
		n = n ? n : 1;
		if (used + (fine ? n : 4) > room)
			break;
		if (fine) {
			memcpy(text + used, at + i, n);
			used += n;
		} else {
			memcpy(text + used, "\\x", 2);
			text[used + 2] = hex[at[i] >> 4];
			text[used + 3] = hex[at[i] & 15];
			used += 4;
		}
	}
	return text;
}
