#include "coordinator/core/cgroupkeys.h"
#include "coordinator/core/rows.h"
#include "proto/schema.h"
#include "proto/work.h"

#include <string.h>

/* Files that cgroup v2 keeps in every folder begin with the name of a controller or of the core. */
static const char *const cgroup_files[] = {
	"cgroup.", "cpu.",  "cpuset.",  "memory.", "io.",         "pids.",
	"misc.",   "rdma.", "hugetlb.", "irq.",    "perf_event.",
};

static void set_cgroup_name(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			    const struct kt_doc_node *node, void *into)
{
	struct kt_msg_cgroup *cgroup = into;

	kt_grammar_name(reader, key, node, into);
	for (size_t i = 0; cgroup->name && i < LENGTH(cgroup_files); i++)
		if (strncmp(cgroup->name, cgroup_files[i], strlen(cgroup_files[i])) == 0)
			kt_problem_add(
				reader->problems, node->pos,
				"name '%s' in %s: the kernel's own files there begin with '%s'; "
				"choose another",
				cgroup->name, reader->table->title, cgroup_files[i]);
}

/* The short form, { workers, work }, is a cgroup with one group. */
static struct kt_msg_group *only_group(struct kt_grammar_reader *reader,
				       struct kt_msg_cgroup *cgroup)
{
	if (!cgroup->groups) {
		cgroup->groups = kt_arena_alloc(reader->arena, 1, sizeof(*cgroup->groups));
		*cgroup->groups = (struct kt_msg_group){
			.work = "", .policy = "", .mem_policy = "", .mem_nodes = ""
		};
		cgroup->n_groups = 1;
	}
	return cgroup->groups;
}

static void set_workers(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	struct kt_grammar_key in_group = *key;

	in_group.offset = offsetof(struct kt_msg_group, workers);
	kt_grammar_number(reader, &in_group, node, only_group(reader, into));
}

static void set_work(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_msg_group *group = only_group(reader, into);
	const char *text = kt_grammar_check_text(reader, key, node);
	const char *names[KT_WORK_N];

	if (!text)
		return;
	if (kt_work_by_name(text)) {
		group->work = text;
		return;
	}
	for (size_t i = 0; i < KT_WORK_N; i++)
		names[i] = kt_work[i].name;
	kt_grammar_unknown(reader, node->pos, "work type", text, names, KT_WORK_N);
}

/* clang-format off */

static const struct kt_grammar_key cgroup_keys[] = {
	ROW(name,    STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"cg_0\"", "what the guest calls it", set_cgroup_name, kt_msg_cgroup, name),
	ROW(workers, INT,    MUST, 0, KT_WORKERS_MAX,    "workers = 2", "processes in it", set_workers, kt_msg_cgroup, groups),
	ROW(work,    STRING, MUST, 1, KT_NAME_BYTES_MAX, "work = \"spin\"", "what they do", set_work, kt_msg_cgroup, groups),
};
const struct kt_grammar_table kt_cgroupkeys_table = TABLE("cgroup of [[scenario.step]]", cgroup_keys, NULL);

/* clang-format on */
