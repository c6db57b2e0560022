#include "worker/core/topology.h"
#include "proto/base/limits.h"
#include "proto/cpuset.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static struct kt_msg_topology topology(uint64_t n, uint64_t l, uint64_t c, uint64_t t)
{
	return (struct kt_msg_topology){ .name = "t",
					 .numa_nodes = n,
					 .llcs = l,
					 .cores = c,
					 .threads = t,
					 .mem_bytes = 1024 * MIB };
}

/* 2n4l2c1t with all of its memory on node 0, and a long way between them. */
static const struct kt_msg_topology *far_away(void)
{
	static struct kt_msg_distance distances[2][2] = { { { 10 }, { 31 } }, { { 31 }, { 10 } } };
	static struct kt_msg_node nodes[] = {
		{ .mem_bytes = 512 * MIB, .distances = distances[0], .n_distances = 2 },
		{ .mem_bytes = 0, .distances = distances[1], .n_distances = 2 },
	};
	static struct kt_msg_topology of;

	of = topology(2, 4, 2, 1);
	of.mem_bytes = 512 * MIB;
	of.nodes = nodes;
	of.n_nodes = 2;
	return &of;
}

static char *list_of(struct kt_arena *arena, uint64_t first, uint64_t n)
{
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset set = { 0 };

	for (uint64_t cpu = first; cpu < first + n; cpu++)
		kt_cpuset_add(&set, (uint32_t)cpu);
	return kt_arena_strdup(arena, kt_cpuset_print(&set, text));
}

/* What a guest says that is the machine asked for; its kernel keeps 40 MiB of node 0 and 5 of the others. */
static struct kt_msg_guest_ready right(const struct kt_msg_topology *of, struct kt_arena *arena)
{
	uint64_t per_llc = of->cores * of->threads;
	uint64_t cpus = of->llcs * per_llc;
	struct kt_msg_guest_ready seen = {
		.cpus = cpus,
		.places = kt_arena_alloc(arena, cpus, sizeof(*seen.places)),
		.n_places = cpus,
		.nodes = kt_arena_alloc(arena, of->numa_nodes, sizeof(*seen.nodes)),
		.n_nodes = of->numa_nodes,
	};

	for (size_t cpu = 0; cpu < cpus; cpu++)
		seen.places[cpu] = (struct kt_msg_cpu_place){
			.cpu = cpu,
			.threads = list_of(arena, cpu / of->threads * of->threads, of->threads),
			.llc = list_of(arena, cpu / per_llc * per_llc, per_llc),
			.node = cpu / (cpus / of->numa_nodes),
		};
	for (size_t i = 0; i < of->numa_nodes; i++) {
		uint64_t bytes = kt_topology_node_bytes(of, i);
		char *row = kt_arena_strdup(arena, "");

		for (size_t to = 0; to < of->numa_nodes; to++)
			row = kt_arena_printf(arena, "%s%s%llu", row, to ? " " : "",
					      (unsigned long long)kt_topology_distance(of, i, to));
		seen.nodes[i] = (struct kt_msg_node_place){
			.node = i,
			.cpus = list_of(arena, i * (cpus / of->numa_nodes), cpus / of->numa_nodes),
			.mem_bytes = bytes ? bytes - (i ? 5 : 40) * MIB : 0,
			.distances = row,
		};
	}
	return seen;
}

Test(topology, the_machine_that_was_asked_for_is_no_difference)
{
	const struct kt_msg_topology good[] = {
		topology(1, 1, 1, 1), topology(1, 2, 2, 2), topology(2, 4, 2, 1),
		topology(2, 4, 4, 1), topology(1, 7, 2, 1), topology(4, 12, 8, 2),
		*far_away(),
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_guest_ready seen = right(&good[i], &arena);
		struct kt_err err = { 0 };

		cr_assert_eq(kt_topology_check(&good[i], &seen, &err), 0, "row %zu: %s", i,
			     err.text);
	}
}

static void lose_a_cpu(struct kt_msg_guest_ready *seen)
{
	seen->cpus--;
	seen->n_places--;
}

static void hide_a_cpu(struct kt_msg_guest_ready *seen)
{
	seen->n_places--;
}

static void skip_a_cpu(struct kt_msg_guest_ready *seen)
{
	seen->places[3].cpu = 8;
}

static void share_an_llc(struct kt_msg_guest_ready *seen)
{
	seen->places[2].llc = "2-5";
}

static void have_no_caches(struct kt_msg_guest_ready *seen)
{
	seen->places[0].llc = "";
}

static void say_nonsense(struct kt_msg_guest_ready *seen)
{
	seen->places[7].llc = "6-7;rm";
}

static void pair_threads(struct kt_msg_guest_ready *seen)
{
	seen->places[4].threads = "4-5";
}

static void move_a_cpu(struct kt_msg_guest_ready *seen)
{
	seen->places[3].node = 1;
}

static void lose_a_node(struct kt_msg_guest_ready *seen)
{
	seen->n_nodes--;
}

static void be_without_numa(struct kt_msg_guest_ready *seen)
{
	seen->n_nodes = 0;
}

static void swap_nodes(struct kt_msg_guest_ready *seen)
{
	seen->nodes[1].node = 2;
}

