#include "coordinator/core/topologykeys.h"
#include "coordinator/core/cpus.h"
#include "coordinator/core/matrix.h"
#include "coordinator/core/reading.h"
#include "coordinator/core/rows.h"

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

/* What was asked for becomes what the guest gets. */
static void check_topology(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into)
{
	struct kt_matrix_topology *topology = into;
	struct kt_cpus cpus = { topology->numa_nodes, topology->llcs, topology->cores,
				topology->threads };

	topology->mem_bytes = kt_cpus_mem_bytes(&cpus, topology->mem_bytes);
}

/* clang-format off */

static const struct kt_grammar_key topology_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"small\"", "its part of the cells' names", kt_axis_set_head, kt_matrix_topology, name),
	ROW(cpus,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "cpus = \"1n1l2c1t\"", "NUMA nodes, LLCs in all, cores per LLC, threads per core; or a preset", set_cpus, kt_matrix_topology, cpus),
	ROW(memory, STRING, MAY,  1ull << 20, KT_GUEST_MEM_BYTES_MAX, "memory = \"512M\"", "at least so much for the guest", kt_grammar_size, kt_matrix_topology, mem_bytes),
};
const struct kt_grammar_table kt_topologykeys_table = TABLE("[[topology]]", topology_keys, check_topology);

/* clang-format on */
