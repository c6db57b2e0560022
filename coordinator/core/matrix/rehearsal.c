#include "coordinator/core/matrix/rehearsal.h"
#include "coordinator/core/matrix/groupkeys.h"
#include "coordinator/core/matrix/opkeys.h"
#include "coordinator/core/matrix/standing.h"
#include "proto/base/must.h"
#include "proto/ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#define BACKDROP KT_STANDING_BACKDROP

/* A word of the scenario and where it was said: filled cgroups, tags, payloads that run. */
struct said {
	const char *word; /* borrowed from the scenario */
	uint32_t line;
	size_t act;
	UT_hash_handle hh;
};

struct show {
	const struct kt_msg_scenario *scenario;
	const struct kt_doc_node *node;
	struct kt_problems *problems;
	const struct kt_cpuset_machine *machine; /* NULL: whatever it is */
	const struct kt_matrix_topology *topology; /* that it is made of */
	const char *cell; /* what problems call it */
	struct kt_rehearsal *rehearsal;
	struct kt_standing standing;
	struct said *filled; /* cgroups that the scenario ever puts processes into */
	struct said *passing; /* cgroups that a step brought, and that go with it */
	struct said *tags;
	struct said *others; /* schedulers that are loaded in place of the cell's */
	struct said *payloads; /* that were started, and not waited for or ended */
	bool is_bare; /* the cell's scheduler is the kernel's own */
	bool is_attached;
	struct kt_cpuset offline;
	uint64_t n_workers;
	uint64_t n_captures;
	uint64_t n_payloads;
	/* the act being played */
	size_t act;
	const struct kt_msg_cgroup *cgroups; /* its own, which come behind its ops */
	size_t n_cgroups;
	uint64_t rounds; /* that what happens now stands for */
	bool is_again; /* a later round of a loop */
};