static void mix_cpus(struct kt_msg_guest_ready *seen)
{
	seen->nodes[1].cpus = "3-7";
}

static void have_too_little(struct kt_msg_guest_ready *seen)
{
	seen->nodes[0].mem_bytes = 512 * MIB - 89 * MIB;
}

static void have_too_much(struct kt_msg_guest_ready *seen)
{
	seen->nodes[0].mem_bytes = 513 * MIB;
}

static void have_some_where_none_is(struct kt_msg_guest_ready *seen)
{
	seen->nodes[1].mem_bytes = MIB;
}

static void be_nearer(struct kt_msg_guest_ready *seen)
{
	seen->nodes[1].distances = "20 10";
}

static void tell_no_distance(struct kt_msg_guest_ready *seen)
{
	seen->nodes[0].distances = "10";
}

static const struct {
	void (*change)(struct kt_msg_guest_ready *seen);
	const char *says;
} differences[] = {
	{ lose_a_cpu, "8 CPUs; the guest sees 7" },
	{ hide_a_cpu, "8 CPUs; the guest sees 7" },
	{ skip_a_cpu, "a CPU 3; the guest has 8 in its place" },
	{ share_an_llc, "LLC 1 = CPUs 2-3; the guest sees 2-5" },
	{ have_no_caches, "LLC 0 = CPUs 0-1; the guest sees none" },
	{ say_nonsense, "LLC 3 = CPUs 6-7; the guest sees 6-7;rm" },
	{ pair_threads, "core 4 = CPUs 4; the guest sees 4-5" },
	{ move_a_cpu, "CPU 3 on node 0; the guest sees it on 1" },
	{ lose_a_node, "2 NUMA nodes; the guest sees 1" },
	{ be_without_numa, "2 NUMA nodes; the guest sees 0" },
	{ swap_nodes, "a node 1; the guest has 2 in its place" },
	{ mix_cpus, "node 1 = CPUs 4-7; the guest sees 3-7" },
	{ have_too_little, "node 0 has 512 MiB; the guest sees 423" },
	{ have_too_much, "node 0 has 512 MiB; the guest sees 513" },
	{ have_some_where_none_is, "node 1 has 0 MiB; the guest sees 1" },
	{ be_nearer, "node 1 is 31 from node 0; the guest sees '20 10'" },
	{ tell_no_distance, "node 0 is 31 from node 1; the guest sees '10'" },
};

Test(topology, every_difference_is_told_with_both_sides)
{
	for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_guest_ready seen = right(far_away(), &arena);
		struct kt_err err = { 0 };
		char wanted[256];

		snprintf(wanted, sizeof(wanted), "asked 2n4l2c1t: %s", differences[i].says);
		differences[i].change(&seen);
		cr_assert_eq(kt_topology_check(far_away(), &seen, &err), -EPROTO, "row %zu", i);
		cr_assert_eq(err.fault, KT_FAULT_HOST);
		cr_assert_str_eq(err.text, wanted);
	}
}

Test(topology, a_kernel_without_numa_is_a_machine_with_one_node)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_topology of = topology(1, 2, 2, 1);
	struct kt_msg_guest_ready seen = right(&of, &arena);

	seen.n_nodes = 0;
	cr_assert_eq(kt_topology_check(&of, &seen, NULL), 0);
}

Test(topology, memory_is_spread_evenly_unless_the_nodes_say_more)
{
	struct kt_msg_topology even = topology(3, 3, 1, 1);

	even.mem_bytes = 1000 * MIB; /* 333.3 each */
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(kt_topology_node_bytes(&even, i), 334 * MIB);
	cr_assert_eq(kt_topology_ram_bytes(&even), 1002 * MIB);
	cr_assert_eq(kt_topology_node_bytes(far_away(), 0), 512 * MIB);
	cr_assert_eq(kt_topology_node_bytes(far_away(), 1), 0);
	cr_assert_eq(kt_topology_ram_bytes(far_away()), 512 * MIB);
	cr_assert_eq(kt_topology_distance(&even, 1, 1), 10);
	cr_assert_eq(kt_topology_distance(&even, 1, 2), 20);
	cr_assert_eq(kt_topology_distance(far_away(), 1, 0), 31);
}

Test(topology, what_the_guest_sees_is_one_line)
{
	KT_AUTO_ARENA arena = { 0 };
	char text[KT_TOPOLOGY_TEXT_BYTES];
	struct kt_msg_guest_ready seen = right(far_away(), &arena);
	struct kt_msg_topology wide = topology(4, 64, 1, 2);

	cr_assert_str_eq(kt_topology_describe(&seen, text),
			 "8 CPUs; LLCs 0-1 2-3 4-5 6-7; cores 0 1 2 3 4 5 6 7; "
			 "node 0: CPUs 0-3, 472 MiB, distances 10 31; "
			 "node 1: CPUs 4-7, 0 MiB, distances 31 10");
	seen = right(&wide, &arena);
	for (size_t i = 0; i < seen.n_nodes; i++) /* a guest may say what it wants */
		seen.nodes[i].distances = kt_arena_printf(&arena, "%0250d", 0);
	cr_assert_lt(strlen(kt_topology_describe(&seen, text)), KT_TOPOLOGY_TEXT_BYTES);
}
