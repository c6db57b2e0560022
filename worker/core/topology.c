#include "worker/core/topology.h"
#include "proto/base/buf.h"
#include "proto/base/limits.h"
#include "proto/cpuset.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB              ((uint64_t)1 << 20)
#define NODE_ALIGN_BYTES (2 * MIB)
#define DISTANCE_SELF    10 /* LOCAL_DISTANCE, REMOTE_DISTANCE of include/linux/topology.h */
#define DISTANCE_OTHER   20

/* ---- what is asked for ---- */

uint64_t kt_topology_node_bytes(const struct kt_msg_topology *topology, size_t node)
{
	uint64_t bytes = topology->n_nodes ? topology->nodes[node].mem_bytes
					   : topology->mem_bytes / topology->numa_nodes;

	return (bytes + NODE_ALIGN_BYTES - 1) / NODE_ALIGN_BYTES * NODE_ALIGN_BYTES;
}

uint64_t kt_topology_ram_bytes(const struct kt_msg_topology *topology)
{
	uint64_t bytes = 0;

	for (size_t node = 0; node < topology->numa_nodes; node++)
		bytes += kt_topology_node_bytes(topology, node);
	return bytes;
}

uint64_t kt_topology_distance(const struct kt_msg_topology *topology, size_t from, size_t to)
{
	if (topology->n_nodes && topology->nodes[from].n_distances)
		return topology->nodes[from].distances[to].value;
	return from == to ? DISTANCE_SELF : DISTANCE_OTHER;
}

bool kt_topology_has_distances(const struct kt_msg_topology *topology)
{
	for (size_t node = 0; node < topology->n_nodes; node++)
		if (topology->nodes[node].n_distances)
			return true;
	return false;
}

/* ---- is it that machine? ---- */

struct check {
	const struct kt_msg_topology *asked;
	const struct kt_msg_guest_ready *seen;
	struct kt_cpuset_machine machine; /* as asked */
	struct kt_err *err;
};

