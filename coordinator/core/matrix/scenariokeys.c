#include "coordinator/core/matrix/scenariokeys.h"
#include "coordinator/core/matrix/asserts.h"
#include "coordinator/core/matrix/checkskeys.h"
#include "coordinator/core/matrix/profile.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rehearsal.h"
#include "coordinator/core/matrix/requires.h"
#include "coordinator/core/matrix/rows.h"
#include "coordinator/core/matrix/stepkeys.h"
#include "proto/base/duration.h"
#include "proto/job.h"

#include <inttypes.h>
#include <string.h>

#define DURATION_NS_MIN KT_NS_PER_MS
#define WATCHDOG_NS_MIN (10 * KT_NS_PER_MS) /* a few jiffies at HZ = 250 */
#define WATCHDOG_NS_MAX (3600 * KT_NS_PER_S)

#define STALL_NS_MIN (100 * KT_NS_PER_MS)

#define PLUGIN_DEADLINE_NS_MIN (100 * KT_NS_PER_MS)
#define PLUGIN_DEADLINE_NS_MAX (300 * KT_NS_PER_S)

KT_AXIS_CHECK_HEAD(struct kt_matrix_scenario);

const char *const kt_scenariokeys_guests[] = { KT_JOB_GUEST_WARM, KT_JOB_GUEST_COLD, NULL };
const char *const kt_scenariokeys_accels[] = { "kvm", NULL };

/* ---- filters: kernels = ["a", "b"] ---- */

static void choose_kernels(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	struct kt_reading *reading = reader->context;

	kt_axis_choose(reader, &reading->kernels, key, node, into);
}

static void choose_schedulers(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			      const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_scenario *scenario = into;
	struct kt_reading *reading = reader->context;

	kt_axis_choose(reader, &reading->schedulers, key, node, into);
	if (scenario->schedulers)
		kt_profile_widen(reader->arena, reading->matrix, &scenario->schedulers,
				 &scenario->n_schedulers);
}

static void choose_topologies(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			      const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_scenario *scenario = into;
	struct kt_reading *reading = reader->context;

	scenario->topologies_node = node;
	kt_axis_choose(reader, &reading->topologies, key, node, into);
}

/* ---- what is judged beside the assertions ---- */

static void set_plugin(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_plugin *plugin = into;

	plugin->pos = node->pos;
	plugin->deadline_ns = KT_MATRIX_PLUGIN_DEADLINE_NS; /* `deadline` is read behind it */
	kt_grammar_text(reader, key, node, into);
}

/* clang-format off */

static const struct kt_grammar_key verdict_keys[] = {
	ROW(plugin,   STRING, MUST, 1, KT_PATH_BYTES_MAX, "plugin = \"verdict.so\"", "a shared library with the function of ktassert_plugin.h", set_plugin, kt_matrix_plugin, path),
	ROW(deadline, STRING, MAY,  PLUGIN_DEADLINE_NS_MIN, PLUGIN_DEADLINE_NS_MAX, "deadline = \"10s\"", "how long it may take for one cell", kt_grammar_span, kt_matrix_plugin, deadline_ns),
};
static const struct kt_grammar_table verdict_table = TABLE("verdict of [[scenario]]", verdict_keys, NULL);

/* clang-format on */

/* ---- duration, samples, steps ---- */

static void set_duration(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			 const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_scenario *scenario = into;
	struct kt_reading *reading = reader->context;

	kt_grammar_span(reader, key, node, into);
	reading->duration_ns = scenario->msg.duration_ns;
}

/* semantics.md section 2: the boundaries stand 0.8 * duration / (samples + 1) apart. */
static void check_samples(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  const struct kt_msg_scenario *msg)
{
	int64_t n = (int64_t)msg->samples;
	int64_t window_ns = msg->duration_ns / 10 * 8; /* for people; what decides is exact */
	int64_t most = msg->duration_ns * 8 / (KT_SAMPLE_GAP_NS_MIN * 10) - 1;
	int64_t needed_ns = (n + 1) * KT_SAMPLE_GAP_NS_MIN / 8 * 10;
	char duration[KT_DURATION_TEXT_BYTES];
	char gap[KT_DURATION_TEXT_BYTES];
	char needed[KT_DURATION_TEXT_BYTES];

	if (n == 0 || msg->duration_ns * 8 >= (n + 1) * KT_SAMPLE_GAP_NS_MIN * 10)
		return;
	/* As it will be printed, never less than what is needed. */
	if (needed_ns > KT_NS_PER_S)
		needed_ns = (needed_ns + KT_NS_PER_S / 10 - 1) / (KT_NS_PER_S / 10) *
			    (KT_NS_PER_S / 10);
	kt_problem_add(reader->problems, kt_doc_get(node, "samples")->pos,
		       "%" PRId64 " samples in %s come every %s, less than 100ms apart; at most "
		       "%" PRId64 " fit, or make the duration %s",
		       n, kt_duration_format(msg->duration_ns, duration),
		       kt_duration_format(window_ns / (n + 1), gap), most > 0 ? most : 0,
		       kt_duration_format(needed_ns, needed));
}

