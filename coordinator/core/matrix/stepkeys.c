#include "coordinator/core/matrix/stepkeys.h"
#include "coordinator/core/matrix/cgroupkeys.h"
#include "coordinator/core/matrix/opkeys.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rows.h"
#include "proto/base/duration.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define LOOP_NS_MIN KT_NS_PER_MS

/* "50%", "12.5%": at most six digits after the point; in millionths of a percent. */
static bool parse_percent(const char *text, int64_t *micro)
{
	int64_t scale = 1000000;
	int64_t sum = 0;
	const char *at = text;

	for (; isdigit((unsigned char)*at) && sum <= 100; at++)
		sum = sum * 10 + (*at - '0');
	if (at == text)
		return false;
	sum *= scale;
	if (*at == '.') {
		for (at++; isdigit((unsigned char)*at) && scale > 1; at++) {
			scale /= 10;
			sum += (*at - '0') * scale;
		}
	}
	*micro = sum;
	return strcmp(at, "%") == 0 && sum > 0 && sum <= 100 * 1000000;
}

/* In ns; 0 when it does not read. A fraction of an unknown duration (refused already) is 1 ns. */
static int64_t hold_of(const struct kt_doc_node *node, int64_t duration_ns)
{
	int64_t micro;
	int64_t ns = 0;

	if (node->type == KT_DOC_FLOAT) {
		if (!isfinite(node->real) || node->real <= 0 || node->real > 1)
			return 0;
		ns = (int64_t)(node->real * (double)duration_ns + 0.5);
		return ns > 0 ? ns : 1;
	}
	if (node->has_zero)
		return 0;
	if (strcmp(node->string, "full") == 0)
		return duration_ns > 0 ? duration_ns : 1;
	if (parse_percent(node->string, &micro)) {
		ns = (int64_t)((__int128)duration_ns * micro / (100 * 1000000));
		return ns > 0 ? ns : 1;
	}
	return kt_duration_parse(node->string, &ns) ? ns : 0;
}

/* Fills the ns at offset; the rest of the step is left alone. */
static void set_for(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	const struct kt_reading *reading = reader->context;
	struct kt_msg_step *step = into;

	step->hold_ns = hold_of(node, reading->duration_ns);
	if (step->hold_ns > 0)
		return;
	if (node->type == KT_DOC_FLOAT)
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is %g; a share of the duration is more than 0 and at "
			       "most 1.0",
			       key->name, reader->table->title, node->real);
	else
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is \"%.64s\"; it is \"full\", a share of the duration "
			       "(\"50%%\", 0.5) or a time of more than 0 (\"3s\")",
			       key->name, reader->table->title, node->string);
}

/* clang-format off */

static const struct kt_grammar_key loop_keys[] = {
	ROW(loop, STRING, MUST, LOOP_NS_MIN, KT_DURATION_NS_MAX, "loop = \"100ms\"", "when the ops are done again", kt_grammar_span, kt_msg_step, loop_ns),
	ROW2(for, STRING, FLOAT, MUST, 1, KT_DURATION_NS_MAX, "for = \"50%\"", "how long it lasts", set_for, kt_msg_step, hold_ns),
};
static const struct kt_grammar_table loop_table = TABLE("hold of [[scenario.step]]", loop_keys, NULL);

/* clang-format on */

static void set_hold(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	if (node->type == KT_DOC_TABLE)
		kt_grammar_read(reader, &loop_table, node, into);
	else
		set_for(reader, key, node, into);
}

static void check_step(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into)
{
	const struct kt_msg_step *step = into;
	struct kt_doc_pos pos;

	if (!step->loop_ns)
		return;
	pos = kt_doc_get(kt_doc_get(node, "hold"), "loop")->pos;
	if (!kt_doc_get(node, "ops"))
		kt_problem_add(reader->problems, pos,
			       "a loop does ops again, and this step has none");
	else if (step->hold_ns > 0 && step->loop_ns >= step->hold_ns)
		kt_problem_add(reader->problems, pos,
			       "the step has ended before its ops are done again; leave 'loop' "
			       "out, or make it shorter");
}

/* clang-format off */

#define CGROUPS(in_) \
	LIST(cgroup, MAY, 0, KT_CGROUPS_MAX, "cgroup = [{ name = \"cg_0\", workers = 2, work = \"spin\" }]", "the cgroups that are made", kt_grammar_tables, in_, cgroups, &kt_cgroupkeys_table)
#define OPS(in_) \
	LIST(ops, MAY, 0, KT_OPS_MAX, "ops = [{ freeze_cgroup = \"cg_0\" }]", "what is done", kt_opkeys_set, in_, ops, NULL)

static const struct kt_grammar_key step_keys[] = {
	{ .name = "hold", .types = KT_GRAMMAR_STRING | KT_GRAMMAR_FLOAT | KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MUST, .min = 1, .max = KT_DURATION_NS_MAX,
	  .example = "hold = \"full\"", .sentence = "how long it lasts: \"full\", \"50%\", 0.5, \"3s\" or { loop = \"100ms\", for = \"50%\" }", .set = set_hold },
	CGROUPS(kt_msg_step),
	OPS(kt_msg_step),
};
const struct kt_grammar_table kt_stepkeys_table = MESSAGE_TABLE("[[scenario.step]]", step_keys, check_step, step);

static const struct kt_grammar_key backdrop_keys[] = {
	CGROUPS(kt_msg_backdrop),
	OPS(kt_msg_backdrop),
};
const struct kt_grammar_table kt_stepkeys_backdrop_table = MESSAGE_TABLE("[scenario.backdrop]", backdrop_keys, NULL, backdrop);

/* clang-format on */
