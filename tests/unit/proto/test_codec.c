#include "proto/schema.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct kt_msg_hello hello = {
	.version_min = 1,
	.version_max = 1,
	.schema_digest = { (const uint8_t *)"0123456789abcdef0123456789abcdef", 32 },
	.build = "0.1.0",
	.worker_id = "lab1",
	.boot_id = UINT64_MAX,
	.slots = 2,
	.cpus = 2,
	.mem_bytes = 1ull << 33,
	.machine = &(struct kt_msg_machine){ .runner = "qemu", .accel = "tcg" },
};

Test(codec, what_is_encoded_is_decoded)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF first = { 0 };
	KT_AUTO_BUF again = { 0 };
	const struct kt_message *message = NULL;
	struct kt_msg_hello *back = NULL;
	struct kt_err err = { 0 };

	kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_hello, &hello, &first);
	cr_assert_eq(kt_codec_decode_frame(&kt_schema_fleet, first.data, first.len, &arena,
					   &message, (void **)&back, &err),
		     0, "%s", err.text);
	cr_assert_eq(message->tag, KT_TAG_hello);
	cr_assert_str_eq(back->worker_id, "lab1");
	cr_assert_str_eq(back->machine->guest, "");
	cr_assert_eq(back->boot_id, UINT64_MAX);
	kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_hello, back, &again);
	cr_assert_eq(again.len, first.len);
	cr_assert_eq(memcmp(again.data, first.data, first.len), 0);
}

Test(codec, a_frame_cut_anywhere_is_refused)
{
	KT_AUTO_BUF frame = { 0 };
	const struct kt_message *message = NULL;
	void *into = NULL;

	kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_hello, &hello, &frame);
	for (size_t len = 0; len < frame.len; len++) {
		KT_AUTO_ARENA arena = { .max = 1 << 16 };
		struct kt_err err = { 0 };

		cr_assert_lt(kt_codec_decode_frame(&kt_schema_fleet, frame.data, len, &arena,
						   &message, &into, &err),
			     0);
		cr_assert_eq(err.fault, KT_FAULT_PEER);
	}
}