__attribute__((format(printf, 2, 3))) static int differs(const struct check *check,
							 const char *format, ...)
{
	const struct kt_msg_topology *asked = check->asked;
	char words[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	return kt_err_set(check->err, KT_FAULT_HOST, EPROTO,
			  "asked %" PRIu64 "n%" PRIu64 "l%" PRIu64 "c%" PRIu64 "t: %s",
			  asked->numa_nodes, asked->llcs, asked->cores, asked->threads, words);
}

static struct kt_cpuset run_of(uint64_t first, uint64_t n)
{
	struct kt_cpuset set = { 0 };

	for (uint64_t cpu = first; cpu < first + n; cpu++)
		kt_cpuset_add(&set, (uint32_t)cpu);
	return set;
}

/* CPUs first .. first + n - 1 are what (an LLC, a core, a node) number index is to consist of. */
static int check_set(const struct check *check, const char *what, uint64_t index, uint64_t first,
		     uint64_t n, const char *list)
{
	struct kt_cpuset wanted = run_of(first, n);
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset set;

	if (kt_cpuset_parse(list, &set) == 0 && kt_cpuset_is_subset(&set, &wanted) &&
	    kt_cpuset_is_subset(&wanted, &set))
		return 0;
	return differs(check, "%s %" PRIu64 " = CPUs %s; the guest sees %.256s", what, index,
		       kt_cpuset_print(&wanted, text), list[0] ? list : "none");
}

static int check_cpu(const struct check *check, size_t cpu)
{
	const struct kt_msg_topology *asked = check->asked;
	const struct kt_msg_cpu_place *place = &check->seen->places[cpu];
	uint64_t per_llc = asked->cores * asked->threads;
	int rc;

	if (place->cpu != cpu)
		return differs(check, "a CPU %zu; the guest has %" PRIu64 " in its place", cpu,
			       place->cpu);
	rc = check_set(check, "LLC", cpu / per_llc, cpu / per_llc * per_llc, per_llc, place->llc);
	if (rc == 0)
		rc = check_set(check, "core", cpu / asked->threads,
			       cpu / asked->threads * asked->threads, asked->threads,
			       place->threads);
	if (rc == 0 && place->node != check->machine.node_of[cpu])
		rc = differs(check, "CPU %zu on node %u; the guest sees it on %" PRIu64, cpu,
			     check->machine.node_of[cpu], place->node);
	return rc;
}

static int check_cpus(const struct check *check)
{
	const struct kt_msg_guest_ready *seen = check->seen;
	int rc = 0;

	if (seen->cpus != check->machine.n_cpus || seen->n_places != check->machine.n_cpus)
		return differs(check, "%u CPUs; the guest sees %" PRIu64, check->machine.n_cpus,
			       seen->cpus != check->machine.n_cpus ? seen->cpus : seen->n_places);
	for (size_t cpu = 0; cpu < seen->n_places && rc == 0; cpu++)
		rc = check_cpu(check, cpu);
	return rc;
}

/* What a kernel may keep of RAM for itself. Measured with 7.2, 512 MiB and 8 CPUs: 47 MiB of node 0, 5 of node 1. A
 * 64th of all is struct pages, as much again at most hash tables; per-CPU areas take some 300 KiB each; 64 MiB are
 * bounce buffers once RAM reaches above 4 GiB (kernel/dma/swiotlb.c).
 */
static uint64_t kernel_bytes(const struct check *check)
{
	uint64_t ram_bytes = kt_topology_ram_bytes(check->asked);

	return 64 * MIB + ram_bytes / 32 + check->machine.n_cpus * MIB +
	       (ram_bytes >= 2048 * MIB ? 64 * MIB : 0);
}

static int check_memory(const struct check *check, size_t node)
{
	uint64_t asked_bytes = kt_topology_node_bytes(check->asked, node);
	uint64_t seen_bytes = check->seen->nodes[node].mem_bytes;

	if (seen_bytes <= asked_bytes && seen_bytes + kernel_bytes(check) >= asked_bytes &&
	    (seen_bytes > 0) == (asked_bytes > 0))
		return 0;
	return differs(check, "node %zu has %" PRIu64 " MiB; the guest sees %" PRIu64, node,
		       asked_bytes / MIB, seen_bytes / MIB);
}

/* "10 20" against the row that was asked for. */
static int check_distances(const struct check *check, size_t node)
{
	const char *row = check->seen->nodes[node].distances;
	const char *at = row;
	char *end;

	for (size_t to = 0; to < check->asked->numa_nodes; to++, at = end) {
		uint64_t wanted = kt_topology_distance(check->asked, node, to);

		if (strtoull(at, &end, 10) != wanted || end == at)
			return differs(check,
				       "node %zu is %" PRIu64 " from node %zu; the guest sees "
				       "'%.256s'",
				       node, wanted, to, row);
	}
	return 0;
}

static int check_node(const struct check *check, size_t node)
{
	const struct kt_msg_node_place *place = &check->seen->nodes[node];
	uint64_t per_node = check->machine.n_cpus / check->asked->numa_nodes;
	int rc;

	if (place->node != node)
		return differs(check, "a node %zu; the guest has %" PRIu64 " in its place", node,
			       place->node);
	rc = check_set(check, "node", node, node * per_node, per_node, place->cpus);
	if (rc == 0)
		rc = check_memory(check, node);
	return rc < 0 ? rc : check_distances(check, node);
}

static int check_nodes(const struct check *check)
{
	const struct kt_msg_guest_ready *seen = check->seen;
	int rc = 0;

	/* a kernel without NUMA */
	if (seen->n_nodes == 0 && check->asked->numa_nodes == 1)
		return 0;
	if (seen->n_nodes != check->asked->numa_nodes)
		return differs(check, "%" PRIu64 " NUMA nodes; the guest sees %zu",
			       check->asked->numa_nodes, seen->n_nodes);
	for (size_t node = 0; node < seen->n_nodes && rc == 0; node++)
		rc = check_node(check, node);
	return rc;
}

int kt_topology_check(const struct kt_msg_topology *asked, const struct kt_msg_guest_ready *seen,
		      struct kt_err *err)
{
	struct check check = { .asked = asked, .seen = seen, .err = err };
	int rc;

	kt_cpuset_machine_of(asked, &check.machine);
	rc = check_cpus(&check);
	return rc < 0 ? rc : check_nodes(&check);
}

/* ---- in words ---- */

/* Each set once: where its first CPU stands. */
static void add_sets(struct kt_buf *out, const char *what, const struct kt_msg_guest_ready *seen,
		     bool is_llc)
{
	char text[KT_CPUSET_TEXT_BYTES];

	kt_buf_puts(out, what);
	for (size_t i = 0; i < seen->n_places; i++) {
		const struct kt_msg_cpu_place *place = &seen->places[i];
		struct kt_cpuset set;
		uint32_t first = 0;

		if (kt_cpuset_parse(is_llc ? place->llc : place->threads, &set) < 0 ||
		    kt_cpuset_count(&set) == 0)
			continue;
		while (!kt_cpuset_has(&set, first))
			first++;
		if (first == place->cpu)
			kt_buf_printf(out, " %s", kt_cpuset_print(&set, text));
	}
}

char *kt_topology_describe(const struct kt_msg_guest_ready *seen, char text[KT_TOPOLOGY_TEXT_BYTES])
{
	KT_AUTO_BUF out = { 0 };

	kt_buf_printf(&out, "%zu CPUs; ", seen->n_places);
	add_sets(&out, "LLCs", seen, true);
	add_sets(&out, "; cores", seen, false);
	for (size_t i = 0; i < seen->n_nodes; i++)
		kt_buf_printf(&out,
			      "; node %" PRIu64 ": CPUs %.256s, %" PRIu64 " MiB, distances %.256s",
			      seen->nodes[i].node, seen->nodes[i].cpus,
			      seen->nodes[i].mem_bytes / MIB, seen->nodes[i].distances);
	snprintf(text, KT_TOPOLOGY_TEXT_BYTES, "%s", kt_buf_text(&out));
	if (out.len >= KT_TOPOLOGY_TEXT_BYTES)
		memcpy(text + KT_TOPOLOGY_TEXT_BYTES - 4, "...", 4);
	return text;
}
