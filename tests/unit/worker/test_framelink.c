#include "worker/framelink.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int make_pair(struct kt_framelink *a, struct kt_framelink *b, size_t out_max)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	kt_framelink_init(a, &kt_schema_guest, ends[0], out_max);
	kt_framelink_init(b, &kt_schema_guest, ends[1], out_max);
	return 0;
}

Test(framelink, frames_arrive_in_order_whatever_the_pieces)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_framelink a;
	struct kt_framelink b;
	const struct kt_message *message;
	struct kt_err err = { 0 };
	unsigned int got = 0;
	void *frame;

	make_pair(&a, &b, 1 << 20);
	for (uint64_t i = 1; i <= 100; i++) {
		struct kt_msg_guest_step step = { .index = i };

		cr_assert(kt_framelink_push(&a, KT_TAG_guest_step, &step));
	}
	while (got < 100) {
		cr_assert_eq(kt_framelink_flush(&a, &err), 0);
		cr_assert_eq(kt_framelink_fill(&b, &err), 0);
		while (kt_framelink_next(&b, &arena, &message, &frame, &err) > 0) {
			struct kt_msg_guest_step *step = frame;

			cr_assert_eq(message->tag, KT_TAG_guest_step);
			cr_assert_eq(step->index, ++got);
		}
	}
	kt_framelink_destroy(&a);
	cr_assert_eq(kt_framelink_fill(&b, &err), 0);
	cr_assert(b.eof);
	kt_framelink_destroy(&b);
}

static const struct {
	const char *name;
	uint8_t bytes[16];
	size_t len;
} broken[] = {
	{ "longer than any frame", { 0, 0, 0x20, 0 }, 4 },
	{ "of no length", { 0, 0, 0, 0 }, 4 },
	{ "no array", { 1, 0, 0, 0, 0xc0 }, 5 },
	{ "of an unknown tag", { 3, 0, 0, 0, 0x92, 0x63, 0x80 }, 7 },
	{ "with bytes behind it", { 4, 0, 0, 0, 0x92, 0x0a, 0x80, 0x00 }, 8 },
	{ "that announces more than there is", { 5, 0, 0, 0, 0xdd, 0xff, 0xff, 0xff, 0xff }, 9 },
};

Test(framelink, a_broken_frame_breaks_the_link)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		KT_AUTO_ARENA arena = { .max = 1 << 20 };
		struct kt_framelink link;
		const struct kt_message *message;
		struct kt_err err = { 0 };
		void *frame;

		kt_framelink_init(&link, &kt_schema_guest, -1, 0);
		cr_assert_eq(kt_framelink_feed(&link, broken[i].bytes, broken[i].len, &err), 0);
		cr_assert_eq(kt_framelink_next(&link, &arena, &message, &frame, &err), -EPROTO,
			     "a frame %s", broken[i].name);
		cr_assert_eq(err.fault, KT_FAULT_PEER);
		kt_framelink_destroy(&link);
	}
}

Test(framelink, what_waits_is_bounded_both_ways)
{
	static uint8_t bytes[64 << 10];
	struct kt_msg_guest_data data = { .body = { bytes, sizeof(bytes) } };
	struct kt_framelink link;
	struct kt_err err = { 0 };
	unsigned int pushed = 0;

	kt_framelink_init(&link, &kt_schema_guest, -1, 256 << 10);
	while (kt_framelink_push(&link, KT_TAG_guest_data, &data))
		cr_assert_lt(++pushed, 10);
	cr_assert_eq(pushed, 3);
	cr_assert_leq(link.out.len, 256 << 10);
	while (kt_framelink_feed(&link, bytes, sizeof(bytes), &err) == 0)
		cr_assert_lt(link.in.len, 2 << 20);
	cr_assert_eq(err.code, ENOBUFS);
	kt_framelink_destroy(&link);
}
