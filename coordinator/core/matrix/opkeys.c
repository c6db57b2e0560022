#include "coordinator/core/matrix/opkeys.h"
#include "coordinator/core/matrix/cgroupkeys.h"
#include "coordinator/core/matrix/cpusettext.h"
#include "coordinator/core/matrix/groupkeys.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rows.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"
#include "proto/ops.h"

#include <string.h>

#define KEYS_MAX 8 /* of one op */

#define RESERVED_TAG "periodic_" /* tags of samples that nobody asked for */

/* ---- the op's own value ---- */

static void set_true(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	(void)into;
	if (!node->boolean)
		kt_problem_add(reader->problems, node->pos,
			       "'%s' is done or left out, not false; e.g. %s", key->name,
			       key->example);
}

static void set_cgroup(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	const char **member = (void *)((char *)into + key->offset);
	const char *name = kt_cgroupkeys_check_name(reader, key, node);

	if (name)
		*member = name;
}

static void set_two_cgroups(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			    const struct kt_doc_node *node, void *into)
{
	struct kt_msg_op *op = into;
	const char **members[] = { &op->cgroup, &op->other };
	size_t i = 0;

	if (node->n != LENGTH(members)) {
		kt_problem_add(reader->problems, node->pos, "'%s' takes two cgroups; e.g. %s",
			       key->name, key->example);
		return;
	}
	for (const struct kt_doc_node *item = node->first; item; item = item->next, i++) {
		const char *name = NULL;

		if (item->type != KT_DOC_STRING)
			kt_problem_add(reader->problems, item->pos,
				       "'%s' takes two cgroups, not %s; e.g. %s", key->name,
				       kt_doc_type_words(item->type), key->example);
		else
			name = kt_cgroupkeys_check_name(reader, key, item);
		if (name)
			*members[i] = name;
	}
}

static void check_tag(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		      struct kt_msg_op *op)
{
	if (strncmp(op->name, RESERVED_TAG, strlen(RESERVED_TAG)) != 0)
		return;
	kt_problem_add(reader->problems, node->pos,
		       "tag '%s': tags that begin with '" RESERVED_TAG
		       "' are those of the samples that come by themselves",
		       op->name);
}

static void check_other(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			struct kt_msg_op *op)
{
	const struct kt_reading *reading = reader->context;
	uint32_t index;

	if (kt_axis_find(reader, &reading->schedulers, op->name, node->pos, &index) &&
	    !reading->matrix->schedulers[index].binary)
		kt_problem_add(reader->problems, node->pos,
			       "scheduler '%s' is the kernel's own: nothing can be loaded; "
			       "detach_scheduler leaves the guest to it",
			       op->name);
}

static void check_payload(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  struct kt_msg_op *op)
{
	const struct kt_reading *reading = reader->context;
	uint32_t index;

	kt_axis_find(reader, &reading->payloads, op->name, node->pos, &index);
}

/* What a name is the name of. */
static const struct {
	enum kt_ops_id op;
	const char *example;
	void (*check)(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		      struct kt_msg_op *op); /* NULL: nobody knows before it runs */
} named[] = {
	{ KT_OPS_ID_capture, "\"before\"", check_tag },
	{ KT_OPS_ID_replace_scheduler, "\"scx_other\"", check_other },
	{ KT_OPS_ID_run_payload, "\"stress\"", check_payload },
	{ KT_OPS_ID_wait_payload, "\"stress\"", check_payload },
	{ KT_OPS_ID_kill_payload, "\"stress\"", check_payload },
	{ KT_OPS_ID_write_map, "\"scx_kt.bss\"", NULL },
};

static void set_name(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const struct kt_ops *kind = kt_ops_by_name(key->name);
	struct kt_msg_op *op = into;

	kt_grammar_name(reader, key, node, into);
	for (size_t i = 0; op->name[0] && i < LENGTH(named); i++)
		if (named[i].op == kind->id && named[i].check)
			named[i].check(reader, node, op);
}

/* ---- what stands beside it ---- */

static void *op_group(struct kt_grammar_reader *reader, void *into)
{
	struct kt_msg_op *op = into;

	op->group = kt_grammar_make(reader, &kt_groupkeys_table, 1, sizeof(*op->group));
	return op->group;
}

static void check_cpu(struct kt_grammar_reader *reader, const struct kt_doc_node *cpu,
		      const struct kt_doc_node *online)
{
	if (cpu->type == KT_DOC_INT && cpu->integer == 0 && online && online->type == KT_DOC_BOOL &&
	    !online->boolean)
		kt_problem_add(reader->problems, cpu->pos,
			       "CPU 0 cannot be taken offline: x86 kernels keep it");
}