/* The samples are spread over the duration, so the steps must fill it up to the last of them and may not
 * go on behind it, where nobody looks.
 */
static void check_steps(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			const struct kt_msg_scenario *msg)
{
	const struct kt_doc_node *steps = kt_doc_get(node, "step");
	int64_t pre_ns = msg->duration_ns / 10;
	int64_t window_ns = msg->duration_ns - 2 * pre_ns;
	int64_t n = (int64_t)msg->samples;
	int64_t last_ns = pre_ns + (int64_t)((__int128)window_ns * n / (n + 1));
	int64_t end_ns = 0;
	char duration[KT_DURATION_TEXT_BYTES];
	char at[KT_DURATION_TEXT_BYTES];

	for (size_t i = 0; i < msg->n_steps; i++) {
		if (msg->steps[i].hold_ns == 0)
			return; /* refused already */
		end_ns += msg->steps[i].hold_ns;
		/* Shares are rounded to 1 ns each. */
		if (end_ns > msg->duration_ns + (int64_t)msg->n_steps) {
			kt_problem_add(
				reader->problems, kt_doc_item(steps, i)->pos,
				"this step ends %s after the scenario began, but its duration is "
				"%s; hold shorter or make the duration longer",
				kt_duration_format(end_ns, at),
				kt_duration_format(msg->duration_ns, duration));
			return;
		}
	}
	if (n > 0 && end_ns < last_ns)
		kt_problem_add(reader->problems, kt_doc_item(steps, msg->n_steps - 1)->pos,
			       "the steps end after %s, before the last of %" PRId64
			       " samples at %s; hold longer or make the duration shorter",
			       kt_duration_format(end_ns, duration), n,
			       kt_duration_format(last_ns, at));
}

/* Of a scenario that was read without a problem: what would go wrong in it, and what else follows from it. */
static void rehearse(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		     struct kt_matrix_scenario *scenario)
{
	struct kt_rehearsal rehearsal;

	kt_rehearsal_follow(&scenario->msg, node, reader->problems, &rehearsal);
	scenario->n_captures = rehearsal.n_captures;
	scenario->needs_machine = rehearsal.needs_machine;
	scenario->needs_scheduler = rehearsal.needs_scheduler;
}

static void hold_full(struct kt_grammar_reader *reader, struct kt_msg_scenario *msg)
{
	msg->steps = kt_arena_alloc(reader->arena, 1, sizeof(*msg->steps));
	msg->steps->hold_ns = msg->duration_ns;
	msg->n_steps = 1;
}

static void check_parts(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			struct kt_matrix_scenario *scenario)
{
	struct kt_reading *reading = reader->context;
	const struct kt_doc_node *samples = kt_doc_get(node, "samples");

	scenario->msg.name = scenario->name;
	if (!scenario->script)
		scenario->script = "";
	reading->duration_ns = 0;
	if (!kt_doc_get(node, "step") && *scenario->script)
		hold_full(reader, &scenario->msg); /* a script plays its own workload */
	else if (!kt_doc_get(node, "step"))
		kt_problem_add(reader->problems, node->pos,
			       "[[scenario]] needs [[scenario.step]]: what runs in the guest");
	scenario->node = node;
	/* Where duration or samples were refused, what follows from them would only confuse. */
	if (scenario->msg.duration_ns == 0 ||
	    (samples && scenario->msg.samples == 0 &&
	     !(samples->type == KT_DOC_INT && samples->integer == 0)))
		return;
	check_samples(reader, node, &scenario->msg);
	if (scenario->msg.n_steps && kt_doc_get(node, "step"))
		check_steps(reader, node, &scenario->msg);
}

static void check_scenario(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into)
{
	const struct kt_problems *problems = reader->problems;
	struct kt_reading *reading = reader->context;

	check_parts(reader, node, into);
	if (problems->n + problems->n_more == reading->n_problems)
		rehearse(reader, node, into);
	reading->n_problems = problems->n + problems->n_more;
}

/* clang-format off */

