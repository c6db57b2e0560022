#include "coordinator/core/matrix/groupkeys.h"
#include "coordinator/core/matrix/cpusettext.h"
#include "coordinator/core/matrix/rows.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/work.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SEQUENCE "sequence" /* the work type that has phases */

#define PRIORITY_MAX 49 /* ktguest has 50: beyond, workers could stop it */

/* kernel/sched/deadline.c: __checkparam_dl(), sysctl_sched_dl_period_min and _max */
#define DL_RUNTIME_NS_MIN 1024
#define DL_PERIOD_NS_MIN  (100 * KT_NS_PER_US)
#define DL_PERIOD_NS_MAX  ((1LL << 22) * KT_NS_PER_US)

/* ---- work and its parameters ---- */

static const char *check_work(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			      const struct kt_doc_node *node)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	const char *names[KT_WORK_N];

	if (!text || kt_work_by_name(text))
		return text;
	for (size_t i = 0; i < KT_WORK_N; i++)
		names[i] = kt_work[i].name;
	kt_grammar_unknown(reader, node->pos, "work type", text, names, KT_WORK_N);
	return NULL;
}

static void set_work(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const char **work = (void *)((char *)into + key->offset);
	const char *text = check_work(reader, key, node);

	if (text)
		*work = text;
}

static const struct kt_work_param *find_param(struct kt_grammar_reader *reader,
					      const struct kt_work *work,
					      const struct kt_doc_node *node)
{
	const struct kt_work_param *param = kt_work_param_by_name(work, node->key);
	const struct kt_work_param *params;
	const char *names[KT_PARAMS_MAX];
	char what[KT_NAME_BYTES_MAX];
	size_t n;

	if (param)
		return param;
	params = kt_work_params_of(work, &n);
	kt_must(n <= KT_PARAMS_MAX);
	for (size_t i = 0; i < n; i++)
		names[i] = params[i].name;
	snprintf(what, sizeof(what), "%s parameter", work->name);
	if (n == 0)
		kt_problem_add(reader->problems, node->key_pos, "work '%s' has no parameters",
			       work->name);
	else
		kt_grammar_unknown(reader, node->key_pos, what, node->key, names, n);
	return NULL;
}

/* How a value of that unit is written: an example for messages. */
static const char *print_in_unit(enum kt_work_unit unit, int64_t value, char text[64])
{
	char duration[KT_DURATION_TEXT_BYTES];

	if (unit == KT_WORK_NS)
		snprintf(text, 64, "\"%s\"", kt_duration_format(value, duration));
	else if (unit == KT_WORK_BYTES && value % (1 << 20) == 0)
		snprintf(text, 64, "\"%" PRId64 "M\"", value >> 20);
	else if (unit == KT_WORK_BYTES)
		snprintf(text, 64, "\"%" PRId64 "K\"", value >> 10);
	else
		snprintf(text, 64, "%" PRId64, value);
	return text;
}

static bool value_in_unit(enum kt_work_unit unit, const struct kt_doc_node *node, int64_t *value)
{
	uint64_t bytes;

	if (unit == KT_WORK_COUNT || unit == KT_WORK_PERCENT) {
		*value = node->integer;
		return node->type == KT_DOC_INT;
	}
	if (node->type != KT_DOC_STRING || node->has_zero)
		return false;
	if (unit == KT_WORK_NS)
		return kt_duration_parse(node->string, value);
	if (!kt_grammar_parse_size(node->string, &bytes))
		return false;
	*value = (int64_t)bytes;
	return true;
}

static void read_param(struct kt_grammar_reader *reader, const struct kt_work *work,
		       const struct kt_doc_node *node, struct kt_msg_param *param)
{
	static const char *const forms[] = {
		[KT_WORK_NS] = "a time",
		[KT_WORK_BYTES] = "a size",
		[KT_WORK_COUNT] = "a whole number",
		[KT_WORK_PERCENT] = "a whole number of percent",
	};
	const struct kt_work_param *known = find_param(reader, work, node);
	char least[64];
	char most[64];
	int64_t value;

	if (!known)
		return;
	print_in_unit(known->unit, known->min, least);
	print_in_unit(known->unit, known->max, most);
	if (!value_in_unit(known->unit, node, &value))
		kt_problem_add(reader->problems, node->pos,
			       "parameter '%s' of work '%s' is %s: %s; e.g. %s = %s", known->name,
			       work->name, forms[known->unit], known->sentence, known->name,
			       print_in_unit(known->unit, known->value, least));
	else if (value < known->min || value > known->max)
		kt_problem_add(reader->problems, node->pos,
			       "parameter '%s' of work '%s' goes from %s to %s: %s", known->name,
			       work->name, least, most, known->sentence);
	else
		*param = (struct kt_msg_param){ .name = known->name, .value = value };
}

