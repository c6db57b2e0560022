/* On bytes that libbpf made: what a compiler puts into a scheduler's BTF. */
#include "worker/guest/gbtf.h"

#include <bpf/btf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>

static struct btf *btf;
static uint32_t bss;
static uint32_t rest;
static uint8_t *bytes;
static uint32_t len;

static void add_var(const char *name, int type)
{
	cr_assert_gt(btf__add_var(btf, name, BTF_VAR_GLOBAL_ALLOCATED, type), 0);
}

static void place(const char *name, uint32_t offset, uint32_t size)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_VAR);

	cr_assert_eq(btf__add_datasec_var_info(btf, id, offset, size), 0);
}

/* One of every kind that a scheduler's BTF holds stands before the sections: each must be stepped over. */
static void setup(void)
{
	int byte, word, number, boolean, pair, color, wide, chain;
	const void *raw;

	btf = btf__new_empty();
	byte = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
	word = btf__add_int(btf, "unsigned short", 2, 0);
	number = btf__add_int(btf, "unsigned long", 8, 0);
	boolean = btf__add_int(btf, "bool", 1, BTF_INT_BOOL);
	btf__add_ptr(btf, byte);
	btf__add_array(btf, byte, byte, 16);
	pair = btf__add_struct(btf, "pair", 16);
	btf__add_field(btf, "a", number, 0, 0);
	btf__add_field(btf, "b", number, 64, 0);
	btf__add_union(btf, "either", 8);
	btf__add_field(btf, "a", number, 0, 0);
	color = btf__add_enum(btf, "color", 4);
	btf__add_enum_value(btf, "red", 0);
	btf__add_enum_value(btf, "green", 1);
	wide = btf__add_enum64(btf, "wide", 8, false);
	btf__add_enum64_value(btf, "huge", 1ull << 40);
	btf__add_fwd(btf, "unseen", BTF_FWD_STRUCT);
	chain = btf__add_typedef(btf, "u64", number);
	chain = btf__add_const(btf, chain);
	chain = btf__add_volatile(btf, chain);
	btf__add_restrict(btf, btf__add_ptr(btf, number));
	btf__add_func_proto(btf, number);
	btf__add_func_param(btf, "x", number);
	btf__add_func(btf, "work", BTF_FUNC_GLOBAL, btf__type_cnt(btf) - 1);
	btf__add_float(btf, "double", 8);
	btf__add_type_tag(btf, "user", number);
	add_var("flag", boolean);
	btf__add_decl_tag(btf, "mark", btf__type_cnt(btf) - 1, -1);
	add_var("byte", byte);
	add_var("word", word);
	add_var("color", color);
	add_var("wide", wide);
	add_var("chain", chain);
	add_var("pair", pair);
	add_var("other", number);
	bss = (uint32_t)btf__add_datasec(btf, ".bss", 64);
	place("flag", 0, 1);
	place("byte", 1, 1);
	place("word", 2, 2);
	place("color", 4, 4);
	place("wide", 8, 8);
	place("chain", 16, 8);
	place("pair", 24, 16);
	rest = (uint32_t)btf__add_datasec(btf, ".data", 8);
	place("other", 0, 8);
	raw = btf__raw_data(btf, &len);
	bytes = malloc(len); /* exactly, so that a sanitizer sees what is beyond */
	memcpy(bytes, raw, len);
}

static void teardown(void)
{
	btf__free(btf);
	free(bytes);
}

Test(gbtf, a_variable_is_found_with_its_place_and_size, .init = setup, .fini = teardown)
{
	static const struct {
		const char *name;
		struct kt_gbtf_var var;
	} cases[] = {
		{ "flag", { 0, 1 } },  { "byte", { 1, 1 } }, { "word", { 2, 2 } },
		{ "color", { 4, 4 } }, { "wide", { 8, 8 } }, { "chain", { 16, 8 } },
	};
	struct kt_gbtf_var var;
	struct kt_err err = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(kt_gbtf_find(bytes, len, bss, cases[i].name, &var, &err), 0, "%s: %s",
			     cases[i].name, err.text);
		cr_assert_eq(var.offset, cases[i].var.offset, "%s", cases[i].name);
		cr_assert_eq(var.bytes, cases[i].var.bytes, "%s", cases[i].name);
	}
}

Test(gbtf, what_is_not_there_is_told_with_what_is, .init = setup, .fini = teardown)
{
	struct kt_gbtf_var var;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gbtf_find(bytes, len, bss, "other", &var, &err), -ENOENT);
	cr_assert_str_eq(err.text, "there is no other in .bss; there are flag, byte, word, color, "
				   "wide, chain, pair");
	cr_assert_eq(kt_gbtf_find(bytes, len, rest, "other", &var, &err), 0);
	cr_assert_eq(kt_gbtf_find(bytes, len, bss, "pair", &var, &err), -EINVAL);
	cr_assert_eq(kt_gbtf_find(bytes, len, bss, "", &var, &err), -ENOENT);
}

Test(gbtf, what_is_no_section_is_refused, .init = setup, .fini = teardown)
{
	static const uint32_t ids[] = { 0, 1, 7, 1000, UINT32_MAX };
	struct kt_gbtf_var var;
	struct kt_err err = { 0 };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		cr_assert_eq(kt_gbtf_find(bytes, len, ids[i], "flag", &var, &err), -EPROTO, "%u",
			     ids[i]);
}

/* Cut anywhere, and with any byte changed: an answer or an error, never a look beyond (ASan sees to that). */
Test(gbtf, damaged_bytes_are_read_within_their_bounds, .init = setup, .fini = teardown)
{
	struct kt_gbtf_var var;
	struct kt_err err = { 0 };
	size_t n_refused = 0;

	for (uint32_t cut = 0; cut < len; cut++) {
		uint8_t *less = malloc(cut + 1);

		memcpy(less, bytes, cut);
		cr_assert_eq(kt_gbtf_find(less, cut, bss, "chain", &var, &err), -EPROTO, "%u", cut);
		free(less);
	}
	for (uint32_t at = 0; at < len; at++) {
		uint8_t before = bytes[at];

		bytes[at] ^= 0xff;
		n_refused += kt_gbtf_find(bytes, len, bss, "chain", &var, &err) < 0;
		bytes[at] = before;
	}
	cr_assert_gt(n_refused, 24, "the header at least");
}

/* A typedef of itself: no compiler makes it, a file may hold it. */
Test(gbtf, types_that_go_round_in_circles_end)
{
	struct kt_gbtf_var var;
	struct kt_err err = { 0 };
	const void *raw;

	btf = btf__new_empty();
	cr_assert_eq(btf__add_typedef(btf, "itself", 1), 1);
	add_var("chain", 1);
	bss = (uint32_t)btf__add_datasec(btf, ".bss", 8);
	place("chain", 0, 8);
	raw = btf__raw_data(btf, &len);
	cr_assert_eq(kt_gbtf_find(raw, len, bss, "chain", &var, &err), -EINVAL, "%s", err.text);
	btf__free(btf);
}
