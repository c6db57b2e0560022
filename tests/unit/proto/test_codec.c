#include "proto/schema.h"

#include <criterion/criterion.h>
#include <errno.h>
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

/* Raw frames of `ack` (tag 11: session, epoch, samples, result) and `fetch` (tag 13). */
Test(codec, what_the_schema_forbids_is_refused_with_struct_and_field)
{
#define ROW(bytes_, error_)                        \
	{                                          \
		bytes_, sizeof(bytes_) - 1, error_ \
	}
	static const struct {
		const char *bytes;
		size_t len;
		const char *error; /* NULL: accepted */
	} rows[] = {
		ROW("\x92\x0b\x83\x01\x05\x02\x07\x03\x00", NULL),
		ROW("\x92\x0b\x84\x01\x05\x02\x07\x03\x00\x7f\x91\xc0", NULL), /* a newer field */
		ROW("\x92\x0b\x83\x03\x00\x02\x07\x01\x05", NULL), /* another order */
		ROW("\x92\x0c\x82\x01\x05\x02\xa0", NULL), /* an empty text, said */
		ROW("\x92\x0b\x82\x01\x05\x02\x07", "ack.samples: missing"),
		ROW("\x92\x0b\x84\x01\x05\x02\x07\x03\x00\x01\x05", "ack.session: twice"),
		ROW("\x92\x0b\x83\x01\x00\x02\x07\x03\x00", "ack.session: out of range"),
		ROW("\x92\x0b\x83\x01\xff\x02\x07\x03\x00", "ack.session: out of range"),
		ROW("\x92\x0b\x83\x01\x05\x02\x07\x03\xcd\x10\x01", "ack.samples: out of range"),
		ROW("\x92\x0b\x83\x01\xa1x\x02\x07\x03\x00", "ack.session: not an integer"),
		ROW("\x92\x0b\x84\x01\x05\x02\x07\x03\x00\x04\x01", "ack.result: not a bool"),
		ROW("\x92\x0b\x81\xa1x\x05", "ack: a key is not a number"),
		ROW("\x92\x0b\x81\xff\x05", "ack: a key is not a number"),
		ROW("\x92\x0b\x93\x01\x05\x02", "ack: not a map"),
		ROW("\x92\x0c\x82\x01\x05\x02\xa2x\0", "bye.reason: holds a 0 byte"),
		ROW("\x92\x0c\x82\x01\x05\x02\xc4\x01x", "bye.reason: not a text"),
		ROW("\x92\x0d\x83\x01\xc4\x03xxx\x02\x00\x03\x01", "fetch.digest: too short"),
		ROW("\x92\x0d\x83\x01\xc4\x21xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\x02\x00\x03\x01",
		    "fetch.digest: too long"),
		ROW("\x92\x0d\x83\x01\xa1x\x02\x00\x03\x01", "fetch.digest: not binary"),
		ROW("\x92\x04\x84\x01\x01\x02\x01\x03\x00\x04\x91\x80",
		    "sync.held[0]: held.cell: missing"),
		ROW("\x92\x04\x84\x01\x01\x02\x01\x03\x00\x04\x80", "sync.held: not a list"),
		ROW("\x92\x00\x80", "no fleet message has tag 0"),
		ROW("\x92\xcf\x00\x00\x00\x01\x00\x00\x00\x0b\x80", "has tag 4294967307"),
		ROW("\x92\xff\x80", "not a frame"),
		ROW("\x93\x0b\x80\x80", "not a frame"),
		ROW("\x80", "not a frame"),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { .max = 1 << 16 };
		const struct kt_message *message = NULL;
		struct kt_err err = { 0 };
		void *body = NULL;
		int status = kt_codec_decode_frame(&kt_schema_fleet, rows[i].bytes, rows[i].len,
						   &arena, &message, &body, &err);

		if (!rows[i].error) {
			cr_assert(status == 0, "row %zu: %s", i, err.text);
			continue;
		}
		cr_assert(status == -EPROTO, "row %zu was accepted", i);
		cr_assert(err.fault == KT_FAULT_PEER);
		cr_assert(strstr(err.text, rows[i].error), "row %zu: %s", i, err.text);
	}
}

/* The keys of every struct ascend, as the decoder's and encoder's order demand, and its rows fit into
 * the decoder's mask.
 */
static void check_schema(const struct kt_schema *schema)
{
	cr_assert(schema->n_fields <= 64);
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];

		cr_assert(field->key > 0 && (i == 0 || field->key > schema->fields[i - 1].key),
			  "%s.%s: keys do not ascend", schema->name, field->name);
		cr_assert(field->offset < schema->size);
		cr_assert(*field->sentence);
		if (field->type == KT_FIELD_I64)
			cr_assert((int64_t)field->min <= (int64_t)field->max);
		else if (field->type != KT_FIELD_F64 && field->type != KT_FIELD_VALUE)
			cr_assert(field->min <= field->max && field->max > 0);
		if (field->of)
			check_schema(field->of);
	}
}

Test(codec, the_tables_are_sound)
{
	static const struct kt_family *const families[] = { &kt_schema_fleet, &kt_schema_runner,
							    &kt_schema_guest };

	for (size_t f = 0; f < 3; f++) {
		for (size_t i = 0; i < families[f]->n_messages; i++) {
			const struct kt_message *message = &families[f]->messages[i];

			cr_assert(i == 0 || message->tag > families[f]->messages[i - 1].tag);
			cr_assert(kt_codec_message(families[f], message->tag) == message);
			cr_assert(strncmp(message->direction, "to ", 3) == 0);
			check_schema(message->schema);
		}
	}
}