__attribute__((format(printf, 3, 4))) static void complain(struct show *show, struct kt_doc_pos pos,
							   const char *format, ...)
{
	char words[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	kt_problem_add(show->problems, pos, "%s%s%s%s", words,
		       show->is_again ? ", when the loop comes round" : "",
		       show->cell ? ", in cell " : "", show->cell ? show->cell : "");
}

/* ---- words that were said ---- */

static struct said *find_said(struct said *const *list, const char *word)
{
	struct said *said;

	HASH_FIND_STR(*list, word, said);
	return said;
}

static void add_said(struct said **list, const char *word, struct kt_doc_pos pos, size_t act)
{
	struct said *said;

	if (find_said(list, word))
		return;
	said = kt_must_calloc(1, sizeof(*said));
	*said = (struct said){ .word = word, .line = pos.line, .act = act };
	HASH_ADD_KEYPTR(hh, *list, said->word, strlen(said->word), said);
}

static void forget_said(struct said **list, struct said *said)
{
	HASH_DEL(*list, said);
	free(said);
}

static void clear_said(struct said **list)
{
	struct said *said;
	struct said *next;

	HASH_ITER (hh, *list, said, next)
		forget_said(list, said);
}

/* ---- cgroups that are there ---- */

/* A step's own cgroups come behind its ops. */
static bool comes_later(const struct show *show, const char *name)
{
	for (size_t i = 0; i < show->n_cgroups; i++)
		if (strcmp(show->cgroups[i].name, name) == 0)
			return true;
	return false;
}

static struct kt_standing_place *need(struct show *show, const char *name, struct kt_doc_pos pos)
{
	struct kt_standing_place *place = kt_standing_find(&show->standing, name);
	const struct said *passing;
	const char *near;

	if (place)
		return place;
	passing = find_said(&show->passing, name);
	near = kt_standing_suggest(&show->standing, name);
	if (comes_later(show, name) && !show->is_again)
		complain(show, pos,
			 "there is no cgroup '%s' yet: ops come before the cgroups of %s", name,
			 show->act == BACKDROP ? "the backdrop" : "their step");
	else if (passing && passing->act != show->act)
		complain(show, pos,
			 "there is no cgroup '%s' at this moment: that of line %" PRIu32
			 " went with its step; one of [scenario.backdrop] would stay",
			 name, passing->line);
	else if (near)
		complain(show, pos, "there is no cgroup '%s' at this moment; did you mean '%s'?",
			 name, near);
	else
		complain(show, pos, "there is no cgroup '%s' at this moment", name);
	return NULL;
}

static bool may_start_in(struct show *show, const char *name, struct kt_doc_pos pos)
{
	if (!kt_standing_is_frozen(&show->standing, name))
		return true;
	complain(show, pos, "cgroup '%s' is frozen: nothing can be started in it", name);
	return false;
}

/* ---- what depends on the machine ---- */

/* cpus: empty when there are none to speak of. */
static void check_cpus(struct show *show, const struct kt_msg_cpuset *spec, struct kt_doc_pos pos,
		       struct kt_cpuset *cpus)
{
	struct kt_err err = { 0 };

	*cpus = (struct kt_cpuset){ 0 };
	if (!show->machine) {
		show->rehearsal->needs_machine = true;
	} else if (kt_cpuset_resolve(spec, show->machine, cpus, &err) < 0) {
		complain(show, pos, "%s", err.text);
		*cpus = (struct kt_cpuset){ 0 };
	}
}

static bool overlap(const struct kt_cpuset *a, const struct kt_cpuset *b)
{
	for (size_t i = 0; i < KT_CPUSET_WORDS; i++)
		if (a->words[i] & b->words[i])
			return true;
	return false;
}

/* sched_setaffinity(2) refuses a mask without one CPU of the cpuset. */
static void check_affinity(struct show *show, const struct kt_msg_cpuset *spec, const char *cgroup,
			   struct kt_doc_pos pos)
{
	struct kt_cpuset wanted;
	struct kt_cpuset allowed;
	char of[KT_CPUSET_TEXT_BYTES];

	check_cpus(show, spec, pos, &wanted);
	if (!show->machine || !kt_cpuset_count(&wanted))
		return;
	kt_standing_cpus(&show->standing, cgroup, show->machine, &allowed);
	if (!overlap(&wanted, &allowed))
		complain(show, pos, "the affinity has none of the CPUs of cgroup '%s': %.200s",
			 cgroup, kt_cpuset_print(&allowed, of));
}

/* kernel/sched/syscalls.c: a deadline task must be able to run on every CPU of its root domain, else EPERM. */
static void check_deadline_policy(struct show *show, const struct kt_msg_group *group,
				  const char *cgroup, struct kt_doc_pos pos)
{
	struct kt_cpuset allowed;
	char of[KT_CPUSET_TEXT_BYTES];

	if (strcmp(group->policy, "deadline") != 0)
		return;
	if (!show->machine) {
		show->rehearsal->needs_machine = true;
		return;
	}
	kt_standing_cpus(&show->standing, cgroup, show->machine, &allowed);
	if (kt_cpuset_count(&allowed) < show->machine->n_cpus)
		complain(show, pos,
			 "policy deadline is for tasks that may run on every CPU; cgroup '%s' has "
			 "%.200s of %u",
			 cgroup, kt_cpuset_print(&allowed, of), show->machine->n_cpus);
}

static bool has_memory(const struct kt_matrix_topology *topology, uint32_t node)
{
	return node >= topology->n_nodes || topology->nodes[node].mem_bytes > 0;
}

/* set_mempolicy(2) refuses nodes of which none has memory. */
static void check_nodes(struct show *show, const char *list, struct kt_doc_pos pos)
{
	struct kt_cpuset nodes;
	bool any = false;

	if (!*list)
		return;
	if (!show->machine) {
		show->rehearsal->needs_machine = true;
		return;
	}
	kt_must(kt_cpuset_parse(list, &nodes) == 0);
	for (uint32_t node = show->machine->n_nodes; node <= KT_GUEST_CPUS_MAX; node++) {
		if (!kt_cpuset_has(&nodes, node))
			continue;
		complain(show, pos, "there is no NUMA node %u; the guest has %u, counted from 0",
			 node, show->machine->n_nodes);
		return;
	}
	for (uint32_t node = 0; node < show->machine->n_nodes; node++)
		any = any || (kt_cpuset_has(&nodes, node) && has_memory(show->topology, node));
	if (!any)
		complain(show, pos, "none of the NUMA nodes %s has memory", list);
}

/* workers_pct: rounded up, to whole pairs and the like. */
static uint64_t count_workers(struct show *show, const struct kt_msg_group *group,
			      const char *cgroup)
{
	uint64_t size = kt_groupkeys_size(group);
	struct kt_cpuset allowed;
	uint64_t n;

	if (!group->workers_ppm)
		return group->workers;
	if (!show->machine) {
		show->rehearsal->needs_machine = true;
		return 0;
	}
	kt_standing_cpus(&show->standing, cgroup, show->machine, &allowed);
	n = (group->workers_ppm * kt_cpuset_count(&allowed) + KT_CPUSET_PPM - 1) / KT_CPUSET_PPM;
	return (n + size - 1) / size * size;
}

/* ---- what starts ---- */

static struct kt_doc_pos key_pos(const struct kt_doc_node *table, const char *key)
{
	const struct kt_doc_node *node = kt_doc_get(table, key);

	return node ? node->pos : table->pos;
}

/* node: where the group's keys stand. */
static void start_group(struct show *show, const struct kt_msg_group *group, const char *cgroup,
			const struct kt_doc_node *node)
{
	struct kt_standing_place *place = kt_standing_find(&show->standing, cgroup);

	if (!may_start_in(show, cgroup, node->pos))
		return;
	if (group->affinity)
		check_affinity(show, group->affinity, cgroup, key_pos(node, "affinity"));
	check_deadline_policy(show, group, cgroup, key_pos(node, "policy"));
	check_nodes(show, group->mem_nodes, key_pos(node, "mem_nodes"));
	show->n_workers += show->rounds * count_workers(show, group, cgroup);
	if (place->act != show->act)
		place->visitor = show->act;
}

static void start_payload(struct show *show, const char *name, struct kt_doc_pos pos)
{
	show->n_payloads += show->rounds;
	add_said(&show->payloads, name, pos, show->act);
}

/* node: of the cgroup. */
static void bring_cgroup(struct show *show, const struct kt_msg_cgroup *cgroup,
			 const struct kt_doc_node *node)
{
	struct kt_doc_pos pos = key_pos(node, "name");
	struct kt_standing_place *place = kt_standing_find(&show->standing, cgroup->name);
	const struct kt_standing_place *below =
		place ? NULL : kt_standing_below(&show->standing, cgroup->name);
	const struct kt_doc_node *groups = kt_doc_get(node, "groups");
	struct kt_cpuset cpus;

	if (place && place->line) {
		complain(show, pos, "there is a cgroup '%s' already, of line %" PRIu32,
			 cgroup->name, place->line);
		return;
	}
	if (place) {
		below = kt_standing_below(&show->standing, cgroup->name);
		complain(show, pos,
			 "cgroup '%s' stands above '%s', which is there already: name it first",
			 cgroup->name, below ? below->name : "another");
		return;
	}
	place = kt_standing_add(&show->standing, cgroup->name, show->act, pos.line);
	if (show->act != BACKDROP)
		add_said(&show->passing, cgroup->name, pos, show->act);
	if (cgroup->cpuset) {
		check_cpus(show, cgroup->cpuset, key_pos(node, "cpuset"), &cpus);
		place->cpuset = cgroup->cpuset;
	}
	for (size_t i = 0; i < cgroup->n_groups; i++)
		start_group(show, &cgroup->groups[i], cgroup->name,
			    groups ? kt_doc_item(groups, i) : node);
	if (cgroup->payload[0])
		start_payload(show, cgroup->payload, key_pos(node, "payload"));
}

/* ---- ops ---- */

/* Where the first or second of an op's cgroups stands. */
static struct kt_doc_pos cgroup_pos(const struct kt_msg_op *op, const struct kt_doc_node *item,
				    size_t which)
{
	const struct kt_doc_node *node = kt_opkeys_node(item, op);

	return node->type == KT_DOC_ARRAY ? kt_doc_item(node, which)->pos : node->pos;
}

static void add_cgroup(struct show *show, const struct kt_msg_op *op,
		       const struct kt_doc_node *item)
{
	bring_cgroup(show, op->make, kt_opkeys_node(item, op));
}

static void remove_cgroup(struct show *show, const struct kt_msg_op *op,
			  const struct kt_doc_node *item)
{
	if (!need(show, op->cgroup, cgroup_pos(op, item, 0)))
		return;
	kt_standing_thaw(&show->standing, op->cgroup);
	kt_standing_remove(&show->standing, op->cgroup);
}

static void set_cpuset(struct show *show, const struct kt_msg_op *op,
		       const struct kt_doc_node *item)
{
	struct kt_standing_place *place = need(show, op->cgroup, cgroup_pos(op, item, 0));
	struct kt_cpuset cpus;

	check_cpus(show, op->cpuset, kt_opkeys_pos(item, op, "to"), &cpus);
	if (place)
		place->cpuset = op->cpuset;
}

static void clear_cpuset(struct show *show, const struct kt_msg_op *op,
			 const struct kt_doc_node *item)
{
	struct kt_standing_place *place = need(show, op->cgroup, cgroup_pos(op, item, 0));

	if (place)
		place->cpuset = NULL;
}

static bool need_two(struct show *show, const struct kt_msg_op *op, const struct kt_doc_node *item,
		     struct kt_standing_place *places[2])
{
	places[0] = need(show, op->cgroup, cgroup_pos(op, item, 0));
	places[1] = need(show, op->other, cgroup_pos(op, item, 1));
	if (places[0] && places[0] == places[1]) {
		complain(show, cgroup_pos(op, item, 1), "%s takes two cgroups, not '%s' twice",
			 op->kind, op->cgroup);
		return false;
	}
	return places[0] && places[1];
}

static void swap_cpusets(struct show *show, const struct kt_msg_op *op,
			 const struct kt_doc_node *item)
{
	struct kt_standing_place *places[2];
	const struct kt_msg_cpuset *first;

	if (!need_two(show, op, item, places))
		return;
	for (size_t i = 0; i < 2; i++) {
		if (places[i]->cpuset)
			continue;
		complain(show, cgroup_pos(op, item, i),
			 "cgroup '%s' has no cpuset of its own at this moment that could be "
			 "swapped",
			 places[i]->name);
		return;
	}
	first = places[0]->cpuset;
	places[0]->cpuset = places[1]->cpuset;
	places[1]->cpuset = first;
}

static void spawn(struct show *show, const struct kt_msg_op *op, const struct kt_doc_node *item)
{
	if (need(show, op->cgroup, cgroup_pos(op, item, 0)))
		start_group(show, op->group, op->cgroup, item);
}

static void stop_cgroup(struct show *show, const struct kt_msg_op *op,
			const struct kt_doc_node *item)
{
	if (need(show, op->cgroup, cgroup_pos(op, item, 0)))
		kt_standing_thaw(&show->standing, op->cgroup);
}

static void set_affinity(struct show *show, const struct kt_msg_op *op,
			 const struct kt_doc_node *item)
{
	if (need(show, op->cgroup, cgroup_pos(op, item, 0)))
		check_affinity(show, op->cpuset, op->cgroup, kt_opkeys_pos(item, op, "to"));
}

static void move_all_tasks(struct show *show, const struct kt_msg_op *op,
			   const struct kt_doc_node *item)
{
	struct kt_standing_place *places[2];

	if (!need_two(show, op, item, places))
		return;
	/* A step's own workers stop with it, wherever they are. */
	if (places[0]->act == show->act || places[0]->visitor == show->act)
		places[1]->visitor = show->act;
}

static void run_payload(struct show *show, const struct kt_msg_op *op,
			const struct kt_doc_node *item)
{
	struct kt_doc_pos pos = kt_opkeys_pos(item, op, "cgroup");

	if (op->cgroup[0] && (!need(show, op->cgroup, pos) || !may_start_in(show, op->cgroup, pos)))
		return;
	start_payload(show, op->name, kt_opkeys_node(item, op)->pos);
}

/* Waiting and killing are both its end. */
static void end_payload(struct show *show, const struct kt_msg_op *op,
			const struct kt_doc_node *item)
{
	struct said *payload = find_said(&show->payloads, op->name);

	if (payload)
		forget_said(&show->payloads, payload);
	else
		complain(show, kt_opkeys_node(item, op)->pos,
			 "payload '%s' does not run at this moment: it was not started, or was "
			 "waited for, or ended with its step",
			 op->name);
}

static void freeze(struct show *show, const struct kt_msg_op *op, const struct kt_doc_node *item,
		   bool is_to_be)
{
	struct kt_doc_pos pos = cgroup_pos(op, item, 0);
	struct kt_standing_place *place = need(show, op->cgroup, pos);

	if (place && place->is_frozen == is_to_be)
		complain(show, pos, "cgroup '%s' is %s at this moment", op->cgroup,
			 is_to_be ? "frozen already" : "not frozen");
	else if (place)
		place->is_frozen = is_to_be;
}

static void freeze_cgroup(struct show *show, const struct kt_msg_op *op,
			  const struct kt_doc_node *item)
{
	freeze(show, op, item, true);
}

static void unfreeze_cgroup(struct show *show, const struct kt_msg_op *op,
			    const struct kt_doc_node *item)
{
	freeze(show, op, item, false);
}

static void capture(struct show *show, const struct kt_msg_op *op, const struct kt_doc_node *item)
{
	struct kt_doc_pos pos = kt_opkeys_node(item, op)->pos;
	struct said *before = find_said(&show->tags, op->name);

	show->n_captures += show->rounds;
	if (!before)
		add_said(&show->tags, op->name, pos, show->act);
	else if (!show->is_again)
		complain(show, pos,
			 "a second capture with the tag '%s'; the first is in line %" PRIu32,
			 op->name, before->line);
}

static void need_attached(struct show *show, const struct kt_msg_op *op,
			  const struct kt_doc_node *item, bool is_needed)
{
	if (show->is_attached != is_needed)
		complain(show, kt_opkeys_node(item, op)->key_pos, "%s: %s at this moment", op->kind,
			 is_needed ? "no scheduler is attached" : "a scheduler is attached");
}

/* What would change the kernel's own scheduler is left out by the guest (worker/guest/gswitch.h). */
static bool is_left_out(const struct show *show)
{
	return show->is_bare && !show->is_attached;
}

static void attach_scheduler(struct show *show, const struct kt_msg_op *op,
			     const struct kt_doc_node *item)
{
	if (is_left_out(show))
		return;
	need_attached(show, op, item, false);
	show->is_attached = true;
}

static void detach_scheduler(struct show *show, const struct kt_msg_op *op,
			     const struct kt_doc_node *item)
{
	if (!is_left_out(show))
		need_attached(show, op, item, true);
	show->is_attached = false;
}

static void restart_scheduler(struct show *show, const struct kt_msg_op *op,
			      const struct kt_doc_node *item)
{
	if (!is_left_out(show))
		need_attached(show, op, item, true);
}

static void replace_scheduler(struct show *show, const struct kt_msg_op *op,
			      const struct kt_doc_node *item)
{
	add_said(&show->others, op->name, item->pos, show->act);
	show->is_attached = true;
}

static void write_map(struct show *show, const struct kt_msg_op *op, const struct kt_doc_node *item)
{
	show->rehearsal->needs_scheduler = true;
	need_attached(show, op, item, true);
}

static void hotplug_cpu(struct show *show, const struct kt_msg_op *op,
			const struct kt_doc_node *item)
{
	struct kt_doc_pos pos = kt_opkeys_node(item, op)->pos;
	bool is_online = !kt_cpuset_has(&show->offline, (uint32_t)op->cpu);

	if (!show->machine)
		show->rehearsal->needs_machine = true;
	else if (op->cpu >= show->machine->n_cpus)
		complain(show, pos, "there is no CPU %" PRIu64 "; the guest has %u, counted from 0",
			 op->cpu, show->machine->n_cpus);
	if (is_online == op->online)
		complain(show, pos, "CPU %" PRIu64 " is %s at this moment", op->cpu,
			 is_online ? "online" : "offline");
	else
		show->offline.words[op->cpu / 64] ^= 1ull << op->cpu % 64;
}

typedef void play_fn(struct show *show, const struct kt_msg_op *op, const struct kt_doc_node *item);

static play_fn *const plays[KT_OPS_N] = {
	[KT_OPS_ID_add_cgroup] = add_cgroup,
	[KT_OPS_ID_remove_cgroup] = remove_cgroup,
	[KT_OPS_ID_set_cpuset] = set_cpuset,
	[KT_OPS_ID_clear_cpuset] = clear_cpuset,
	[KT_OPS_ID_swap_cpusets] = swap_cpusets,
	[KT_OPS_ID_spawn] = spawn,
	[KT_OPS_ID_stop_cgroup] = stop_cgroup,
	[KT_OPS_ID_set_affinity] = set_affinity,
	[KT_OPS_ID_move_all_tasks] = move_all_tasks,
	[KT_OPS_ID_run_payload] = run_payload,
	[KT_OPS_ID_wait_payload] = end_payload,
	[KT_OPS_ID_kill_payload] = end_payload,
	[KT_OPS_ID_freeze_cgroup] = freeze_cgroup,
	[KT_OPS_ID_unfreeze_cgroup] = unfreeze_cgroup,
	[KT_OPS_ID_capture] = capture,
	[KT_OPS_ID_attach_scheduler] = attach_scheduler,
	[KT_OPS_ID_detach_scheduler] = detach_scheduler,
	[KT_OPS_ID_restart_scheduler] = restart_scheduler,
	[KT_OPS_ID_replace_scheduler] = replace_scheduler,
	[KT_OPS_ID_write_map] = write_map,
	[KT_OPS_ID_hotplug_cpu] = hotplug_cpu,
};

static void play_ops(struct show *show, const struct kt_msg_op *ops, size_t n,
		     const struct kt_doc_node *list)
{
	for (size_t i = 0; i < n; i++) {
		const struct kt_ops *kind = kt_ops_by_name(ops[i].kind);

		kt_must(kind && plays[kind->id]);
		plays[kind->id](show, &ops[i], kt_doc_item(list, i));
	}
}

/* ---- acts ---- */

static size_t n_problems(const struct show *show)
{
	return show->problems->n + show->problems->n_more;
}

static void bring_cgroups(struct show *show, const struct kt_doc_node *list)
{
	for (size_t i = 0; i < show->n_cgroups; i++)
		bring_cgroup(show, &show->cgroups[i], kt_doc_item(list, i));
}

static void end_step(struct show *show)
{
	struct said *payload;
	struct said *next;

	kt_standing_end(&show->standing, show->act);
	HASH_ITER (hh, show->payloads, payload, next)
		if (payload->act == show->act)
			forget_said(&show->payloads, payload);
}

static void play_step(struct show *show, size_t index, const struct kt_doc_node *node)
{
	const struct kt_msg_step *step = &show->scenario->steps[index];
	const struct kt_doc_node *ops = kt_doc_get(node, "ops");
	size_t before = n_problems(show);

	show->act = index;
	show->cgroups = step->cgroups;
	show->n_cgroups = step->n_cgroups;
	if (!step->loop_ns)
		play_ops(show, step->ops, step->n_ops, ops);
	bring_cgroups(show, kt_doc_get(node, "cgroup"));
	if (step->loop_ns)
		play_ops(show, step->ops, step->n_ops, ops);
	if (step->loop_ns && n_problems(show) == before) {
		show->rounds = (uint64_t)((step->hold_ns - 1) / step->loop_ns);
		show->is_again = true;
		play_ops(show, step->ops, step->n_ops, ops);
		show->rounds = 1;
		show->is_again = false;
	}
	end_step(show);
}

static void play_backdrop(struct show *show, const struct kt_doc_node *node)
{
	const struct kt_msg_backdrop *backdrop = show->scenario->backdrop;

	if (!backdrop)
		return;
	show->act = BACKDROP;
	show->cgroups = backdrop->cgroups;
	show->n_cgroups = backdrop->n_cgroups;
	play_ops(show, backdrop->ops, backdrop->n_ops, kt_doc_get(node, "ops"));
	bring_cgroups(show, kt_doc_get(node, "cgroup"));
}

static void check_totals(struct show *show)
{
	const struct {
		const char *does;
		const char *what;
		uint64_t n;
		uint64_t max;
	} totals[] = {
		{ "starts", "workers", show->n_workers, KT_WORKERS_MAX },
		{ "starts", "payloads", show->n_payloads, KT_PAYLOADS_MAX },
		{ "loads", "other schedulers", HASH_COUNT(show->others), KT_OTHERS_MAX },
		{ "takes", "samples", show->n_captures + show->scenario->samples,
		  KT_SAMPLES_PER_ATTEMPT_MAX },
	};

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		if (totals[i].n > totals[i].max)
			complain(show, show->node->pos,
				 "[[scenario]] %s %" PRIu64 " %s in all; at most %" PRIu64,
				 totals[i].does, totals[i].n, totals[i].what, totals[i].max);
}

/* ---- cgroup v2: one with processes of its own hands no controller down ---- */

typedef void see_cgroup_fn(struct show *show, const struct kt_msg_cgroup *cgroup,
			   const struct kt_doc_node *node);

static void see(struct show *show, const struct kt_doc_node *act,
		const struct kt_msg_cgroup *cgroups, size_t n_cgroups, const struct kt_msg_op *ops,
		size_t n_ops, see_cgroup_fn *see_cgroup, play_fn *see_op)
{
	const struct kt_doc_node *cgroup_list = kt_doc_get(act, "cgroup");
	const struct kt_doc_node *op_list = kt_doc_get(act, "ops");

	for (size_t i = 0; i < n_ops; i++) {
		const struct kt_doc_node *item = kt_doc_item(op_list, i);

		if (ops[i].make)
			see_cgroup(show, ops[i].make, kt_opkeys_node(item, &ops[i]));
		else
			see_op(show, &ops[i], item);
	}
	for (size_t i = 0; i < n_cgroups; i++)
		see_cgroup(show, &cgroups[i], kt_doc_item(cgroup_list, i));
}

/* Every cgroup and every op of the scenario, in no moment. */
static void see_all(struct show *show, see_cgroup_fn *see_cgroup, play_fn *see_op)
{
	const struct kt_msg_backdrop *backdrop = show->scenario->backdrop;
	const struct kt_doc_node *steps = kt_doc_get(show->node, "step");

	if (backdrop)
		see(show, kt_doc_get(show->node, "backdrop"), backdrop->cgroups,
		    backdrop->n_cgroups, backdrop->ops, backdrop->n_ops, see_cgroup, see_op);
	for (size_t i = 0; steps && i < show->scenario->n_steps; i++) {
		const struct kt_msg_step *step = &show->scenario->steps[i];

		see(show, kt_doc_item(steps, i), step->cgroups, step->n_cgroups, step->ops,
		    step->n_ops, see_cgroup, see_op);
	}
}

static void note_filled(struct show *show, const struct kt_msg_cgroup *cgroup,
			const struct kt_doc_node *node)
{
	if (cgroup->n_groups || cgroup->payload[0])
		add_said(&show->filled, cgroup->name, key_pos(node, "name"), 0);
}

static void note_op_fills(struct show *show, const struct kt_msg_op *op,
			  const struct kt_doc_node *item)
{
	switch (kt_ops_by_name(op->kind)->id) {
	case KT_OPS_ID_spawn:
		add_said(&show->filled, op->cgroup, item->pos, 0);
		break;
	case KT_OPS_ID_run_payload:
		if (op->cgroup[0])
			add_said(&show->filled, op->cgroup, item->pos, 0);
		break;
	case KT_OPS_ID_move_all_tasks:
		add_said(&show->filled, op->other, item->pos, 0);
		break;
	default:
		break;
	}
}

static void check_above(struct show *show, const char *name, struct kt_doc_pos pos)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - name);
		struct said *above;

		HASH_FIND(hh, show->filled, name, len, above);
		if (!above)
			continue;
		complain(show, pos,
			 "cgroup '%s' can have neither cpuset nor limits: '%s' above it has "
			 "processes of its own (line %" PRIu32
			 "), and the kernel lets no such one hand them down",
			 name, above->word, above->line);
		return;
	}
}

