#include "worker/guest/gmachine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A /sys of a test's own. */
static char root[64];

__attribute__((format(printf, 2, 3))) static void put(const char *text, const char *format, ...)
{
	char path[256];
	va_list args;
	int len = snprintf(path, sizeof(path), "%s/devices/system/", root);
	FILE *file;

	va_start(args, format);
	vsnprintf(path + len, sizeof(path) - (size_t)len, format, args);
	va_end(args);
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(path, 0755);
		*at = '/';
	}
	file = fopen(path, "w");
	cr_assert(file, "%s", path);
	fprintf(file, "%s\n", text);
	fclose(file);
}

/* Caches as x86 shows them: L1d, L1i, L2, and the last level under llc_level. */
static void put_cpu(unsigned int cpu, const char *threads, const char *llc, const char *llc_level)
{
	char own[16];

	snprintf(own, sizeof(own), "%u", cpu);
	put(threads, "cpu/cpu%u/topology/thread_siblings_list", cpu);
	for (unsigned int i = 0; i < 3; i++) {
		put(i < 2 ? "1" : "2", "cpu/cpu%u/cache/index%u/level", cpu, i);
		put(own, "cpu/cpu%u/cache/index%u/shared_cpu_list", cpu, i);
	}
	put(llc_level, "cpu/cpu%u/cache/index3/level", cpu);
	put(llc, "cpu/cpu%u/cache/index3/shared_cpu_list", cpu);
}

static void put_node(unsigned int node, const char *cpus, const char *mem_kib,
		     const char *distances)
{
	char line[64];

	snprintf(line, sizeof(line), "Node %u MemTotal:      %8s kB", node, mem_kib);
	put(cpus, "node/node%u/cpulist", node);
	put(line, "node/node%u/meminfo", node);
	put(distances, "node/node%u/distance", node);
}

static void make_root(void)
{
	snprintf(root, sizeof(root), "/tmp/kt-gmachine.XXXXXX");
	cr_assert(mkdtemp(root));
}

static void remove_root(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(gmachine, .init = make_root, .fini = remove_root);

/* 2n4l2c1t, its second node without memory. */
static void put_two_nodes(void)
{
	static const char *const llcs[] = { "0-1", "2-3", "4-5", "6-7" };

	put("0-7", "cpu/online");
	for (unsigned int cpu = 0; cpu < 8; cpu++) {
		char own[16];

		snprintf(own, sizeof(own), "%u", cpu);
		put_cpu(cpu, own, llcs[cpu / 2], "3");
	}
	put("0-1", "node/online");
	put_node(0, "0-3", "252268", "10 31");
	put_node(1, "4-7", "0", "31 10");
}

Test(gmachine, what_sys_shows_is_told_as_it_stands)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_guest_ready ready = { 0 };
	struct kt_err err = { 0 };

	put_two_nodes();
	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), 0, "%s", err.text);
	cr_assert_eq(ready.n_places, 8);
	cr_assert_eq(ready.places[5].cpu, 5);
	cr_assert_str_eq(ready.places[5].threads, "5");
	cr_assert_str_eq(ready.places[5].llc, "4-5");
	cr_assert_eq(ready.places[5].node, 1);
	cr_assert_eq(ready.places[3].node, 0);
	cr_assert_eq(ready.n_nodes, 2);
	cr_assert_str_eq(ready.nodes[0].cpus, "0-3");
	cr_assert_eq(ready.nodes[0].mem_bytes, 252268ull << 10);
	cr_assert_str_eq(ready.nodes[1].distances, "31 10");
	cr_assert_eq(ready.nodes[1].mem_bytes, 0);
}

Test(gmachine, llcs_and_nodes_are_numbered_by_their_first_cpu)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_guest_ready ready = { 0 };
	struct kt_cpuset_machine machine;
	struct kt_err err = { 0 };

	put_two_nodes();
	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), 0, "%s", err.text);
	cr_assert_eq(kt_gmachine_number(&ready, &machine, &err), 0, "%s", err.text);
	cr_assert_eq(machine.n_cpus, 8);
	cr_assert_eq(machine.n_llcs, 4);
	cr_assert_eq(machine.n_nodes, 2);
	for (uint32_t cpu = 0; cpu < 8; cpu++) {
		cr_assert_eq(machine.llc_of[cpu], cpu / 2);
		cr_assert_eq(machine.node_of[cpu], cpu / 4);
	}
}

Test(gmachine, the_last_level_is_the_highest_not_the_third)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_guest_ready ready = { 0 };
	struct kt_cpuset_machine machine;
	struct kt_err err = { 0 };

	put("0-3", "cpu/online");
	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		/* a fourth level above, and threads that interleave */
		put_cpu(cpu, cpu % 2 ? "1,3" : "0,2", cpu % 2 ? "1,3" : "0,2", "3");
		put("4", "cpu/cpu%u/cache/index4/level", cpu);
		put("0-3", "cpu/cpu%u/cache/index4/shared_cpu_list", cpu);
	}
	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), 0, "%s", err.text);
	cr_assert_str_eq(ready.places[3].threads, "1,3");
	cr_assert_str_eq(ready.places[3].llc, "0-3");
	cr_assert_eq(ready.n_nodes, 0, "a kernel without NUMA has none");
	cr_assert_eq(kt_gmachine_number(&ready, &machine, &err), 0, "%s", err.text);
	cr_assert_eq(machine.n_llcs, 1);
	cr_assert_eq(machine.n_nodes, 1);
}

Test(gmachine, what_is_not_told_is_an_error_not_a_guess)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_guest_ready ready = { 0 };
	struct kt_cpuset_machine machine;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), -ENOENT);
	put("0-2", "cpu/online");
	for (unsigned int cpu = 0; cpu < 3; cpu++)
		put("0", "cpu/cpu%u/topology/thread_siblings_list", cpu);
	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), 0, "%s", err.text);
	cr_assert_str_eq(ready.places[2].llc, "");
	cr_assert_eq(kt_gmachine_number(&ready, &machine, &err), -EPROTO);
	cr_assert(strstr(err.text, "last-level cache of CPU 0"), "%s", err.text);

	put("0,2", "cpu/online"); /* one of them is off */
	put_cpu(0, "0", "0,2", "3");
	put_cpu(2, "2", "0,2", "3");
	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), 0, "%s", err.text);
	cr_assert_eq(ready.n_places, 2);
	cr_assert_eq(kt_gmachine_number(&ready, &machine, &err), -EPROTO);
	cr_assert(strstr(err.text, "no CPU 1"), "%s", err.text);

	put("a-b", "node/online");
	cr_assert_eq(kt_gmachine_look(root, &arena, &ready, &err), -EPROTO);
}
