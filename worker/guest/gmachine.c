#include "worker/guest/gmachine.h"
#include "worker/guest/sysfile.h"

#include "proto/base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHES_MAX 16 /* folders of one CPU; there are 3 to 5 */
#define KIB        1024ull

/* ---- one file ---- */

/* As kt_sysfile_read; the path is format's below root. */
__attribute__((format(printf, 4, 5))) static int read_below(const char *root, char *text,
							    size_t size, const char *format, ...)
{
	char path[KT_PATH_BYTES_MAX];
	va_list args;
	int len = snprintf(path, sizeof(path), "%s/devices/system/", root);

	va_start(args, format);
	vsnprintf(path + len, sizeof(path) - (size_t)len, format, args);
	va_end(args);
	return kt_sysfile_read(path, text, size);
}

static int read_set(const char *root, const char *what, struct kt_cpuset *set, struct kt_err *err)
{
	char text[KT_CPUSET_TEXT_BYTES];
	int len = read_below(root, text, sizeof(text), "%s", what);

	if (len < 0)
		return kt_err_sys(err, KT_FAULT_HOST, -len, "reading %s/devices/system/%s", root,
				  what);
	if (kt_cpuset_parse(text, set) < 0)
		return kt_err_set(err, KT_FAULT_HOST, EPROTO, "%s/devices/system/%s is no list: %s",
				  root, what, text);
	return 0;
}

/* ---- CPUs ---- */

/* Whose list is taken: the unified or data cache of the highest level. An L1i never is: L1d has its level. */
static const char *llc_of(const char *root, uint32_t cpu, struct kt_arena *arena)
{
	char text[KT_CPUSET_TEXT_BYTES];
	long highest = 0;
	unsigned int at = 0;

	for (unsigned int i = 0; i < CACHES_MAX; i++) {
		long level;

		if (read_below(root, text, sizeof(text), "cpu/cpu%u/cache/index%u/level", cpu, i) <
		    0)
			break;
		level = strtol(text, NULL, 10);
		if (level > highest) {
			highest = level;
			at = i;
		}
	}
	if (highest == 0 || read_below(root, text, sizeof(text),
				       "cpu/cpu%u/cache/index%u/shared_cpu_list", cpu, at) < 0)
		return "";
	return kt_arena_strdup(arena, text);
}

static int look_at_cpu(const char *root, uint32_t cpu, struct kt_arena *arena,
		       struct kt_msg_cpu_place *place, struct kt_err *err)
{
	char text[KT_CPUSET_TEXT_BYTES];
	int len = read_below(root, text, sizeof(text), "cpu/cpu%u/topology/thread_siblings_list",
			     cpu);

	if (len < 0)
		return kt_err_sys(err, KT_FAULT_HOST, -len, "reading the threads of CPU %u", cpu);
	*place = (struct kt_msg_cpu_place){
		.cpu = cpu,
		.threads = kt_arena_strdup(arena, text),
		.llc = llc_of(root, cpu, arena),
	};
	return 0;
}

static int look_at_cpus(const char *root, struct kt_arena *arena, struct kt_msg_guest_ready *ready,
			struct kt_err *err)
{
	struct kt_cpuset online;
	int status = read_set(root, "cpu/online", &online, err);

	if (status < 0)
		return status;
	if (kt_cpuset_count(&online) > KT_GUEST_CPUS_MAX)
		return kt_err_set(err, KT_FAULT_HOST, E2BIG, "the guest has more than %d CPUs",
				  KT_GUEST_CPUS_MAX);
	ready->places = kt_arena_alloc(arena, kt_cpuset_count(&online), sizeof(*ready->places));
	ready->n_places = 0;
	for (uint32_t cpu = 0; cpu <= KT_GUEST_CPUS_MAX && status == 0; cpu++)
		if (kt_cpuset_has(&online, cpu))
			status = look_at_cpu(root, cpu, arena, &ready->places[ready->n_places++],
					     err);
	return status;
}

/* ---- nodes ---- */

/* "Node 1 MemTotal:  252268 kB" stands in the first line; a node without memory has 0. */
static uint64_t mem_bytes(const char *root, uint32_t node)
{
	char text[256];
	const char *at;

	if (read_below(root, text, sizeof(text), "node/node%u/meminfo", node) < 0)
		return 0;
	at = strstr(text, "MemTotal:");
	return at ? strtoull(at + sizeof("MemTotal:") - 1, NULL, 10) * KIB : 0;
}