static void check_op(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into)
{
	const struct kt_msg_op *op = into;
	const struct kt_ops *kind = kt_ops_by_name(op->kind);

	if (kind->uses & KT_OPS_GROUP && !op->group)
		kt_problem_add(reader->problems, node->pos,
			       "op %s needs the workers: how many, and what they do; e.g. workers "
			       "= 2, work = \"spin\"",
			       kind->name);
	if (kind->uses & KT_OPS_VALUE && !kt_doc_get(node, "variable") == !kt_doc_get(node, "key"))
		kt_problem_add(reader->problems, node->pos,
			       "op %s needs 'variable' (of .bss, .data) or 'key' (of an array or "
			       "a hash), one of them; e.g. %s = \"scx_kt.bss\", variable = "
			       "\"knob\", value = 1",
			       kind->name, kind->name);
	if (kind->uses & KT_OPS_CPU)
		check_cpu(reader, kt_doc_get(node, kind->name), kt_doc_get(node, "online"));
}

/* clang-format off */

/* The op's own key, by what it uses: the first row that fits. */
static const struct {
	unsigned int uses;
	struct kt_grammar_key key;
} values[] = {
	{ KT_OPS_MAKE,                  NEW(, MUST, "{ name = \"cg_0\", workers = 1, work = \"spin\" }", "the cgroup", kt_msg_op, make, &kt_cgroupkeys_table) },
	{ KT_OPS_CGROUP | KT_OPS_OTHER, ROW(, ARRAY,  MUST, 0, KT_NAME_BYTES_MAX, "[\"cg_0\", \"cg_1\"]", "two cgroups", set_two_cgroups, kt_msg_op, cgroup) },
	{ KT_OPS_CGROUP,                ROW(, STRING, MUST, 1, KT_NAME_BYTES_MAX, "\"cg_0\"", "a cgroup", set_cgroup, kt_msg_op, cgroup) },
	{ KT_OPS_NAME,                  ROW(, STRING, MUST, 1, KT_NAME_BYTES_MAX, "\"a_name\"", "a name", set_name, kt_msg_op, name) },
	{ KT_OPS_CPU,                   ROW(, INT,    MUST, 0, KT_GUEST_CPUS_MAX - 1, "1", "a CPU", kt_grammar_number, kt_msg_op, cpu) },
	{ 0,                            ROW(, BOOL,   MUST, 0, 0, "true", "true", set_true, kt_msg_op, kind) },
};

/* Keys beside it, by what it uses. */
static const struct {
	unsigned int uses;
	struct kt_grammar_key key;
} companions[] = {
	{ KT_OPS_CPUSET,   ROW(to,       STRING, MUST, 1, KT_TEXT_BYTES_MAX, "to = \"llc(0)\"", "which CPUs", kt_cpusettext_set, kt_msg_op, cpuset) },
	{ KT_OPS_IN,       ROW(cgroup,   STRING, MAY,  1, KT_NAME_BYTES_MAX, "cgroup = \"cg_0\"", "where it runs", set_cgroup, kt_msg_op, cgroup) },
	{ KT_OPS_DEADLINE, ROW(deadline, STRING, MUST, 1, KT_DURATION_NS_MAX, "deadline = \"10s\"", "how long it may take", kt_grammar_span, kt_msg_op, deadline_ns) },
	{ KT_OPS_CPU,      ROW(online,   BOOL,   MUST, 0, 0, "online = false", "what the CPU is to be", kt_grammar_bool, kt_msg_op, online) },
	{ KT_OPS_VALUE,    ROW(variable, STRING, MAY,  1, KT_NAME_BYTES_MAX, "variable = \"knob\"", "which variable", kt_grammar_text, kt_msg_op, variable) },
	{ KT_OPS_VALUE,    ROW(key,      INT,    MAY,  (uint64_t)INT64_MIN, INT64_MAX, "key = 0", "which entry", kt_grammar_integer, kt_msg_op, key) },
	{ KT_OPS_VALUE,    ROW(value,    INT,    MUST, (uint64_t)INT64_MIN, INT64_MAX, "value = 1", "what it is to be", kt_grammar_integer, kt_msg_op, value) },
};

/* clang-format on */

static struct kt_grammar_key own_key(const struct kt_ops *kind)
{
	struct kt_grammar_key key;
	size_t row = 0;

	while ((kind->uses & values[row].uses) != values[row].uses)
		row++;
	key = values[row].key;
	key.name = kind->name;
	key.sentence = kind->sentence;
	for (size_t i = 0; i < LENGTH(named); i++)
		if (named[i].op == kind->id)
			key.example = named[i].example;
	return key;
}