static void check_controllers(struct show *show, const struct kt_msg_cgroup *cgroup,
			      const struct kt_doc_node *node)
{
	if (cgroup->cpuset || cgroup->n_limits)
		check_above(show, cgroup->name, key_pos(node, "name"));
}

static void check_op_controllers(struct show *show, const struct kt_msg_op *op,
				 const struct kt_doc_node *item)
{
	switch (kt_ops_by_name(op->kind)->id) {
	case KT_OPS_ID_set_cpuset:
	case KT_OPS_ID_clear_cpuset:
		check_above(show, op->cgroup, cgroup_pos(op, item, 0));
		break;
	default: /* those of swap_cpusets have one already */
		break;
	}
}

/* ---- the whole ---- */

static void play(struct show *show)
{
	const struct kt_doc_node *steps = kt_doc_get(show->node, "step");

	show->rounds = 1;
	show->is_attached = !show->is_bare;
	play_backdrop(show, kt_doc_get(show->node, "backdrop"));
	/* a script without steps plays one of its own */
	for (size_t i = 0; steps && i < show->scenario->n_steps; i++)
		play_step(show, i, kt_doc_item(steps, i));
	check_totals(show);
	kt_standing_clear(&show->standing);
	clear_said(&show->filled);
	clear_said(&show->passing);
	clear_said(&show->tags);
	clear_said(&show->others);
	clear_said(&show->payloads);
}

