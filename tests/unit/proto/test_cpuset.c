#include "proto/cpuset.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct kt_cpuset_machine machine(uint64_t nodes, uint64_t llcs, uint64_t cores,
					uint64_t threads)
{
	struct kt_msg_topology topology = {
		.numa_nodes = nodes, .llcs = llcs, .cores = cores, .threads = threads
	};
	struct kt_cpuset_machine made;

	kt_cpuset_machine_of(&topology, &made);
	return made;
}

static void expect(const struct kt_msg_cpuset *spec, const struct kt_cpuset_machine *on,
		   const char *list)
{
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_err err = { 0 };
	struct kt_cpuset set;

	cr_assert_eq(kt_cpuset_resolve(spec, on, &set, &err), 0, "%s", err.text);
	cr_assert_str_eq(kt_cpuset_print(&set, text), list);
}

/* semantics.md section 6; 8 and 16 CPUs: 7 and 15 are usable */
Test(cpuset, golden_parts)
{
	static const struct {
		uint64_t cpus;
		struct kt_msg_cpuset spec;
		const char *list;
	} golden[] = {
		{ 8, { .kind = "disjoint", .index = 0, .of = 2 }, "0-2" },
		{ 8, { .kind = "disjoint", .index = 1, .of = 2 }, "3-6" },
		{ 8, { .kind = "overlap", .index = 0, .of = 2, .from_ppm = 500000 }, "0-3" },
		{ 8, { .kind = "overlap", .index = 1, .of = 2, .from_ppm = 500000 }, "2-6" },
		{ 16, { .kind = "overlap", .index = 0, .of = 4, .from_ppm = 500000 }, "0-3" },
		{ 16, { .kind = "overlap", .index = 1, .of = 4, .from_ppm = 500000 }, "2-6" },
		{ 16, { .kind = "overlap", .index = 2, .of = 4, .from_ppm = 500000 }, "5-9" },
		{ 16, { .kind = "overlap", .index = 3, .of = 4, .from_ppm = 500000 }, "8-14" },
		{ 8, { .kind = "range", .from_ppm = 0, .to_ppm = 500000 }, "0-2" },
		{ 8, { .kind = "range", .from_ppm = 500000, .to_ppm = 1000000 }, "3-6" },
		{ 2, { .kind = "range", .from_ppm = 0, .to_ppm = 1000000 }, "0-1" },
		{ 3, { .kind = "range", .from_ppm = 0, .to_ppm = 1000000 }, "0-1" },
		{ 8, { .kind = "overlap", .index = 0, .of = 2, .from_ppm = 0 }, "0-2" },
		{ 8, { .kind = "overlap", .index = 0, .of = 2, .from_ppm = 1000000 }, "0-5" },
	};

	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		struct kt_cpuset_machine on = machine(1, 1, golden[i].cpus, 1);

		expect(&golden[i].spec, &on, golden[i].list);
	}
}

Test(cpuset, places_are_whole_and_include_the_last_cpu)
{
	struct kt_cpuset_machine on = machine(2, 4, 2, 1);

	expect(&(struct kt_msg_cpuset){ .kind = "llc", .index = 3 }, &on, "6-7");
	expect(&(struct kt_msg_cpuset){ .kind = "numa", .index = 0 }, &on, "0-3");
	expect(&(struct kt_msg_cpuset){ .kind = "exact", .list = "7,0-1" }, &on, "0-1,7");
}

Test(cpuset, what_the_machine_has_not_is_refused_with_a_sentence)
{
	static const struct {
		struct kt_msg_cpuset spec;
		const char *says;
	} wrong[] = {
		{ { .kind = "llc", .index = 4 }, "llc(4): the guest has 4 LLCs, counted from 0" },
		{ { .kind = "numa", .index = 2 },
		  "numa(2): the guest has 2 NUMA nodes, counted from 0" },
		{ { .kind = "exact", .list = "0-8" },
		  "0-8: there is no CPU 8; the guest has 8, counted from 0" },
		{ { .kind = "exact", .list = "3-1" }, "'3-1' is no list of CPUs; e.g. \"0-3,5\"" },
		{ { .kind = "exact", .list = "" }, " comes out empty with 7 usable CPUs" },
		{ { .kind = "disjoint", .index = 2, .of = 2 },
		  "disjoint: there is no part 2 of 2 of 7 usable CPUs, counted from 0" },
		{ { .kind = "disjoint", .index = 0, .of = 8 },
		  "disjoint: there is no part 0 of 8 of 7 usable CPUs, counted from 0" },
		{ { .kind = "range", .from_ppm = 500000, .to_ppm = 500000 },
		  "range(0.5, 0.5) comes out empty with 7 usable CPUs" },
	};
	struct kt_cpuset_machine on = machine(2, 4, 2, 1);

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct kt_err err = { 0 };
		struct kt_cpuset set;

		cr_assert_lt(kt_cpuset_resolve(&wrong[i].spec, &on, &set, &err), 0);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert_str_eq(err.text, wrong[i].says);
	}
}

Test(cpuset, parts_cover_all_usable_cpus_and_disjoint_ones_do_not_meet)
{
	for (uint64_t cpus = 1; cpus <= 255; cpus++) {
		struct kt_cpuset_machine on = machine(1, 1, cpus, 1);
		uint32_t usable = kt_cpuset_usable(&on);

		for (uint64_t of = 1; of <= usable && of <= 9; of++) {
			uint32_t n = 0;

			for (uint64_t i = 0; i < of; i++) {
				struct kt_msg_cpuset spec = { .kind = "disjoint",
							      .index = i,
							      .of = of };
				struct kt_err err = { 0 };
				struct kt_cpuset wide;
				struct kt_cpuset set;

				cr_assert_eq(kt_cpuset_resolve(&spec, &on, &set, &err), 0);
				n += kt_cpuset_count(&set);
				spec.kind = "overlap";
				spec.from_ppm = 700000;
				cr_assert_eq(kt_cpuset_resolve(&spec, &on, &wide, &err), 0);
				cr_assert(kt_cpuset_is_subset(&set, &wide));
			}
			cr_assert_eq(n, usable);
		}
	}
}

Test(cpuset, lists_are_read_as_they_are_printed)
{
	static const char *const good[] = { "", "0", "255", "0-255", "0,2,4-6,100-101" };
	static const char *const bad[] = { "256", "a",   "1-", "-1",         "1,,2",
					   "1 2", "0x1", "1,", "99999999999" };
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset every_other = { 0 };
	struct kt_cpuset set;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(kt_cpuset_parse(good[i], &set), 0);
		cr_assert_str_eq(kt_cpuset_print(&set, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(kt_cpuset_parse(bad[i], &set), -EINVAL, "%s", bad[i]);
	cr_assert_eq(kt_cpuset_parse("0-1\n", &set), 0);
	for (uint32_t cpu = 0; cpu < 256; cpu += 2)
		kt_cpuset_add(&every_other, cpu);
	cr_assert_lt(strlen(kt_cpuset_print(&every_other, text)), KT_CPUSET_TEXT_BYTES - 1);
	cr_assert_eq(kt_cpuset_parse(text, &set), 0);
	cr_assert_eq(memcmp(&set, &every_other, sizeof(set)), 0);
}
