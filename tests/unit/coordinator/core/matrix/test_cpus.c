#include "coordinator/core/matrix/cpus.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

#define MIB (1ull << 20)

static const struct {
	const char *text;
	struct kt_cpus cpus;
	uint32_t total;
	uint64_t mem_mib; /* with nothing asked */
} good[] = {
	{ "1n1l1c1t", { 1, 1, 1, 1 }, 1, 256 },     { "1n1l2c1t", { 1, 1, 2, 1 }, 2, 256 },
	{ "2n4l4c2t", { 2, 4, 4, 2 }, 32, 2048 },   { "1n15l17c1t", { 1, 15, 17, 1 }, 255, 16320 },
	{ "tiny-1llc", { 1, 1, 4, 1 }, 4, 256 },    { "odd-3llc", { 1, 3, 3, 1 }, 9, 576 },
	{ "max-cpu", { 1, 14, 9, 2 }, 252, 16128 }, { "numa4-12llc", { 4, 12, 8, 2 }, 192, 12288 },
};

Test(cpus, what_is_written_is_what_the_guest_sees)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct kt_cpus cpus;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_cpus_parse(good[i].text, &cpus, &err), 0, "%s: %s", good[i].text,
			     err.text);
		cr_assert_eq(memcmp(&cpus, &good[i].cpus, sizeof(cpus)), 0, "%s", good[i].text);
		cr_assert_eq(kt_cpus_total(&cpus), good[i].total, "%s", good[i].text);
		cr_assert_eq(kt_cpus_mem_bytes(&cpus, 0), good[i].mem_mib * MIB, "%s",
			     good[i].text);
	}
}

Test(cpus, memory_is_the_largest_of_three_in_whole_mib)
{
	struct kt_cpus cpus = { 1, 1, 2, 1 };

	cr_assert_eq(kt_cpus_mem_bytes(&cpus, 100 * MIB), 256 * MIB);
	cr_assert_eq(kt_cpus_mem_bytes(&cpus, 512 * MIB), 512 * MIB);
	cr_assert_eq(kt_cpus_mem_bytes(&cpus, 300 * MIB + 1), 301 * MIB);
}

Test(cpus, every_preset_can_be_a_guest)
{
	cr_assert_eq(kt_cpus_n_presets, 24);
	for (size_t i = 0; i < kt_cpus_n_presets; i++) {
		const struct kt_cpus *preset = &kt_cpus_presets[i].cpus;
		struct kt_cpus cpus;

		cr_assert_leq(kt_cpus_total(preset), KT_GUEST_CPUS_MAX);
		cr_assert_eq(preset->llcs % preset->numa_nodes, 0);
		cr_assert_eq(kt_cpus_parse(kt_cpus_presets[i].name, &cpus, NULL), 0);
		cr_assert_eq(memcmp(&cpus, preset, sizeof(cpus)), 0);
	}
}

static const struct {
	const char *text;
	const char *says;
} bad[] = {
	{ "", "unknown CPUs ''; write them as" },
	{ "4", "unknown CPUs '4'; write them as" },
	{ "1n1l2c", "unknown CPUs '1n1l2c'" },
	{ "1n1l2c1tx", "unknown CPUs" },
	{ "1n1l2c1t ", "unknown CPUs" },
	{ "-1n1l2c1t", "unknown CPUs" },
	{ "1n1l99999999999999999999c1t", "unknown CPUs" },
	{ "tiny-1lc", "did you mean 'tiny-1llc'?" },
	{ "0n1l2c1t", "has a 0" },
	{ "1n1l2c3t", "1 or 2 threads per core, not 3" },
	{ "2n3l2c1t", "e.g. 4" },
	{ "4n2l2c1t", "e.g. 4" },
	{ "65n65l1c1t", "at most 16 nodes and 64 LLCs" },
	{ "1n2l128c1t", "has 256 CPUs; a guest has at most 255" },
	{ "1n64l999999999c2t", "CPUs; a guest has at most 255" },
};

Test(cpus, what_no_guest_can_be_is_refused_with_what_would_be_right)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct kt_cpus cpus;
		struct kt_err err = { 0 };

		cr_assert_lt(kt_cpus_parse(bad[i].text, &cpus, &err), 0, "%s", bad[i].text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strstr(err.text, bad[i].says), "%s: %s", bad[i].text, err.text);
	}
}
