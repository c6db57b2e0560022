#include "coordinator/core/matrix/cgroupkeys.h"
#include "coordinator/core/matrix/cpusettext.h"
#include "coordinator/core/matrix/groupkeys.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rows.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CPU_PERIOD_US   100000 /* cpu.max's default */
#define PIDS_MAX        4194304 /* PID_MAX_LIMIT of include/linux/threads.h, 64 bit */
#define MEMORY_MIN      (1ull << 20)
#define LIMIT_BYTES_MAX 64 /* as a text */

/* ---- names ---- */

/* Files that cgroup v2 keeps in every folder begin with the name of a controller or of the core. */
static const char *const cgroup_files[] = {
	"cgroup.", "cpu.",  "cpuset.",  "memory.", "io.",         "pids.",
	"misc.",   "rdma.", "hugetlb.", "irq.",    "perf_event.",
};

static const char *file_like(const char *part)
{
	for (size_t i = 0; i < LENGTH(cgroup_files); i++)
		if (strncmp(part, cgroup_files[i], strlen(cgroup_files[i])) == 0)
			return cgroup_files[i];
	return NULL;
}

const char *kt_cgroupkeys_check_name(struct kt_grammar_reader *reader,
				     const struct kt_grammar_key *key,
				     const struct kt_doc_node *node)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	size_t depth = 0;

	if (!text)
		return NULL;
	for (const char *part = text;; depth++) {
		size_t len = strcspn(part, "/");

		if (!kt_grammar_is_name(part, len)) {
			kt_problem_add(reader->problems, node->pos,
				       "name '%.64s' in %s: letters, digits, '_', '.' and '-', its "
				       "first no '.' or '-'; with '/' between, one within another",
				       text, reader->table->title);
			return NULL;
		}
		if (file_like(part)) {
			kt_problem_add(
				reader->problems, node->pos,
				"name '%.64s' in %s: the kernel's own files there begin with '%s'; "
				"choose another",
				part, reader->table->title, file_like(part));
			return NULL;
		}
		if (!part[len])
			break;
		part += len + 1;
	}
	if (depth < KT_CGROUPKEYS_DEPTH_MAX)
		return text;
	kt_problem_add(reader->problems, node->pos, "name '%.64s' in %s: at most %d deep", text,
		       reader->table->title, KT_CGROUPKEYS_DEPTH_MAX);
	return NULL;
}

static void set_name(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_msg_cgroup *cgroup = into;
	const char *name = kt_cgroupkeys_check_name(reader, key, node);

	if (name)
		cgroup->name = name;
}

/* ---- limits ---- */

/* "cpu_max" is the file cpu.max. */
static void add_limit(struct kt_grammar_reader *reader, struct kt_msg_cgroup *cgroup,
		      const char *name, const char *text)
{
	struct kt_msg_limit *limit;
	char *file = kt_arena_strdup(reader->arena, name);

	*strchr(file, '_') = '.';
	if (!cgroup->limits)
		cgroup->limits =
			kt_arena_alloc(reader->arena, KT_LIMITS_MAX, sizeof(*cgroup->limits));
	limit = &cgroup->limits[cgroup->n_limits++];
	limit->file = file;
	limit->text = kt_arena_strdup(reader->arena, text);
}

static bool is_max(const struct kt_doc_node *node)
{
	return !node->has_zero && strcmp(node->string, "max") == 0;
}

/* "50%", "150%": of one CPU. */
static void set_cpu_max(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	char limit[LIMIT_BYTES_MAX];
	uint64_t percent = 0;
	size_t n = 0;

	if (!text)
		return;
	for (; isdigit((unsigned char)text[n]) && n < 6; n++)
		percent = percent * 10 + (uint64_t)(text[n] - '0');
	if (!is_max(node) && (n == 0 || strcmp(text + n, "%") != 0 || percent < key->min ||
			      percent > 100 * KT_GUEST_CPUS_MAX)) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s: '%.64s' is no share of a CPU, 1%% to %d%%, nor "
			       "\"max\"; e.g. %s",
			       key->name, reader->table->title, text, 100 * KT_GUEST_CPUS_MAX,
			       key->example);
		return;
	}
	if (is_max(node))
		snprintf(limit, sizeof(limit), "max %d", CPU_PERIOD_US);
	else
		snprintf(limit, sizeof(limit), "%" PRIu64 " %d", percent * CPU_PERIOD_US / 100,
			 CPU_PERIOD_US);
	add_limit(reader, into, key->name, limit);
}

/* A whole number. */
static void set_count(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		      const struct kt_doc_node *node, void *into)
{
	struct kt_grammar_key plain = *key;
	char limit[LIMIT_BYTES_MAX];
	uint64_t number = 0;

	plain.offset = 0;
	kt_grammar_number(reader, &plain, node, &number);
	snprintf(limit, sizeof(limit), "%" PRIu64, number);
	if (number)
		add_limit(reader, into, key->name, limit);
}

