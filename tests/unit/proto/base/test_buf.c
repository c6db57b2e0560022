#include "proto/base/buf.h"

#include <criterion/criterion.h>
#include <string.h>

Test(buf, it_never_exceeds_its_limit_and_says_that_something_was_dropped)
{
	for (size_t max = 1; max < 300; max += 7) {
		KT_AUTO_BUF buf = KT_BUF_MAX(max);
		size_t expected = 0;

		for (size_t i = 1; i < 40; i++) {
			bool fits = i <= max - expected;
			bool was_full = buf.full;

			kt_buf_append(&buf, "0123456789012345678901234567890123456789", i);
			expected += fits ? i : 0;
			cr_assert(buf.len == expected);
			cr_assert(buf.full == (was_full || !fits));
			cr_assert(strlen(kt_buf_text(&buf)) == buf.len);
		}
		cr_assert(buf.len <= max);
		kt_buf_printf(&buf, "%300d", 1);
		cr_assert(buf.len == expected);
		cr_assert(buf.full);
		kt_buf_reset(&buf);
		cr_assert(!buf.full);
		cr_assert(*kt_buf_text(&buf) == 0);
	}
}

Test(buf, what_is_consumed_is_gone_and_the_rest_stays)
{
	KT_AUTO_BUF buf = { 0 };

	kt_buf_puts(&buf, "head and tail");
	kt_buf_consume(&buf, 0);
	kt_buf_consume(&buf, 9);
	cr_assert(strcmp(kt_buf_text(&buf), "tail") == 0);
	kt_buf_printf(&buf, " %d%%", 42);
	cr_assert(strcmp(kt_buf_text(&buf), "tail 42%") == 0);
	kt_buf_consume(&buf, buf.len);
	cr_assert(*kt_buf_text(&buf) == 0);
	kt_buf_destroy(&buf);
	cr_assert(*kt_buf_text(&buf) == 0);
}

Test(buf, text_ends_after_what_was_written_into_reserved_room)
{
	KT_AUTO_BUF buf = KT_BUF_MAX(1000);
	uint8_t *room = kt_buf_reserve(&buf, 1000);

	cr_assert(room);
	memset(room, 'x', 1000);
	cr_assert(*kt_buf_text(&buf) == 0, "nothing was added yet");
	memset(room, 'y', 1000);
	buf.len += 3;
	cr_assert(strcmp(kt_buf_text(&buf), "yyy") == 0);
	cr_assert(!kt_buf_reserve(&buf, 998));
	cr_assert(buf.full);
	cr_assert(!kt_buf_reserve(&buf, SIZE_MAX));
}
