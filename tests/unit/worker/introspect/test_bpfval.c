#include "worker/introspect/bpfval.h"

#include "worker/introspect/kbtf.h"
#include "worker/introspect/ktext.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PLENTY                                                       \
	(struct kt_bpfval_budget)                                    \
	{                                                            \
		.bytes = 1 << 18, .values = 1 << 16, .work = 1 << 18 \
	}

struct types {
	struct btf *btf;
	int u8, s8, u32, s32, u64, s64, boolean, ch, flt, dbl, u128;
};

static void types_init(struct types *types)
{
	struct btf *btf = btf__new_empty();

	types->btf = btf;
	types->u8 = btf__add_int(btf, "unsigned char", 1, 0);
	types->s8 = btf__add_int(btf, "signed char", 1, BTF_INT_SIGNED);
	types->u32 = btf__add_int(btf, "unsigned int", 4, 0);
	types->s32 = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	types->u64 = btf__add_int(btf, "unsigned long", 8, 0);
	types->s64 = btf__add_int(btf, "long", 8, BTF_INT_SIGNED);
	types->boolean = btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL);
	types->ch = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
	types->flt = btf__add_float(btf, "float", 4);
	types->dbl = btf__add_float(btf, "double", 8);
	types->u128 = btf__add_int(btf, "unsigned __int128", 16, 0);
}

static void types_destroy(struct types *types)
{
	kt_kbtf_destroy(&types->btf);
}

static const char *shown(const struct types *types, int id, const void *bytes, size_t len)
{
	static char text[4096];
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF out = { 0 };
	struct kt_bpfval_budget budget = PLENTY;
	struct kt_value value;
	int rc = kt_bpfval_decode(types->btf, (uint32_t)id, bytes, len, &arena, &budget, &value);

	if (rc) {
		snprintf(text, sizeof(text), "error %d", rc);
		return text;
	}
	kt_value_print(&value, sizeof(text) - 1, &out);
	snprintf(text, sizeof(text), "%s", kt_buf_text(&out));
	return text;
}