void kt_rehearsal_follow(const struct kt_msg_scenario *scenario, const struct kt_doc_node *node,
			 struct kt_problems *problems, struct kt_rehearsal *rehearsal)
{
	struct show show = {
		.scenario = scenario, .node = node, .problems = problems, .rehearsal = rehearsal
	};

	*rehearsal = (struct kt_rehearsal){ 0 };
	see_all(&show, note_filled, note_op_fills);
	see_all(&show, check_controllers, check_op_controllers);
	play(&show);
	rehearsal->n_captures = show.n_captures;
}

void kt_rehearsal_on(const struct kt_msg_scenario *scenario, const struct kt_doc_node *node,
		     const struct kt_matrix_topology *topology, const char *cell,
		     struct kt_problems *problems)
{
	const struct kt_msg_topology message = {
		.numa_nodes = topology->numa_nodes,
		.llcs = topology->llcs,
		.cores = topology->cores,
		.threads = topology->threads,
	};
	struct kt_cpuset_machine machine;
	struct kt_rehearsal rehearsal = { 0 };
	struct show show = { .scenario = scenario,
			     .node = node,
			     .problems = problems,
			     .machine = &machine,
			     .topology = topology,
			     .cell = cell,
			     .rehearsal = &rehearsal };

	kt_cpuset_machine_of(&message, &machine);
	play(&show);
}

void kt_rehearsal_bare(const struct kt_msg_scenario *scenario, const struct kt_doc_node *node,
		       const char *cell, struct kt_problems *problems)
{
	struct kt_rehearsal rehearsal = { 0 };
	struct show show = { .scenario = scenario,
			     .node = node,
			     .problems = problems,
			     .cell = cell,
			     .rehearsal = &rehearsal,
			     .is_bare = true };

	play(&show);
}