/* work: what stands in the row above; empty when it was refused. */
static void read_params(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			const char *work_name, struct kt_msg_param **params, size_t *n)
{
	const struct kt_work *work = kt_work_by_name(work_name);
	struct kt_msg_param *param;

	if (!work)
		return;
	*params = param = kt_arena_alloc(reader->arena, node->n, sizeof(*param));
	*n = node->n;
	for (const struct kt_doc_node *child = node->first; child; child = child->next)
		read_param(reader, work, child, param++);
}

static void set_params(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_msg_group *group = into;

	(void)key;
	read_params(reader, node, group->work, &group->params, &group->n_params);
}

static void set_phase_params(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			     const struct kt_doc_node *node, void *into)
{
	struct kt_msg_phase_of_work *phase = into;

	(void)key;
	read_params(reader, node, phase->work, &phase->params, &phase->n_params);
}

uint64_t kt_groupkeys_size(const struct kt_msg_group *group)
{
	const struct kt_work *work = kt_work_by_name(group->work);
	const struct kt_work_param *by;
	int64_t value;

	if (!work)
		return 1;
	by = work->by[0] ? kt_work_param_by_name(work, work->by) : NULL;
	value = by ? by->value : 0;
	for (size_t i = 0; by && i < group->n_params; i++)
		if (group->params[i].name && strcmp(group->params[i].name, by->name) == 0)
			value = group->params[i].value;
	return kt_work_group_size(work, value);
}

static void check_phase(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			void *into)
{
	const struct kt_msg_phase_of_work *phase = into;
	const struct kt_work *work = kt_work_by_name(phase->work);

	if (work && (work->size > 1 || work->by[0] || strcmp(work->name, SEQUENCE) == 0))
		kt_problem_add(reader->problems, kt_doc_get(node, "work")->pos,
			       "work '%s' cannot be a phase: workers of a sequence work alone",
			       work->name);
}

/* ---- how many ---- */

static void set_workers_pct(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			    const struct kt_doc_node *node, void *into)
{
	struct kt_msg_group *group = into;
	double share = node->type == KT_DOC_INT ? (double)node->integer : node->real;
	double most = (double)KT_WORKERS_PPM_MAX / 1e6;

	if (isfinite(share) && share * 1e6 >= 1 && share <= most)
		group->workers_ppm = (uint64_t)(share * 1e6 + 0.5);
	else
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is %g; it is more than 0 and at most %g, 1.0 for a "
			       "worker per CPU",
			       key->name, reader->table->title, share, most);
}

static void check_workers(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  const struct kt_msg_group *group)
{
	const struct kt_doc_node *workers = kt_doc_get(node, "workers");
	const struct kt_doc_node *pct = kt_doc_get(node, "workers_pct");
	uint64_t size = kt_groupkeys_size(group);

	if (workers && pct)
		kt_problem_add(reader->problems, pct->key_pos,
			       "%s has both 'workers' and 'workers_pct'; keep one",
			       reader->table->title);
	else if (!workers && !pct)
		kt_problem_add(reader->problems, node->pos,
			       "%s needs 'workers' or 'workers_pct': how many processes; e.g. "
			       "workers = %" PRIu64,
			       reader->table->title, size);
	else if (group->workers % size)
		kt_problem_add(reader->problems, workers->pos,
			       "work '%s' has %" PRIu64 " workers that work together; %" PRIu64
			       " is no multiple of it",
			       group->work, size, group->workers);
}

static void check_phases(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 const struct kt_msg_group *group)
{
	const struct kt_doc_node *phases = kt_doc_get(node, "phases");
	bool is_sequence = strcmp(group->work, SEQUENCE) == 0;

	if (!group->work[0])
		return;
	if (is_sequence && !phases)
		kt_problem_add(reader->problems, node->pos,
			       "work 'sequence' needs 'phases': what comes after what; e.g. phases "
			       "= [{ work = \"spin\", duration = \"10ms\" }]");
	else if (!is_sequence && phases)
		kt_problem_add(reader->problems, phases->key_pos,
			       "'phases' goes with work 'sequence', not with '%s'", group->work);
}

/* ---- as whom ---- */