static void place_cpus(struct kt_msg_guest_ready *ready, const struct kt_cpuset *cpus,
		       uint32_t node)
{
	for (size_t i = 0; i < ready->n_places; i++)
		if (kt_cpuset_has(cpus, (uint32_t)ready->places[i].cpu))
			ready->places[i].node = node;
}

static int look_at_node(const char *root, uint32_t node, struct kt_arena *arena,
			struct kt_msg_guest_ready *ready, struct kt_err *err)
{
	char what[64];
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset cpus;
	int status;

	snprintf(what, sizeof(what), "node/node%u/cpulist", node);
	status = read_set(root, what, &cpus, err);
	if (status < 0)
		return status;
	place_cpus(ready, &cpus, node);
	ready->nodes[ready->n_nodes] = (struct kt_msg_node_place){
		.node = node,
		.cpus = kt_arena_strdup(arena, kt_cpuset_print(&cpus, text)),
		.mem_bytes = mem_bytes(root, node),
	};
	if (read_below(root, text, sizeof(text), "node/node%u/distance", node) < 0)
		text[0] = 0;
	ready->nodes[ready->n_nodes++].distances = kt_arena_strdup(arena, text);
	return 0;
}

static int look_at_nodes(const char *root, struct kt_arena *arena, struct kt_msg_guest_ready *ready,
			 struct kt_err *err)
{
	struct kt_cpuset online; /* of nodes, which are written like CPUs */
	struct kt_err missing = { 0 };
	int status = read_set(root, "node/online", &online, &missing);

	ready->n_nodes = 0;
	if (status == -ENOENT)
		return 0;
	if (status < 0 || kt_cpuset_count(&online) > KT_GUEST_NODES_MAX)
		return kt_err_set(err, KT_FAULT_HOST, EPROTO, "more than %d NUMA nodes, or %s",
				  KT_GUEST_NODES_MAX, missing.text);
	ready->nodes = kt_arena_alloc(arena, kt_cpuset_count(&online), sizeof(*ready->nodes));
	for (uint32_t node = 0; node <= KT_GUEST_CPUS_MAX && status == 0; node++)
		if (kt_cpuset_has(&online, node))
			status = look_at_node(root, node, arena, ready, err);
	return status;
}

int kt_gmachine_look(const char *root, struct kt_arena *arena, struct kt_msg_guest_ready *ready,
		     struct kt_err *err)
{
	int status = look_at_cpus(root, arena, ready, err);

	return status < 0 ? status : look_at_nodes(root, arena, ready, err);
}

/* ---- as numbers ---- */

/* Of the CPU that stands first in this one's cache: it was numbered before, or is this one itself. */
static int number_llc(const struct kt_msg_cpu_place *place, struct kt_cpuset_machine *machine,
		      struct kt_err *err)
{
	struct kt_cpuset llc;
	uint32_t first = 0;

	if (kt_cpuset_parse(place->llc, &llc) < 0 || !kt_cpuset_has(&llc, (uint32_t)place->cpu))
		return kt_err_set(err, KT_FAULT_HOST, EPROTO,
				  "the guest's kernel does not tell the last-level cache of CPU "
				  "%" PRIu64,
				  place->cpu);
	while (!kt_cpuset_has(&llc, first))
		first++;
	machine->llc_of[place->cpu] =
		first < place->cpu ? machine->llc_of[first] : (uint8_t)machine->n_llcs++;
	return 0;
}

int kt_gmachine_number(const struct kt_msg_guest_ready *ready, struct kt_cpuset_machine *machine,
		       struct kt_err *err)
{
	*machine = (struct kt_cpuset_machine){
		.n_cpus = (uint32_t)ready->n_places,
		.n_nodes = ready->n_nodes ? (uint32_t)ready->n_nodes : 1,
	};
	for (size_t i = 0; i < ready->n_nodes; i++)
		if (ready->nodes[i].node != i)
			return kt_err_set(err, KT_FAULT_HOST, EPROTO, "there is no NUMA node %zu",
					  i);
	for (size_t i = 0; i < ready->n_places; i++) {
		const struct kt_msg_cpu_place *place = &ready->places[i];
		int status;

		if (place->cpu != i)
			return kt_err_set(err, KT_FAULT_HOST, EPROTO, "there is no CPU %zu", i);
		machine->node_of[i] = (uint8_t)place->node;
		status = number_llc(place, machine, err);
		if (status < 0)
			return status;
	}
	return 0;
}

int kt_gmachine_read(struct kt_cpuset_machine *machine, struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_guest_ready ready = { 0 };
	int status = kt_gmachine_look(KT_GMACHINE_ROOT, &arena, &ready, err);

	return status < 0 ? status : kt_gmachine_number(&ready, machine, err);
}
