#include "proto/base/limits.h"
#include "proto/wire.h"
#include "tests/unit/proto/kept.h"

#include <errno.h>
#include <msgpack.h>

#define N(x_) (sizeof(x_) / sizeof((x_)[0]))

/* The same inputs are the corpus of fuzz_wire and, being msgpack, of fuzz_value. */
static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	const char *error; /* NULL: accepted */
} rows[] = {
#define ROW(name_, bytes_, error_)                        \
	{                                                 \
		name_, bytes_, sizeof(bytes_) - 1, error_ \
	}
	ROW("nothing", "", "cut short at offset 0"),
	ROW("nil", "\xc0", NULL),
	ROW("number", "\x7f", NULL),
	ROW("negative", "\xe0", NULL),
	ROW("u64", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", NULL),
	ROW("f32", "\xca\x7f\xc0\x00\x00", NULL),
	ROW("empty_map", "\x80", NULL),
	ROW("empty_array32", "\xdd\x00\x00\x00\x00", NULL),
	ROW("empty_str32", "\xdb\x00\x00\x00\x00", NULL),
	ROW("nested", "\x92\x81\xa1k\x93\x01\xc2\xcb\x3f\xf0\0\0\0\0\0\0\xc4\x02\0\0", NULL),
	ROW("array_of_137_gb", "\xdd\xff\xff\xff\xff", "cut short"),
	ROW("map_of_275_gb", "\xdf\xff\xff\xff\xff", "cut short"),
	ROW("map_whose_double_wraps_32_bits", "\xdf\x80\x00\x00\x00", "cut short"),
	ROW("string_of_4_gb", "\xdb\xff\xff\xff\xff", "cut short"),
	ROW("binary_of_4_gb", "\xc6\xff\xff\xff\xff", "cut short"),
	ROW("bombs_within_a_frame",
	    "\x93\xdd\x00\x00\x00\x01\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff", "cut short"),
	ROW("array_one_too_long", "\x93\x01\x02", "cut short"),
	ROW("map_without_its_last_value", "\x82\x01\x02\x03", "cut short"),
	ROW("cut_head", "\xdd\x00\x00", "cut short"),
	ROW("cut_u64", "\xcf\xff\xff\xff", "cut short"),
	ROW("cut_text",
	    "\xa5"
	    "abc",
	    "cut short"),
	ROW("trailing", "\x01\x02", "1 bytes after the value at offset 1"),
	ROW("trailing_after_array", "\x91\x01\xc0\xc0", "2 bytes after the value at offset 2"),
	ROW("c1", "\xc1", "byte 0xc1 at offset 0"),
	ROW("c1_inside", "\x92\x01\xc1", "byte 0xc1 at offset 2"),
	ROW("ext8", "\xc7\x01\x05x", "byte 0xc7"),
	ROW("ext16", "\xc8\x00\x01\x05x", "byte 0xc8"),
	ROW("ext32", "\xc9\xff\xff\xff\xff\x05", "byte 0xc9"),
	ROW("fixext1", "\xd4\x05x", "byte 0xd4"),
	ROW("fixext16", "\xd8\x05xxxxxxxxxxxxxxxx", "byte 0xd8"),
	/* Duplicate keys are for the codec to refuse: it knows which keys there are. */
	ROW("duplicate_keys", "\x82\x01\x02\x01\x03", NULL),
	ROW("duplicate_text_keys", "\x82\xa1k\x02\xa1k\x03", NULL),
};

Test(wire, hostile_bytes_are_refused_with_their_place)
{
	for (size_t i = 0; i < N(rows); i++) {
		KT_AUTO_BUF input = { 0 };
		struct kt_err err = { 0 };
		int status =
			kt_wire_check(rows[i].bytes, rows[i].len, &kt_wire_limits_default, &err);
		char name[256];

		kt_buf_append(&input, rows[i].bytes, rows[i].len);
		snprintf(name, sizeof(name), "tests/fuzz/corpus/wire/%s", rows[i].name);
		kept_check(name, &input, "It is an input of the fuzzer.");
		snprintf(name, sizeof(name), "tests/fuzz/corpus/value/%s", rows[i].name);
		kept_check(name, &input, "It is an input of the fuzzer.");
		if (!rows[i].error) {
			cr_assert(status == 0, "%s: %s", rows[i].name, err.text);
			continue;
		}
		cr_assert(status == -EPROTO, "%s was accepted", rows[i].name);
		cr_assert(err.fault == KT_FAULT_PEER);
		cr_assert(strstr(err.text, rows[i].error), "%s: %s", rows[i].name, err.text);
	}
}

Test(wire, depth_nodes_and_size_have_limits_and_the_limits_themselves_pass)
{
	static uint8_t deep[KT_WIRE_DEPTH_MAX + 2];
	static uint8_t wide[KT_WIRE_NODES_MAX + 6];
	static uint8_t large[KT_FRAME_BYTES_MAX + 1];
	const struct kt_wire_limits *limits = &kt_wire_limits_default;
	struct kt_err err;
	uint32_t n = KT_WIRE_NODES_MAX - 1;

	memset(deep, 0x91, sizeof(deep));
	deep[KT_WIRE_DEPTH_MAX] = 0x01;
	cr_assert(kt_wire_check(deep, KT_WIRE_DEPTH_MAX + 1, limits, &err) == 0, "%s", err.text);
	deep[KT_WIRE_DEPTH_MAX] = 0x91;
	deep[KT_WIRE_DEPTH_MAX + 1] = 0x01;
	cr_assert(kt_wire_check(deep, sizeof(deep), limits, &err) == -EPROTO);
	cr_assert(strstr(err.text, "deeper than 24"), "%s", err.text);

	for (uint32_t over = 0; over < 2; over++) {
		uint32_t items = n + over;

		wide[0] = 0xdd;
		for (int i = 0; i < 4; i++)
			wide[1 + i] = (uint8_t)(items >> (24 - 8 * i));
		cr_assert((kt_wire_check(wide, 5 + items, limits, &err) == 0) == !over);
	}
	cr_assert(strstr(err.text, "more than 262144 values"), "%s", err.text);

	large[0] = 0xc6;
	n = KT_FRAME_BYTES_MAX - 5;
	for (int i = 0; i < 4; i++)
		large[1 + i] = (uint8_t)(n >> (24 - 8 * i));
	cr_assert(kt_wire_check(large, KT_FRAME_BYTES_MAX, limits, &err) == 0);
	cr_assert(kt_wire_check(large, KT_FRAME_BYTES_MAX + 1, limits, &err) == -EPROTO);
	cr_assert(strstr(err.text, "at most 1048576"), "%s", err.text);
}

/* ---- property ---- */

static uint64_t seed;

static uint32_t draw(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

/* Mostly sound msgpack of a few levels, with a bad byte or a lying length now and then. */
static void draw_value(struct kt_buf *out, int depth)
{
	static const uint8_t firsts[] = { 0x00, 0x7f, 0xc0, 0xc2, 0xcc, 0xcd, 0xce, 0xcf, 0xd0,
					  0xd3, 0xca, 0xcb, 0xa0, 0xa3, 0xc4, 0xd9, 0xda, 0xe0,
					  0x90, 0x93, 0x80, 0x82, 0xdc, 0xde, 0xdd, 0xdf };
	uint8_t first = draw(200) ? firsts[draw(N(firsts))] : (uint8_t)draw(256);
	uint8_t n = (uint8_t)draw(4);
	uint8_t zeros[8] = { 0 };
	size_t items = 0;

	kt_buf_append(out, &first, 1);
	if (first >= 0xcc && first <= 0xcf)
		kt_buf_append(out, zeros, 1u << (first - 0xcc));
	else if (first >= 0xd0 && first <= 0xd3)
		kt_buf_append(out, zeros, 1u << (first - 0xd0));
	else if (first == 0xca || first == 0xcb)
		kt_buf_append(out, zeros, first == 0xca ? 4 : 8);
	else if (first >= 0xa0 && first <= 0xbf)
		kt_buf_append(out, "0123456789abcdef0123456789abcdef", first & 0x1f);
	else if (first == 0xc4 || first == 0xd9 || first == 0xda) {
		kt_buf_append(out, zeros, first == 0xda);
		kt_buf_append(out, &n, 1);
		kt_buf_append(out, "abcd", draw(300) ? n : 1);
	} else if (first >= 0x90 && first <= 0x9f) {
		items = first & 0x0f;
	} else if (first >= 0x80 && first <= 0x8f) {
		items = 2u * (first & 0x0f);
	} else if (first >= 0xdc && first <= 0xdf) {
		kt_buf_append(out, zeros, first % 2 ? 3 : 1);
		kt_buf_append(out, &n, 1);
		items = first >= 0xde ? 2u * n : n;
	}
	for (size_t i = 0; i < items && depth > 0; i++)
		draw_value(out, depth - 1);
}

Test(wire, whatever_it_accepts_msgpack_parses_whole)
{
	size_t n_accepted = 0;
	size_t n = 200000;

	seed = 20261123;
	for (size_t i = 0; i < n; i++) {
		KT_AUTO_BUF bytes = { 0 };
		msgpack_zone zone;
		msgpack_object object;
		size_t at = 0;

		draw_value(&bytes, (int)draw(6));
		if (draw(8) == 0 && bytes.len)
			bytes.data[draw((uint32_t)bytes.len)] = (uint8_t)draw(256);
		if (kt_wire_check(bytes.data, bytes.len, &kt_wire_limits_default, NULL) < 0)
			continue;
		n_accepted++;
		msgpack_zone_init(&zone, 2048);
		cr_assert(msgpack_unpack((const char *)bytes.data, bytes.len, &at, &zone,
					 &object) == MSGPACK_UNPACK_SUCCESS);
		cr_assert(at == bytes.len);
		msgpack_zone_destroy(&zone);
	}
	cr_assert(n_accepted > n / 10, "only %zu of %zu were accepted", n_accepted, n);
	cr_assert(n_accepted < n - n / 10, "%zu of %zu were accepted", n_accepted, n);
}
