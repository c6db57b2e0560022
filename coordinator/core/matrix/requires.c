#include "coordinator/core/matrix/requires.h"
#include "coordinator/core/matrix/rows.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum bound_kind { LEAST, MOST, SMT };

static const struct {
	const char *name;
	enum bound_kind kind;
	size_t bound; /* uint64_t of struct kt_matrix_requires */
	size_t value; /* uint32_t of struct kt_matrix_topology */
} bounds[] = {
#define BOUND(name_, kind_, of_)                                           \
	{                                                                  \
#name_, kind_, offsetof(struct kt_matrix_requires, name_), \
			offsetof(struct kt_matrix_topology, of_)           \
	}
	BOUND(min_cpus, LEAST, cpus),
	BOUND(max_cpus, MOST, cpus),
	BOUND(min_llcs, LEAST, llcs),
	BOUND(max_llcs, MOST, llcs),
	BOUND(min_nodes, LEAST, numa_nodes),
	BOUND(max_nodes, MOST, numa_nodes),
	BOUND(smt, SMT, threads),
#undef BOUND
};

_Static_assert(LENGTH(bounds) == KT_REQUIRES_BOUNDS, "they are counted");

static uint64_t bound_of(const struct kt_matrix_requires *requires, size_t i)
{
	uint64_t bound;

	memcpy(&bound, (const char *) requires + bounds[i].bound, sizeof(bound));
	return bound;
}

static bool holds(enum bound_kind kind, uint64_t bound, uint32_t value)
{
	switch (kind) {
	case LEAST:
		return value >= bound;
	case MOST:
		return value <= bound;
	case SMT:
		return (value > 1) == (bound == KT_MATRIX_SMT_YES);
	}
	return false;
}

int kt_requires_broken(const struct kt_matrix_requires *requires,
		       const struct kt_matrix_topology *topology)
{
	for (size_t i = 0; i < LENGTH(bounds); i++) {
		uint64_t bound = bound_of(requires, i);
		uint32_t value;

		memcpy(&value, (const char *)topology + bounds[i].value, sizeof(value));
		if (bound && !holds(bounds[i].kind, bound, value))
			return (int)i;
	}
	return -1;
}

char *kt_requires_print(const struct kt_matrix_requires *requires, int bound,
			char text[KT_REQUIRES_TEXT_BYTES])
{
	uint64_t value;

	kt_must(bound >= 0 && (size_t)bound < LENGTH(bounds));
	value = bound_of(requires, (size_t)bound);
	if (bounds[bound].kind == SMT)
		snprintf(text, KT_REQUIRES_TEXT_BYTES, "%s = %s", bounds[bound].name,
			 value == KT_MATRIX_SMT_YES ? "true" : "false");
	else
		snprintf(text, KT_REQUIRES_TEXT_BYTES, "%s = %" PRIu64, bounds[bound].name, value);
	return text;
}

bool kt_requires_equal(const struct kt_matrix_requires *a, const struct kt_matrix_requires *b)
{
	return memcmp(a, b, sizeof(*a)) == 0; /* numbers only, no holes */
}

/* ---- the language ---- */

static void set_smt(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_requires *requires = into;

	requires->smt = node->boolean ? KT_MATRIX_SMT_YES : KT_MATRIX_SMT_NO;
}

/* A least and a most of the same stand side by side in bounds[]. */
static void check_requires(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into)
{
	const struct kt_matrix_requires *requires = into;

	for (size_t i = 0; i + 1 < LENGTH(bounds); i++) {
		uint64_t least = bound_of(requires, i);
		uint64_t most = bound_of(requires, i + 1);

		if (bounds[i].kind == LEAST && most && least > most)
			kt_problem_add(reader->problems, kt_doc_get(node, bounds[i].name)->pos,
				       "%s = %" PRIu64 " is more than %s = %" PRIu64
				       ": nothing can fit",
				       bounds[i].name, least, bounds[i + 1].name, most);
	}
}

/* clang-format off */

static const struct kt_grammar_key requires_keys[] = {
	ROW(min_cpus,  INT,  MAY, 1, KT_GUEST_CPUS_MAX,  "min_cpus = 4",  "at least so many CPUs", kt_grammar_number, kt_matrix_requires, min_cpus),
	ROW(max_cpus,  INT,  MAY, 1, KT_GUEST_CPUS_MAX,  "max_cpus = 64", "at most so many CPUs", kt_grammar_number, kt_matrix_requires, max_cpus),
	ROW(min_llcs,  INT,  MAY, 1, KT_GUEST_CPUS_MAX,  "min_llcs = 2",  "at least so many last-level caches", kt_grammar_number, kt_matrix_requires, min_llcs),
	ROW(max_llcs,  INT,  MAY, 1, KT_GUEST_CPUS_MAX,  "max_llcs = 8",  "at most so many last-level caches", kt_grammar_number, kt_matrix_requires, max_llcs),
	ROW(min_nodes, INT,  MAY, 1, KT_GUEST_NODES_MAX, "min_nodes = 2", "at least so many NUMA nodes", kt_grammar_number, kt_matrix_requires, min_nodes),
	ROW(max_nodes, INT,  MAY, 1, KT_GUEST_NODES_MAX, "max_nodes = 2", "at most so many NUMA nodes", kt_grammar_number, kt_matrix_requires, max_nodes),
	ROW(smt,       BOOL, MAY, 0, 0,                  "smt = true",    "cores with two threads, or with one", set_smt, kt_matrix_requires, smt),
};
const struct kt_grammar_table kt_requires_table = TABLE("requires", requires_keys, check_requires);

/* clang-format on */