static void set_memory(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_grammar_key plain = *key;
	char limit[LIMIT_BYTES_MAX] = "max";
	uint64_t bytes = 0;

	plain.offset = 0;
	if (!is_max(node)) {
		kt_grammar_size(reader, &plain, node, &bytes);
		snprintf(limit, sizeof(limit), "%" PRIu64, bytes);
	}
	if (bytes || is_max(node))
		add_limit(reader, into, key->name, limit);
}

/* ---- who works in it ---- */

/* The short form: what a group says stands in the cgroup itself. */
static void *only_group(struct kt_grammar_reader *reader, void *into)
{
	struct kt_msg_cgroup *cgroup = into;

	if (cgroup->groups)
		return NULL; /* check_cgroup() says so */
	cgroup->groups = kt_grammar_make(reader, &kt_groupkeys_table, 1, sizeof(*cgroup->groups));
	cgroup->n_groups = 1;
	return cgroup->groups;
}

static void check_cgroup(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 void *into)
{
	const struct kt_doc_node *groups = kt_doc_get(node, "groups");

	(void)into;
	for (size_t i = 0; groups && i < kt_groupkeys_table.n_keys; i++) {
		const struct kt_doc_node *key = kt_doc_get(node, kt_groupkeys_table.keys[i].name);

		if (!key)
			continue;
		kt_problem_add(reader->problems, key->key_pos,
			       "'%s' in %s stands beside 'groups'; put it into the group that it "
			       "is about",
			       key->key, reader->table->title);
		return;
	}
}

static void set_payload(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	const struct kt_reading *reading = reader->context;
	struct kt_msg_cgroup *cgroup = into;
	uint32_t index;

	kt_grammar_name(reader, key, node, into);
	if (cgroup->payload[0])
		kt_axis_find(reader, &reading->payloads, cgroup->payload, node->pos, &index);
}

/* clang-format off */

#define LIMIT(name_, types_, min_, max_, example_, sentence_, set_) \
	{ .name = #name_, .types = KT_GRAMMAR_##types_, .need = KT_GRAMMAR_MAY, .min = (min_), .max = (max_), \
	  .example = (example_), .sentence = (sentence_), .set = (set_) }

static const struct kt_grammar_key cgroup_keys[] = {
	ROW(name,    STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"cg_0\"", "what the guest calls it", set_name, kt_msg_cgroup, name),
	ROW(cpuset,  STRING, MAY,  1, KT_TEXT_BYTES_MAX, "cpuset = \"llc(0)\"", "its CPUs; left out: its parent's", kt_cpusettext_set, kt_msg_cgroup, cpuset),
	LIST(groups,         MAY,  1, KT_GROUPS_MAX, "groups = [{ workers = 2, work = \"spin\" }]", "its workers, by what they do", kt_grammar_tables, kt_msg_cgroup, groups, &kt_groupkeys_table),
	LIMIT(cpu_max,     STRING, 1, LIMIT_BYTES_MAX - 1, "cpu_max = \"50%\"", "CPU time, of one CPU", set_cpu_max),
	LIMIT(cpu_weight,  INT,    1, 10000, "cpu_weight = 100", "its share of CPU time", set_count),
	LIMIT(memory_max,  STRING, MEMORY_MIN, KT_GUEST_MEM_BYTES_MAX, "memory_max = \"64M\"", "memory, beyond which it is killed", set_memory),
	LIMIT(memory_high, STRING, MEMORY_MIN, KT_GUEST_MEM_BYTES_MAX, "memory_high = \"48M\"", "memory, beyond which it is held up", set_memory),
	LIMIT(memory_low,  STRING, MEMORY_MIN, KT_GUEST_MEM_BYTES_MAX, "memory_low = \"8M\"", "memory that is not reclaimed from it", set_memory),
	LIMIT(io_weight,   INT,    1, 10000, "io_weight = 100", "its share of disk time", set_count),
	LIMIT(pids_max,    INT,    1, PIDS_MAX, "pids_max = 100", "processes and threads", set_count),
	ROW(payload, STRING, MAY,  1, KT_NAME_BYTES_MAX, "payload = \"stress\"", "a payload that is started in it too", set_payload, kt_msg_cgroup, payload),
};
const struct kt_grammar_table kt_cgroupkeys_table = {
	.title = "cgroup", .keys = cgroup_keys, .n_keys = LENGTH(cgroup_keys), .check = check_cgroup,
	.message = &kt_schema_cgroup, .also = &kt_groupkeys_table, .also_into = only_group,
};

/* clang-format on */
