#include "coordinator/core/matrix/topologykeys.h"
#include "coordinator/core/matrix/cpus.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rows.h"

#include <inttypes.h>

KT_AXIS_CHECK_HEAD(struct kt_matrix_topology);

static void set_cpus(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_topology *topology = into;
	const char *text = kt_grammar_check_text(reader, key, node);
	struct kt_cpus cpus;
	struct kt_err err = { 0 };

	if (!text)
		return;
	if (kt_cpus_parse(text, &cpus, &err) < 0) {
		kt_problem_add(reader->problems, node->pos, "'cpus' in [[topology]]: %s", err.text);
		return;
	}
	topology->numa_nodes = cpus.numa_nodes;
	topology->llcs = cpus.llcs;
	topology->cores = cpus.cores;
	topology->threads = cpus.threads;
	topology->cpus = kt_cpus_total(&cpus);
}

/* ---- nodes = [{ memory = "512M", distances = [10, 20] }] ---- */

#define MIB              (1ull << 20)
#define NODE_ALIGN_BYTES (2 * MIB) /* what QEMU gives a node is whole pages of that size */
#define NODE_BYTES_MIN   (32 * MIB) /* the smallest that was booted with */
#define DISTANCE_SELF    10
#define DISTANCE_MAX     254 /* 255: not reachable at all */

/* Which of them must be DISTANCE_SELF is known when all nodes are. */
static void set_distances(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			  const struct kt_doc_node *node, void *into)
{
	struct kt_msg_node *place = into;
	struct kt_msg_distance *next;

	if (node->n > KT_GUEST_NODES_MAX) {
		kt_problem_add(reader->problems, node->pos,
			       "'distances' in %s has %zu items; at most %d", reader->table->title,
			       node->n, KT_GUEST_NODES_MAX);
		return;
	}
	next = place->distances = kt_arena_alloc(reader->arena, node->n, sizeof(*next));
	place->n_distances = node->n;
	for (const struct kt_doc_node *item = node->first; item; item = item->next, next++) {
		if (item->type != KT_DOC_INT || item->integer < DISTANCE_SELF ||
		    item->integer > DISTANCE_MAX)
			kt_problem_add(reader->problems, item->pos,
				       "a distance is a number from %d (the node itself) to %d",
				       DISTANCE_SELF, DISTANCE_MAX);
		else
			next->value = (uint64_t)item->integer;
	}
}

static void check_node(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into)
{
	const struct kt_msg_node *place = into;

	if (place->mem_bytes % NODE_ALIGN_BYTES ||
	    (place->mem_bytes && place->mem_bytes < NODE_BYTES_MIN))
		kt_problem_add(reader->problems, kt_doc_get(node, "memory")->pos,
			       "a node has %lluM or more, in steps of %lluM, or no memory at all "
			       "(\"0M\")",
			       NODE_BYTES_MIN / MIB, NODE_ALIGN_BYTES / MIB);
}

/* The kernel throws away a table of distances in which a node is not 10 from itself and further from the others
 * (drivers/acpi/numa/srat.c, slit_valid). There and back may differ.
 */
static void check_distances(struct kt_grammar_reader *reader, const struct kt_doc_node *nodes,
			    const struct kt_matrix_topology *topology, size_t from)
{
	const struct kt_msg_node *place = &topology->nodes[from];
	const struct kt_doc_node *node = kt_doc_item(nodes, from);
	const struct kt_doc_node *list;

	if (node->type != KT_DOC_TABLE)
		return;
	list = kt_doc_get(node, "distances");
	if (place->n_distances != (topology->nodes->n_distances ? topology->n_nodes : 0)) {
		kt_problem_add(
			reader->problems, list ? list->pos : node->pos,
			"node %zu has %zu distances: each node has one to each of %zu nodes, "
			"or none of them has any",
			from, place->n_distances, topology->n_nodes);
		return;
	}
	for (size_t to = 0; to < place->n_distances; to++) {
		uint64_t value = place->distances[to].value;

		if (value && (value == DISTANCE_SELF) != (from == to))
			kt_problem_add(reader->problems, kt_doc_item(list, to)->pos,
				       "node %zu is %" PRIu64 " from node %zu; a node is %d from "
				       "itself, and further from others",
				       from, value, to, DISTANCE_SELF);
	}
}