enum policy { NORMAL, BATCH, IDLE, FIFO, RR, DEADLINE, EXT, N_POLICIES };

static const char *const policies[] = {
	[NORMAL] = "normal", [BATCH] = "batch",       [IDLE] = "idle", [FIFO] = "fifo",
	[RR] = "rr",         [DEADLINE] = "deadline", [EXT] = "ext",   [N_POLICIES] = NULL,
};

/* What belongs to which policy. */
static const struct {
	const char *key;
	unsigned int policies;
	const char *words;
	enum kt_grammar_need need;
} belongings[] = {
	{ "priority", 1u << FIFO | 1u << RR, "fifo or rr", KT_GRAMMAR_MUST },
	{ "nice", 1u << NORMAL | 1u << BATCH | 1u << EXT, "normal, batch or ext", KT_GRAMMAR_MAY },
	{ "runtime", 1u << DEADLINE, "deadline", KT_GRAMMAR_MUST },
	{ "deadline", 1u << DEADLINE, "deadline", KT_GRAMMAR_MUST },
	{ "period", 1u << DEADLINE, "deadline", KT_GRAMMAR_MAY },
	{ "affinity", ~(1u << DEADLINE), "normal, batch, idle, fifo, rr or ext", KT_GRAMMAR_MAY },
};

static void check_policy(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 const struct kt_msg_group *group)
{
	const struct kt_doc_node *said = kt_doc_get(node, "policy");
	const char *policy = said ? group->policy : policies[NORMAL];
	unsigned int bit = 0;

	for (unsigned int i = 0; i < N_POLICIES; i++)
		if (strcmp(policies[i], policy) == 0)
			bit = 1u << i;
	if (!bit)
		return; /* refused already */
	for (size_t i = 0; i < LENGTH(belongings); i++) {
		const struct kt_doc_node *key = kt_doc_get(node, belongings[i].key);

		if (key && !(belongings[i].policies & bit))
			kt_problem_add(reader->problems, key->key_pos,
				       "'%s' goes with policy %s, not with %s", belongings[i].key,
				       belongings[i].words, policy);
		else if (!key && belongings[i].need == KT_GRAMMAR_MUST &&
			 belongings[i].policies & bit)
			kt_problem_add(reader->problems, said->pos, "policy %s needs '%s'", policy,
				       belongings[i].key);
	}
}

static void check_deadline(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   struct kt_msg_group *group)
{
	const struct kt_doc_node *period = kt_doc_get(node, "period");

	if (!group->runtime_ns || !group->deadline_ns || (period && !group->period_ns))
		return;
	if (!period)
		group->period_ns = group->deadline_ns;
	if (group->period_ns < DL_PERIOD_NS_MIN)
		kt_problem_add(reader->problems, kt_doc_get(node, "deadline")->pos,
			       "a 'deadline' of less than 100us needs a 'period' of 100us or more");
	if (group->runtime_ns > group->deadline_ns)
		kt_problem_add(reader->problems, kt_doc_get(node, "runtime")->pos,
			       "'runtime' is more than 'deadline'; runtime <= deadline <= period");
	if (group->deadline_ns > group->period_ns)
		kt_problem_add(reader->problems, kt_doc_get(node, "deadline")->pos,
			       "'deadline' is more than 'period'; runtime <= deadline <= period");
}

/* ---- whose memory ---- */

static const char *const mem_policies[] = { "bind", "preferred", "interleave", "local", NULL };

static void set_mem_nodes(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			  const struct kt_doc_node *node, void *into)
{
	struct kt_msg_group *group = into;
	const char *text = kt_grammar_check_text(reader, key, node);
	struct kt_cpuset nodes;

	if (!text)
		return;
	if (kt_cpuset_parse(text, &nodes) < 0 || kt_cpuset_count(&nodes) == 0)
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s: '%.64s' is no list of NUMA nodes; e.g. %s", key->name,
			       reader->table->title, text, key->example);
	else
		group->mem_nodes = text;
}

static void check_memory(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 const struct kt_msg_group *group)
{
	const struct kt_doc_node *policy = kt_doc_get(node, "mem_policy");
	const struct kt_doc_node *nodes = kt_doc_get(node, "mem_nodes");
	bool is_local = strcmp(group->mem_policy, "local") == 0;

	if (nodes && (!policy || is_local))
		kt_problem_add(reader->problems, nodes->key_pos,
			       "'mem_nodes' goes with mem_policy bind, preferred or interleave");
	else if (policy && group->mem_policy[0] && !is_local && !nodes)
		kt_problem_add(reader->problems, policy->pos,
			       "mem_policy %s needs 'mem_nodes'; e.g. mem_nodes = \"0\"",
			       group->mem_policy);
}

