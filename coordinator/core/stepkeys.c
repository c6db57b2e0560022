#include "coordinator/core/stepkeys.h"
#include "coordinator/core/cgroupkeys.h"
#include "coordinator/core/reading.h"
#include "coordinator/core/rows.h"
#include "proto/base/duration.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

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

static void set_hold(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const struct kt_reading *reading = reader->context;
	struct kt_msg_step *step = into;

	step->hold_ns = hold_of(node, reading->duration_ns);
	if (step->hold_ns > 0)
		return;
	if (node->type == KT_DOC_FLOAT)
		kt_problem_add(reader->problems, node->pos,
			       "'hold' in [[scenario.step]] is %g; a share of the duration is more "
			       "than 0 and at most 1.0",
			       node->real);
	else
		kt_problem_add(
			reader->problems, node->pos,
			"'hold' in [[scenario.step]] is \"%.64s\"; it is \"full\", a share of "
			"the duration (\"50%%\", 0.5) or a time of more than 0 (\"3s\")",
			node->string);
}

/* At most KT_CGROUPS_MAX of them: comparing all pairs is cheap. */
static void check_step(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into)
{
	const struct kt_msg_step *step = into;

	for (size_t i = 0; i < step->n_cgroups; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!step->cgroups[i].name || !step->cgroups[j].name ||
			    strcmp(step->cgroups[i].name, step->cgroups[j].name) != 0)
				continue;
			kt_problem_add(
				reader->problems, kt_doc_item(kt_doc_get(node, "cgroup"), i)->pos,
				"a second cgroup named '%s' in one step; a step makes each once",
				step->cgroups[i].name);
			break;
		}
	}
}

/* clang-format off */

static const struct kt_grammar_key step_keys[] = {
	ROW2(hold, STRING, FLOAT, MUST, 1, KT_DURATION_NS_MAX, "hold = \"full\"", "how long it lasts: \"full\", \"50%\", 0.5 or \"3s\"", set_hold, kt_msg_step, hold_ns),
	LIST(cgroup, MAY, 0, KT_CGROUPS_MAX, "cgroup = [{ name = \"cg_0\", workers = 2, work = \"spin\" }]", "the cgroups made when it begins", kt_grammar_tables, kt_msg_step, cgroups, &kt_cgroupkeys_table),
};
const struct kt_grammar_table kt_stepkeys_table = TABLE("[[scenario.step]]", step_keys, check_step);

/* clang-format on */
