#include "worker/guest/gframe.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void put(struct kt_buf *out, const char *body)
{
	size_t begun = kt_gframe_begin(out);

	kt_buf_puts(out, body);
	kt_gframe_end(out, begun);
}

Test(gframe, a_stream_cut_anywhere_gives_the_same_frames)
{
	KT_AUTO_BUF wire = { 0 };

	put(&wire, "first");
	put(&wire, "2");
	for (size_t cut = 0; cut <= wire.len; cut++) {
		KT_AUTO_BUF in = { 0 };
		KT_AUTO_BUF seen = { 0 };
		const size_t ends[] = { cut, wire.len };
		size_t from = 0;

		for (size_t part = 0; part < 2; part++) {
			const uint8_t *body;
			size_t len;

			kt_buf_append(&in, wire.data + from, ends[part] - from);
			from = ends[part];
			while (kt_gframe_next(&in, &body, &len, NULL) == 1) {
				kt_buf_append(&seen, body, len);
				kt_buf_puts(&seen, "|");
				kt_gframe_drop(&in, len);
			}
		}
		cr_assert_str_eq(kt_buf_text(&seen), "first|2|", "cut at %zu", cut);
		cr_assert_eq(in.len, 0);
	}
}

Test(gframe, a_length_that_cannot_be_ends_the_stream)
{
	static const struct {
		uint8_t head[4];
		int status;
	} cases[] = {
		{ { 0, 0, 0, 0 }, -EPROTO },
		{ { 1, 0, 16, 0 }, -EPROTO }, /* KT_GUEST_FRAME_BYTES_MAX + 1 */
		{ { 255, 255, 255, 255 }, -EPROTO },
		{ { 0, 0, 16, 0 }, 0 }, /* the largest: more bytes are needed */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KT_AUTO_BUF in = { 0 };
		const uint8_t *body;
		size_t len;

		kt_buf_append(&in, cases[i].head, 4);
		cr_assert_eq(kt_gframe_next(&in, &body, &len, NULL), cases[i].status, "case %zu",
			     i);
	}
}