static const struct kt_grammar_key scenario_keys[] = {
	ROW(name,     STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"two_spinners\"", "its part of the cells' names", kt_axis_set_head, kt_matrix_scenario, name),
	ROW(about,    STRING, MAY,  1, KT_TEXT_BYTES_MAX, "about = \"Finds schedulers that ...\"", "what it would catch", kt_grammar_text, kt_matrix_scenario, about),
	ROW(group,    STRING, MAY,  1, KT_NAME_BYTES_MAX, "group = \"cpuset\"", "its part of the catalogue", kt_grammar_name, kt_matrix_scenario, group),
	ROW(duration, STRING, MUST, DURATION_NS_MIN, KT_DURATION_NS_MAX, "duration = \"10s\"", "the window in which samples are taken", set_duration, kt_matrix_scenario, msg.duration_ns),
	ROW(samples,  INT,    MAY,  0, KT_SAMPLES_MAX, "samples = 3", "periodic samples within the duration", kt_grammar_number, kt_matrix_scenario, msg.samples),
	ROW(watchdog, STRING, MAY,  WATCHDOG_NS_MIN, WATCHDOG_NS_MAX, "watchdog = \"15s\"", "sched_ext's stall watchdog", kt_grammar_span, kt_matrix_scenario, msg.watchdog_ns),
	ROW(repeats,  INT,    MAY,  1, KT_REPEATS_MAX, "repeats = 5", "how often every cell runs", kt_grammar_number, kt_matrix_scenario, repeats),
	WORD(guest,           MAY,  kt_scenariokeys_guests, "guest = \"cold\"", "\"warm\" or \"cold\", as in [sweep]", kt_matrix_scenario, guest),
	ROW(paired,   BOOL,   MAY,  0, 0, "paired = true", "its schedulers are compared on one host, by turns", kt_grammar_bool, kt_matrix_scenario, paired),
	WORD(accel,           MAY,  kt_scenariokeys_accels, "accel = \"kvm\"", "only hosts with it run its cells; left out: all hosts do", kt_matrix_scenario, accel),
	ROW(script,   STRING, MAY,  1, KT_TEXT_BYTES_MAX, "script = \"boot 10ms; sample; end\"", "what the scripted runner plays", kt_grammar_text, kt_matrix_scenario, script),
	ROW(stall,    STRING, MAY,  STALL_NS_MIN, KT_DURATION_NS_MAX, "stall = \"5s\"", "how long a worker may be runnable and not run", kt_grammar_span, kt_matrix_scenario, msg.stall_ns),
	ROW(runqueue_latency, BOOL, MAY, 0, 0, "runqueue_latency = true", "a BPF probe measures how long tasks wait for a CPU", kt_grammar_bool, kt_matrix_scenario, msg.runqueue_latency),
	LIST(kernels,    MAY, 1, KT_AXIS_ENTRIES_MAX, "kernels = [\"sid\"]", "the kernels it runs on; left out: all", choose_kernels, kt_matrix_scenario, kernels, NULL),
	LIST(schedulers, MAY, 1, KT_AXIS_ENTRIES_MAX, "schedulers = [\"scx_kt\"]", "the schedulers it runs with; left out: all", choose_schedulers, kt_matrix_scenario, schedulers, NULL),
	LIST(topologies, MAY, 1, KT_AXIS_ENTRIES_MAX, "topologies = [\"small\"]", "the topologies it runs in; left out: all", choose_topologies, kt_matrix_scenario, topologies, NULL),
	NEW(backdrop, MAY, "[scenario.backdrop]", "what is there from the first step to the last", kt_matrix_scenario, msg.backdrop, &kt_stepkeys_backdrop_table),
	ROW(gauntlet, BOOL,   MAY,  0, 0, "gauntlet = true", "also in every preset that fits", kt_grammar_bool, kt_matrix_scenario, gauntlet),
	NEST(requires, MAY, "requires = { min_llcs = 2, max_cpus = 16 }", "what it needs of a topology", kt_matrix_scenario, requires, &kt_requires_table),
	NEST(flags,    MAY, "flags = { required = [\"llc\"] }", "which profiles of the schedulers it runs with", kt_matrix_scenario, flags, &kt_profile_filter_table),
	LIST_IN(step, MAY, 1, KT_STEPS_MAX, "[[scenario.step]]", "what happens, in order", kt_grammar_tables, kt_matrix_scenario, msg.steps, msg.n_steps, &kt_stepkeys_table),
	ROW(assert, ARRAY, MAY, 0, KT_ASSERTS_MAX, "[[scenario.assert]]", "what must hold of a series", kt_asserts_set, kt_matrix_scenario, asserts),
	ROW(checks, TABLE, MAY, 0, 0, "checks = { not_stuck = true, gap = \"3s\" }", "what must hold of its workers and run queues", kt_checkskeys_set, kt_matrix_scenario, checks),
	{ .name = "verdict", .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MAY, .example = "verdict = { plugin = \"verdict.so\" }",
	  .sentence = "a plug-in that judges beside the assertions", .set = kt_grammar_one, .of = &verdict_table, .offset = offsetof(struct kt_matrix_scenario, plugin) },
	{ .name = "expect", .types = KT_GRAMMAR_STRING | KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MAY, .example = "expect = { outcome = \"fail\", cause = \"scheduler_stalled\" }",
	  .sentence = "that it is meant to fail", .set = kt_asserts_expect, .offset = offsetof(struct kt_matrix_scenario, expect) },
};
const struct kt_grammar_table kt_scenariokeys_table = TABLE("[[scenario]]", scenario_keys, check_scenario);

/* clang-format on */