Test(bpfval, every_scalar_keeps_its_bits_and_sign)
{
	KT_AUTO(types_destroy) struct types types;
	int en, en_signed, ptr, def;
	float f = 0.25f;
	double d = -1.5;

	types_init(&types);
	en = btf__add_enum(types.btf, "color", 4);
	btf__add_enum_value(types.btf, "RED", 1);
	en_signed = btf__add_enum(types.btf, "signed_color", 4);
	btf__add_enum_value(types.btf, "BLUE", -1);
	ptr = btf__add_ptr(types.btf, 0);
	def = btf__add_typedef(types.btf, "u64", btf__add_volatile(types.btf, types.u64));
	const struct {
		int id;
		const void *bytes;
		size_t len;
		const char *is;
	} cases[] = {
		{ types.u8, "\xff", 1, "255" },
		{ types.s8, "\xff", 1, "-1" },
		{ types.u32, "\xff\xff\xff\xff", 4, "4294967295" },
		{ types.s32, "\x00\x00\x00\x80", 4, "-2147483648" },
		{ types.u64, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "18446744073709551615" },
		{ types.s64, "\x00\x00\x00\x00\x00\x00\x00\x80", 8, "-9223372036854775808" },
		{ types.boolean, "\x01", 1, "true" },
		{ types.boolean, "\x00", 1, "false" },
		{ types.flt, &f, 4, "0.25" },
		{ types.dbl, &d, 8, "-1.5" },
		{ types.u128, "\x01\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 16,
		  "\"0xff000000000000000000000000000201\"" },
		{ en, "\xfe\xff\xff\xff", 4, "4294967294" },
		{ en_signed, "\xfe\xff\xff\xff", 4, "-2" },
		{ ptr, "\x08\x07\x06\x05\x04\x03\x02\x01", 8, "72623859790382856" },
		{ def, "\x2a\0\0\0\0\0\0\0", 8, "42" },
		{ types.u32, "\xff\xff\xff", 3, "error -22" },
		{ 0, "", 0, "nil" },
		{ 9999, "", 0, "nil" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(shown(&types, cases[i].id, cases[i].bytes, cases[i].len),
				 cases[i].is, "case %zu", i);
}

Test(bpfval, structs_bitfields_and_anonymous_members_read_as_in_c)
{
	KT_AUTO(types_destroy) struct types types;
	int outer, inner, anon, array;
	struct {
		uint32_t a;
		uint8_t low : 3, high : 5;
		int8_t neg : 4;
		uint32_t either;
		uint32_t list[2];
	} value = { .a = 7, .low = 5, .high = 30, .neg = -3, .either = 9, .list = { 1, 2 } };

	types_init(&types);
	array = btf__add_array(types.btf, types.u32, types.u32, 2);
	anon = btf__add_union(types.btf, "", 4);
	btf__add_field(types.btf, "one", types.u32, 0, 0);
	btf__add_field(types.btf, "other", types.s32, 0, 0);
	inner = btf__add_struct(types.btf, "empty", 0);
	outer = btf__add_struct(types.btf, "outer", sizeof(value));
	btf__add_field(types.btf, "a", types.u32, 0, 0);
	btf__add_field(types.btf, "low", types.u8, 32, 3);
	btf__add_field(types.btf, "high", types.u8, 35, 5);
	btf__add_field(types.btf, "neg", types.s8, 40, 4);
	btf__add_field(types.btf, "", anon, 64, 0);
	btf__add_field(types.btf, "list", array, 96, 0);
	btf__add_field(types.btf, "a", types.u32, 0, 0); /* a second one of that name */
	btf__add_field(types.btf, "nothing", inner, 0, 0);
	cr_assert_str_eq(shown(&types, outer, &value, sizeof(value)),
			 "{a: 7, low: 5, high: 30, neg: -3, one: 9, other: 9, list: [1, 2], "
			 "nothing: {}}");
	cr_assert_str_eq(shown(&types, outer, &value, sizeof(value) - 1), "error -22");
}

Test(bpfval, char_arrays_are_text_fit_for_utf8)
{
	KT_AUTO(types_destroy) struct types types;
	int text;

	types_init(&types);
	text = btf__add_array(types.btf, types.u32, types.ch, 8);
	cr_assert_str_eq(shown(&types, text, "plain\0xx", 8), "\"plain\"");
	cr_assert_str_eq(shown(&types, text, "12345678", 8), "\"12345678\"");
	cr_assert_str_eq(shown(&types, text, "\xc3\xa9\0.....", 8), "\"\xc3\xa9\"");
}

Test(bpfval, text_keeps_every_byte_in_a_form_that_travels)
{
	KT_AUTO_ARENA arena = { 0 };
	static const struct {
		const char *bytes;
		size_t len, max;
		const char *is;
	} cases[] = {
		{ "caf\xc3\xa9", 5, 100, "caf\xc3\xa9" },
		{ "\xff\x01z", 3, 100, "\\xff\\x01z" },
		{ "\xc0\x80", 2, 100, "\\xc0\\x80" }, /* overlong */
		{ "\xed\xa0\x80", 3, 100, "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "\xf0\x9f\x90", 3, 100, "\\xf0\\x9f\\x90" }, /* cut short */
		{ "\xf0\x9f\x90\x80", 4, 100, "\xf0\x9f\x90\x80" },
		{ "ab\xff", 3, 5, "ab" }, /* never half an escape */
		{ "ab\0cd", 5, 100, "ab" },
		{ "", 0, 100, "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(kt_ktext_clean(&arena, cases[i].bytes, cases[i].len, cases[i].max),
				 cases[i].is, "case %zu", i);
}

Test(bpfval, what_does_not_fit_the_budget_is_refused_and_not_charged)
{
	KT_AUTO(types_destroy) struct types types;
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF encoded = { 0 };
	struct kt_bpfval_budget budget = { .bytes = 100, .values = 1000, .work = 10000 };
	static uint8_t bytes[4096];
	struct kt_value value;
	int small, large;

	types_init(&types);
	small = btf__add_array(types.btf, types.u32, types.u8, 60);
	large = btf__add_array(types.btf, types.u32, types.u8, 200);
	cr_assert_eq(kt_bpfval_decode(types.btf, (uint32_t)large, bytes, sizeof(bytes), &arena,
				      &budget, &value),
		     -ENOSPC);
	cr_assert_eq(budget.bytes, 100);
	cr_assert_eq(kt_bpfval_decode(types.btf, (uint32_t)small, bytes, sizeof(bytes), &arena,
				      &budget, &value),
		     0);
	kt_value_encode(&value, &encoded);
	cr_assert_eq(100 - budget.bytes, encoded.len, "the price is what it takes on the wire");
}

Test(bpfval, types_that_nest_without_end_end)
{
	KT_AUTO(types_destroy) struct types types;
	KT_AUTO_ARENA arena = { 0 };
	struct kt_bpfval_budget budget = PLENTY;
	static uint8_t bytes[64];
	struct kt_value value;
	int loop, deep, bomb;

	types_init(&types);
	/* a typedef of itself */
	loop = btf__add_typedef(types.btf, "loop", (int)btf__type_cnt(types.btf));
	cr_assert_str_eq(shown(&types, loop, bytes, sizeof(bytes)), "nil");
	/* a struct that holds itself */
	deep = btf__add_struct(types.btf, "deep", 8);
	btf__add_field(types.btf, "again", deep, 0, 0);
	cr_assert(strstr(shown(&types, deep, bytes, sizeof(bytes)), "nil"));
	/* 100 anonymous members, each with 100, ...: 100^10 visits */
	bomb = btf__add_struct(types.btf, "bomb", 0);
	for (int level = 0; level < 10; level++) {
		int next = btf__add_struct(types.btf, "", 0);

		for (int i = 0; i < 100; i++)
			btf__add_field(types.btf, "", bomb, 0, 0);
		bomb = next;
	}
	cr_assert_eq(kt_bpfval_decode(types.btf, (uint32_t)bomb, bytes, sizeof(bytes), &arena,
				      &budget, &value),
		     -ENOSPC);
	/* an array of arrays of nothing */
	budget = PLENTY;
	bomb = btf__add_struct(types.btf, "none", 0);
	for (int level = 0; level < 8; level++)
		bomb = btf__add_array(types.btf, types.u32, bomb, 60000);
	cr_assert_lt(kt_bpfval_decode(types.btf, (uint32_t)bomb, bytes, sizeof(bytes), &arena,
				      &budget, &value),
		     0);
	cr_assert_lt(arena.used, 64u << 20);
}

Test(bpfval, bytes_without_a_type_are_a_number_or_hex)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_bpfval_budget budget = PLENTY;
	struct kt_value value;

	cr_assert_eq(kt_bpfval_raw((const uint8_t *)"\x01\x02\x03\x04", 4, &arena, &budget, &value),
		     0);
	cr_assert_eq(value.u64, 0x04030201);
	cr_assert_eq(kt_bpfval_raw((const uint8_t *)"\x01\x02\xff", 3, &arena, &budget, &value), 0);
	cr_assert_str_eq(value.str, "0x0102ff");
}