static void check_nodes(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			struct kt_matrix_topology *topology, const struct kt_cpus *cpus)
{
	const struct kt_doc_node *nodes = kt_doc_get(node, "nodes");
	const struct kt_doc_node *memory = kt_doc_get(node, "memory");
	uint64_t least_bytes = kt_cpus_mem_bytes(cpus, 0);
	uint64_t bytes = 0;

	if (memory)
		kt_problem_add(reader->problems, memory->key_pos,
			       "'memory' in [[topology]] is what its 'nodes' have together; leave "
			       "it out");
	if (topology->n_nodes != cpus->numa_nodes) {
		kt_problem_add(reader->problems, nodes->pos,
			       "'nodes' in [[topology]] describes %zu of its %" PRIu32
			       " NUMA nodes",
			       topology->n_nodes, cpus->numa_nodes);
		return;
	}
	for (size_t i = 0; i < topology->n_nodes; i++) {
		bytes += topology->nodes[i].mem_bytes;
		check_distances(reader, nodes, topology, i);
	}
	if (bytes < least_bytes || bytes > KT_GUEST_MEM_BYTES_MAX)
		kt_problem_add(reader->problems, nodes->pos,
			       "the nodes have %lluM together; a guest with %" PRIu32
			       " CPUs has from %lluM to %lluM",
			       bytes / MIB, topology->cpus, least_bytes / MIB,
			       KT_GUEST_MEM_BYTES_MAX / MIB);
	topology->mem_bytes = bytes;
}

/* What was asked for becomes what the guest gets. */
static void check_topology(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into)
{
	struct kt_matrix_topology *topology = into;
	struct kt_cpus cpus = { topology->numa_nodes, topology->llcs, topology->cores,
				topology->threads };

	if (topology->nodes && topology->cpus)
		check_nodes(reader, node, topology, &cpus);
	else
		topology->mem_bytes = kt_cpus_mem_bytes(&cpus, topology->mem_bytes);
}

/* clang-format off */

static const struct kt_grammar_key node_keys[] = {
	ROW(memory,    STRING, MUST, 0, KT_GUEST_MEM_BYTES_MAX, "memory = \"512M\"", "its memory, \"0M\" for CPUs only", kt_grammar_size, kt_msg_node, mem_bytes),
	LIST(distances,        MAY,  1, KT_GUEST_NODES_MAX, "distances = [10, 20]", "to each node in their order", set_distances, kt_msg_node, distances, NULL),
};
static const struct kt_grammar_table node_table = TABLE("nodes of [[topology]]", node_keys, check_node);

static const struct kt_grammar_key topology_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"small\"", "its part of the cells' names", kt_axis_set_head, kt_matrix_topology, name),
	ROW(cpus,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "cpus = \"1n1l2c1t\"", "NUMA nodes, LLCs in all, cores per LLC, threads per core; or a preset", set_cpus, kt_matrix_topology, cpus),
	ROW(memory, STRING, MAY,  1ull << 20, KT_GUEST_MEM_BYTES_MAX, "memory = \"512M\"", "at least so much for the guest", kt_grammar_size, kt_matrix_topology, mem_bytes),
	LIST(nodes,         MAY,  1, KT_GUEST_NODES_MAX, "nodes = [{ memory = \"512M\" }, { memory = \"256M\" }]", "its NUMA nodes, when they are not all alike", kt_grammar_tables, kt_matrix_topology, nodes, &node_table),
};
const struct kt_grammar_table kt_topologykeys_table = TABLE("[[topology]]", topology_keys, check_topology);

/* clang-format on */