/* Of write_map the form with a variable: 'key' stands in its place. */
void kt_opkeys_example(const struct kt_ops *kind, struct kt_buf *out)
{
	kt_buf_printf(out, "{ %s = %s", kind->name, own_key(kind).example);
	for (size_t i = 0; i < LENGTH(companions); i++)
		if (kind->uses & companions[i].uses && strcmp(companions[i].key.name, "key") != 0)
			kt_buf_printf(out, ", %s", companions[i].key.example);
	if (kind->uses & KT_OPS_GROUP)
		kt_buf_puts(out, ", workers = 2, work = \"spin\"");
	kt_buf_puts(out, " }");
}

static void read_op(struct kt_grammar_reader *reader, const struct kt_ops *kind,
		    const struct kt_doc_node *node, struct kt_msg_op *op)
{
	struct kt_grammar_key keys[KEYS_MAX] = { own_key(kind) };
	struct kt_grammar_table table = {
		.title = kt_arena_printf(reader->arena, "op %s", kind->name),
		.keys = keys,
		.n_keys = 1,
		.check = check_op,
	};

	op->kind = kind->name;
	keys[0].example = kt_arena_printf(reader->arena, "%s = %s", kind->name, keys[0].example);
	for (size_t i = 0; i < LENGTH(companions); i++)
		if (kind->uses & companions[i].uses) {
			kt_must(table.n_keys < KEYS_MAX);
			keys[table.n_keys++] = companions[i].key;
		}
	if (kind->uses & KT_OPS_GROUP) {
		table.also = &kt_groupkeys_table;
		table.also_into = op_group;
	}
	kt_grammar_read(reader, &table, node, op);
}

/* The key that is an op's name; the one that was probably meant to be is refused. */
static const struct kt_ops *kind_of(struct kt_grammar_reader *reader,
				    const struct kt_doc_node *node)
{
	const struct kt_doc_node *best = node->first;
	const struct kt_ops *kind = NULL;
	const char *names[KT_OPS_N];

	for (const struct kt_doc_node *child = node->first; child; child = child->next) {
		const struct kt_ops *another = kt_ops_by_name(child->key);

		if (kind && another) {
			kt_problem_add(reader->problems, child->key_pos,
				       "two ops in one table, %s and %s: each has a { } of its own",
				       kind->name, another->name);
			return NULL;
		}
		kind = another ? another : kind;
	}
	if (kind)
		return kind;
	for (size_t i = 0; i < KT_OPS_N; i++)
		names[i] = kt_ops[i].name;
	for (const struct kt_doc_node *child = node->first; child; child = child->next)
		if (kt_suggest(child->key, names, KT_OPS_N))
			best = child;
	if (best)
		kt_grammar_unknown(reader, best->key_pos, "op", best->key, names, KT_OPS_N);
	else
		kt_problem_add(reader->problems, node->pos,
			       "an op without a name; e.g. { set_cpuset = \"cg_0\", to = "
			       "\"llc(0)\" }");
	return NULL;
}

void kt_opkeys_set(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		   const struct kt_doc_node *node, void *into)
{
	static const struct kt_grammar_table ops_table = { .title = "ops",
							   .message = &kt_schema_op };
	struct kt_msg_op **ops = (void *)((char *)into + key->offset);
	size_t *n = (void *)((char *)into + key->count_offset);
	size_t i = 0;

	if (node->n > key->max) {
		kt_problem_add(reader->problems, node->pos, "'%s' in %s has %zu items; at most %zu",
			       key->name, reader->table->title, node->n, (size_t)key->max);
		return;
	}
	*ops = kt_grammar_make(reader, &ops_table, node->n, sizeof(**ops));
	*n = node->n;
	for (const struct kt_doc_node *item = node->first; item; item = item->next, i++) {
		const struct kt_ops *kind = NULL;

		if (item->type != KT_DOC_TABLE)
			kt_problem_add(reader->problems, item->pos,
				       "'%s' in %s takes tables, not %s; e.g. %s", key->name,
				       reader->table->title, kt_doc_type_words(item->type),
				       key->example);
		else
			kind = kind_of(reader, item);
		if (kind)
			read_op(reader, kind, item, &(*ops)[i]);
	}
}

const struct kt_doc_node *kt_opkeys_node(const struct kt_doc_node *item, const struct kt_msg_op *op)
{
	const struct kt_doc_node *node = kt_doc_get(item, op->kind);

	kt_must(node);
	return node;
}

struct kt_doc_pos kt_opkeys_pos(const struct kt_doc_node *item, const struct kt_msg_op *op,
				const char *key)
{
	const struct kt_doc_node *node = kt_doc_get(item, key);

	return node ? node->pos : kt_opkeys_node(item, op)->key_pos;
}