static void check_group(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			void *into)
{
	struct kt_msg_group *group = into;

	check_workers(reader, node, group);
	check_phases(reader, node, group);
	check_policy(reader, node, group);
	check_deadline(reader, node, group);
	check_memory(reader, node, group);
}

/* clang-format off */

#define PARAMS(in_, set_) \
	ROW(params, TABLE, MAY, 0, 0, "params = { run = \"5ms\" }", "parameters of the work type", set_, in_, params)

static const struct kt_grammar_key phase_keys[] = {
	ROW(work,     STRING, MUST, 1, KT_NAME_BYTES_MAX, "work = \"spin\"", "what it does", set_work, kt_msg_phase_of_work, work),
	PARAMS(kt_msg_phase_of_work, set_phase_params),
	ROW(duration, STRING, MUST, 1, KT_DURATION_NS_MAX, "duration = \"10ms\"", "how long, until the next phase", kt_grammar_span, kt_msg_phase_of_work, duration_ns),
};
static const struct kt_grammar_table phase_table = MESSAGE_TABLE("phase", phase_keys, check_phase, phase_of_work);

static const struct kt_grammar_key group_keys[] = {
	ROW(workers,      INT,        MAY, 1, KT_WORKERS_MAX, "workers = 2", "how many processes", kt_grammar_number, kt_msg_group, workers),
	ROW2(workers_pct, FLOAT, INT, MAY, 0, 0, "workers_pct = 0.5", "how many processes per CPU of the cpuset", set_workers_pct, kt_msg_group, workers_ppm),
	ROW(work,         STRING,     MUST, 1, KT_NAME_BYTES_MAX, "work = \"spin\"", "what they do", set_work, kt_msg_group, work),
	PARAMS(kt_msg_group, set_params),
	WORD(policy,                  MAY, policies, "policy = \"batch\"", "the scheduling policy", kt_msg_group, policy),
	ROW(priority,     INT,        MAY, 1, PRIORITY_MAX, "priority = 10", "of fifo and rr", kt_grammar_number, kt_msg_group, priority),
	ROW(nice,         INT,        MAY, (uint64_t)-20, 19, "nice = 5", "of normal, batch and ext", kt_grammar_integer, kt_msg_group, nice),
	ROW(affinity,     STRING,     MAY, 1, KT_TEXT_BYTES_MAX, "affinity = \"0-1\"", "sched_setaffinity of each", kt_cpusettext_set, kt_msg_group, affinity),
	ROW(runtime,      STRING,     MAY, DL_RUNTIME_NS_MIN, DL_PERIOD_NS_MAX, "runtime = \"2ms\"", "of deadline", kt_grammar_span, kt_msg_group, runtime_ns),
	ROW(deadline,     STRING,     MAY, DL_RUNTIME_NS_MIN, DL_PERIOD_NS_MAX, "deadline = \"5ms\"", "of deadline", kt_grammar_span, kt_msg_group, deadline_ns),
	ROW(period,       STRING,     MAY, DL_PERIOD_NS_MIN, DL_PERIOD_NS_MAX, "period = \"10ms\"", "of deadline; left out: the deadline", kt_grammar_span, kt_msg_group, period_ns),
	WORD(mem_policy,              MAY, mem_policies, "mem_policy = \"bind\"", "where their memory comes from", kt_msg_group, mem_policy),
	ROW(mem_nodes,    STRING,     MAY, 1, KT_NAME_BYTES_MAX, "mem_nodes = \"0-1\"", "NUMA nodes of mem_policy", set_mem_nodes, kt_msg_group, mem_nodes),
	ROW(uid,          INT,        MAY, 0, 65535, "uid = 1000", "whom they run as", kt_grammar_number, kt_msg_group, uid),
	ROW(gid,          INT,        MAY, 0, 65535, "gid = 1000", "and of which group", kt_grammar_number, kt_msg_group, gid),
	LIST(phases,                  MAY, 1, KT_PHASES_MAX, "phases = [{ work = \"spin\", duration = \"10ms\" }]", "of work 'sequence'", kt_grammar_tables, kt_msg_group, phases, &phase_table),
};
const struct kt_grammar_table kt_groupkeys_table = MESSAGE_TABLE("group", group_keys, check_group, group);

/* clang-format on */
