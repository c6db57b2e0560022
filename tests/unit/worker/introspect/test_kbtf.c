#include "worker/introspect/kbtf.h"

#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>

/* struct queue { u32 nr; u32 seq; };
 * struct rq { u64 clock; union { struct { u32 a, b; }; u64 ab; }; struct scx_rq { struct queue q; u32 flags; } scx;
 *             u64 slots[64]; u32 bit : 1; };
 */
static struct btf *make(void)
{
	struct btf *btf = btf__new_empty();
	int u32 = btf__add_int(btf, "unsigned int", 4, 0);
	int u64 = btf__add_int(btf, "unsigned long", 8, 0);
	int array = btf__add_array(btf, u32, u64, 64);
	int queue, pair, either, scx, alias;

	queue = btf__add_struct(btf, "queue", 8);
	btf__add_field(btf, "nr", u32, 0, 0);
	btf__add_field(btf, "seq", u32, 32, 0);
	alias = btf__add_typedef(btf, "queue_t", btf__add_const(btf, queue));
	pair = btf__add_struct(btf, "", 8);
	btf__add_field(btf, "a", u32, 0, 0);
	btf__add_field(btf, "b", u32, 32, 0);
	either = btf__add_union(btf, "", 8);
	btf__add_field(btf, "", pair, 0, 0);
	btf__add_field(btf, "ab", u64, 0, 0);
	scx = btf__add_struct(btf, "scx_rq", 12);
	btf__add_field(btf, "q", alias, 0, 0);
	btf__add_field(btf, "flags", u32, 64, 0);
	btf__add_struct(btf, "rq", 544);
	btf__add_field(btf, "clock", u64, 0, 0);
	btf__add_field(btf, "", either, 64, 0);
	btf__add_field(btf, "scx", scx, 128, 0);
	btf__add_field(btf, "slots", array, 224, 0);
	btf__add_field(btf, "bit", u32, 4320, 1);
	btf__add_enum(btf, "state", 4);
	btf__add_enum_value(btf, "OFF", -1);
	btf__add_enum_value(btf, "ON", 7);
	return btf;
}

Test(kbtf, members_are_listed_in_their_order)
{
	KT_AUTO(kt_kbtf_destroy) struct btf *btf = make();
	struct kt_kbtf_named members[8];

	cr_assert_eq(kt_kbtf_members(btf, "rq", members, 8), 3, "no union, no bit-field");
	cr_assert_str_eq(members[0].name, "clock");
	cr_assert_str_eq(members[1].name, "scx");
	cr_assert_eq(members[1].offset, 16);
	cr_assert_eq(members[1].bytes, 12);
	cr_assert_str_eq(members[2].name, "slots");
	cr_assert_eq(kt_kbtf_members(btf, "rq", members, 1), 1);
	cr_assert_eq(kt_kbtf_members(btf, "no_such", members, 8), 0);
}

Test(kbtf, members_are_found_by_path_as_c_finds_them)
{
	KT_AUTO(kt_kbtf_destroy) struct btf *btf = make();
	static const struct {
		const char *path;
		int rc;
		struct kt_kbtf_member is;
	} cases[] = {
		{ "rq.clock", 0, { 0, 8, 0 } },
		{ "rq.b", 0, { 12, 4, 0 } },
		{ "rq.ab", 0, { 8, 8, 0 } },
		{ "rq.scx", 0, { 16, 12, 0 } },
		{ "rq.scx.q.seq", 0, { 20, 4, 0 } },
		{ "rq.slots", 0, { 28, 512, 64 } },
		{ "rq", 0, { 0, 544, 0 } },
		{ "rq.bit", -ENOENT, { 0 } },
		{ "rq.none", -ENOENT, { 0 } },
		{ "rq.clock.none", -ENOENT, { 0 } },
		{ "rq.scx.q.seq.", -ENOENT, { 0 } },
		{ "none.clock", -ENOENT, { 0 } },
		{ "", -ENOENT, { 0 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_kbtf_member member = { 0 };

		cr_assert_eq(kt_kbtf_member(btf, cases[i].path, &member), cases[i].rc, "%s",
			     cases[i].path);
		cr_assert_eq(member.offset, cases[i].is.offset, "%s", cases[i].path);
		cr_assert_eq(member.bytes, cases[i].is.bytes, "%s", cases[i].path);
		cr_assert_eq(member.elements, cases[i].is.elements, "%s", cases[i].path);
	}
}

Test(kbtf, enumerators_are_named)
{
	KT_AUTO(kt_kbtf_destroy) struct btf *btf = make();
	uint32_t id = kt_kbtf_enum(btf, "state");

	cr_assert_str_eq(kt_kbtf_enum_name(btf, id, 7), "ON");
	cr_assert_str_eq(kt_kbtf_enum_name(btf, id, -1), "OFF");
	cr_assert_null(kt_kbtf_enum_name(btf, id, 8));
	cr_assert_null(kt_kbtf_enum_name(btf, kt_kbtf_enum(btf, "none"), 7));
}

Test(kbtf, damaged_type_information_is_refused)
{
	struct btf *btf = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_kbtf_open("rubbish", 7, &btf, &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_null(btf);
}
