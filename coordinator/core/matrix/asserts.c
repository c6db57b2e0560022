#include "coordinator/core/matrix/asserts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- from the document to an assertion ---- */

/* Nothing an assertion takes nests deeper than this; what does becomes nil, and is refused as such. */
#define VALUE_DEPTH_MAX 16

static struct kt_value value_of(struct kt_arena *arena, const struct kt_doc_node *node,
				unsigned int depth)
{
	struct kt_value value = kt_value_nil();
	size_t i = 0;

	switch (node->type) {
	case KT_DOC_BOOL:
		return kt_value_bool(node->boolean);
	case KT_DOC_INT:
		return kt_value_i64(node->integer);
	case KT_DOC_FLOAT:
		return kt_value_f64(node->real);
	case KT_DOC_STRING:
		return kt_value_str(arena, node->string);
	case KT_DOC_ARRAY:
		if (depth == 0)
			return value;
		value = kt_value_list(arena, node->n);
		for (const struct kt_doc_node *item = node->first; item; item = item->next)
			value.items[i++] = value_of(arena, item, depth - 1);
		return value;
	case KT_DOC_TABLE:
		if (depth == 0)
			return value;
		value = kt_value_map(arena, node->n);
		for (const struct kt_doc_node *item = node->first; item; item = item->next, i++) {
			value.pairs[i].key = item->key;
			value.pairs[i].value = value_of(arena, item, depth - 1);
		}
		return value;
	case KT_DOC_OTHER:
		break;
	}
	return value;
}

struct kt_value kt_asserts_value(struct kt_arena *arena, const struct kt_doc_node *node)
{
	return value_of(arena, node, VALUE_DEPTH_MAX);
}

/* The member or item of node that a step of a place names ("name", "[3]"); NULL when there is none.
 * Moves *at behind the step.
 */
static const struct kt_doc_node *step_into(const struct kt_doc_node *node, const char **at)
{
	size_t len;
	size_t item;

	if (**at == '[') {
		item = strtoul(*at + 1, NULL, 10);
		*at += strcspn(*at, "]") + 1;
		return node->type == KT_DOC_ARRAY && item < node->n ? kt_doc_item(node, item)
								    : NULL;
	}
	*at += **at == '.';
	len = strcspn(*at, ".[");
	if (node->type != KT_DOC_TABLE)
		return NULL;
	for (const struct kt_doc_node *child = node->first; child; child = child->next) {
		if (strncmp(child->key, *at, len) != 0 || child->key[len])
			continue;
		*at += len;
		return child;
	}
	return NULL;
}

/* Where in the file a refused key or value of an assertion stands: as far as the place can be followed.
 * A key with dots cannot.
 */
static struct kt_doc_pos refused_at(const struct kt_place *place, const struct kt_doc_node *node)
{
	const struct kt_doc_node *next = node;
	const char *at = place->path;
	struct kt_doc_pos pos;

	while (*at && next) {
		next = step_into(node, &at);
		if (next)
			node = next;
	}
	pos = place->at_key && next ? node->key_pos : node->pos;
	/* The text begins behind its quote. */
	if (node->type == KT_DOC_STRING && place->offset > 0)
		pos.column += 1 + (uint32_t)place->offset;
	return pos;
}

/* title: "[[scenario.assert]]" */
static void read_assertion(struct kt_grammar_reader *reader, const char *title,
			   const struct kt_doc_node *node, struct kt_assertion *assertion)
{
	size_t before = reader->problems->n + reader->problems->n_more;
	struct kt_err err = { 0 };

	kt_assertion_init(assertion, reader->arena);
	for (const struct kt_doc_node *child = node->first; child; child = child->next) {
		struct kt_value value = kt_asserts_value(reader->arena, child);

		if (kt_assertion_set(assertion, child->key, &value, &err) < 0)
			kt_problem_add(reader->problems, refused_at(&assertion->where, node),
				       "%s: %s", title, err.text);
	}
	/* What was refused above would only be said to be missing here. */
	if (before == reader->problems->n + reader->problems->n_more &&
	    kt_assertion_check(assertion, &err) < 0)
		kt_problem_add(reader->problems, refused_at(&assertion->where, node), "%s: %s",
			       title, err.text);
}

static const char *name_of(const struct kt_assertion *assertion)
{
	const struct kt_param_arg *name = &assertion->options[KT_ASSERTION_NAME];

	return name->given ? name->text : NULL;
}

/* At most KT_ASSERTS_MAX of them: comparing all pairs is cheap. */
static void check_names(struct kt_grammar_reader *reader, const struct kt_matrix_asserts *asserts)
{
	for (size_t i = 0; i < asserts->n; i++) {
		const char *name = name_of(&asserts->list[i]);

		for (size_t j = 0; name && j < i; j++) {
			const char *other = name_of(&asserts->list[j]);

			if (!other || strcmp(name, other) != 0)
				continue;
			kt_problem_add(reader->problems, asserts->nodes[i]->pos,
				       "a second assertion named '%.64s' in one %s", name,
				       reader->table->title);
			break;
		}
	}
}

void kt_asserts_set(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_asserts *asserts = (void *)((char *)into + key->offset);
	const struct kt_doc_node **nodes;
	struct kt_assertion *list;
	size_t n = 0;

	if (node->n > key->max) {
		kt_problem_add(reader->problems, node->pos,
			       "'assert' in %s has %zu items; at most %" PRIu64,
			       reader->table->title, node->n, key->max);
		return;
	}
	list = kt_arena_alloc(reader->arena, node->n, sizeof(*list));
	nodes = kt_arena_alloc(reader->arena, node->n, sizeof(*nodes));
	for (const struct kt_doc_node *item = node->first; item; item = item->next) {
		if (item->type != KT_DOC_TABLE) {
			kt_problem_add(reader->problems, item->pos,
				       "'assert' in %s takes tables, not %s; e.g. %s",
				       reader->table->title, kt_doc_type_words(item->type),
				       key->example);
			continue;
		}
		nodes[n] = item;
		read_assertion(reader, key->example, item, &list[n++]);
	}
	*asserts = (struct kt_matrix_asserts){ .list = list, .nodes = nodes, .n = n };
	check_names(reader, asserts);
}

void kt_asserts_expect(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	const struct kt_expect **expect = (void *)((char *)into + key->offset);
	struct kt_expect *read = kt_arena_alloc(reader->arena, 1, sizeof(*read));
	struct kt_value value = kt_asserts_value(reader->arena, node);
	struct kt_place place = { 0 };
	struct kt_err err = { 0 };

	if (kt_expect_read(&value, reader->arena, &place, read, &err) < 0)
		kt_problem_add(reader->problems, refused_at(&place, node), "'expect' in %s: %s",
			       reader->table->title, err.text);
	else
		*expect = read;
}

/* ---- an assertion and a scenario that it is judged in ---- */

struct checking {
	const struct kt_matrix *matrix;
	struct kt_problems *problems;
	struct kt_arena *scratch;
	const struct kt_matrix_scenario *scenario;
};

/* Where an option of an assertion stands; a group's branch may have it: then the group. */
static struct kt_doc_pos option_at(const struct kt_matrix_assert *assert_, const char *option)
{
	const struct kt_doc_node *node = kt_doc_get(assert_->node, option);

	return node ? node->pos : assert_->node->pos;
}

static uint64_t samples_of(const struct kt_matrix_scenario *scenario)
{
	return scenario->msg.samples + scenario->n_captures;
}

static void check_leaf(struct checking *checking, const struct kt_matrix_assert *assert_,
		       const struct kt_assertion *leaf)
{
	const struct kt_matrix_scenario *scenario = checking->scenario;
	const struct kt_param_arg *steps = &leaf->options[KT_ASSERTION_STEPS];
	const struct kt_param_arg *least = &leaf->options[KT_ASSERTION_MIN_SAMPLES];

	if (steps->given && steps->counts[1] >= scenario->msg.n_steps)
		kt_problem_add(checking->problems, option_at(assert_, "steps"),
			       "there is no step %" PRIu64
			       ": scenario '%s' has %zu, counted from 0",
			       steps->counts[1], scenario->name, scenario->msg.n_steps);
	/* A script takes samples as it likes. */
	if (least->given && !*scenario->script && least->count > samples_of(scenario))
		kt_problem_add(checking->problems, option_at(assert_, "min_samples"),
			       "min_samples = %" PRIu64
			       " can never be reached: scenario '%s' takes %" PRIu64 " samples",
			       least->count, scenario->name, samples_of(scenario));
}

static void say_no_samples(struct checking *checking, const struct kt_matrix_assert *assert_)
{
	const struct kt_matrix_scenario *scenario = checking->scenario;

	if (assert_->level == KT_MATRIX_LEVEL_SCENARIO)
		kt_problem_add(checking->problems, assert_->node->pos,
			       "[[scenario]] asserts something but takes no samples; e.g. samples "
			       "= 3");
	else
		kt_problem_add(checking->problems, scenario->pos,
			       "scenario '%s' takes no samples, but [[%s.assert]] asserts "
			       "something; e.g. samples = 3",
			       scenario->name, kt_matrix_level_name(assert_->level));
}

static void check_one(struct checking *checking, const struct kt_matrix_assert *assert_)
{
	const struct kt_matrix_scenario *scenario = checking->scenario;
	const struct kt_param_arg *over = &assert_->assertion->options[KT_ASSERTION_OVER];
	const struct kt_assertion *leaf;

	for (size_t i = 0; (leaf = kt_assertion_leaf(assert_->assertion, i)) != NULL; i++)
		check_leaf(checking, assert_, leaf);
	if (over->given && !over->quantifier.of_hosts &&
	    over->quantifier.kind == KT_QUANTIFIER_AT_LEAST &&
	    over->quantifier.at_least > scenario->repeats)
		kt_problem_add(checking->problems, option_at(assert_, "over"),
			       "%" PRIu64 " repeats can never hold: scenario '%s' has %" PRIu64,
			       over->quantifier.at_least, scenario->name, scenario->repeats);
}

/* A name that switches something off must be that of something, with one scheduler at least. */
static void check_off(struct checking *checking, const struct kt_matrix_assert *assert_)
{
	const struct kt_matrix_scenario *scenario = checking->scenario;
	const char *name = name_of(assert_->assertion);

	for (size_t s = 0; s < scenario->n_schedulers; s++) {
		const struct kt_matrix_scheduler *scheduler =
			&checking->matrix->schedulers[scenario->schedulers[s]];
		struct kt_matrix_assert *asserts;
		size_t n = kt_matrix_asserts(checking->matrix, scenario, scheduler,
					     checking->scratch, &asserts);

		for (size_t i = 0; i < n; i++)
			if (asserts[i].assertion == assert_->assertion && asserts[i].replaces)
				return;
	}
	kt_problem_add(checking->problems, option_at(assert_, "name"),
		       "off, but nothing of the name '%.64s' is attached further out", name);
}

/* What is attached further out than the scheduler is the same with each: it is checked with the first. */
static void check_scenario(struct checking *checking, bool each_scheduler)
{
	const struct kt_matrix_scenario *scenario = checking->scenario;
	size_t n_schedulers = each_scheduler ? scenario->n_schedulers : 1;

	for (size_t s = 0; s < n_schedulers; s++) {
		const struct kt_matrix_scheduler *scheduler =
			&checking->matrix->schedulers[scenario->schedulers[s]];
		struct kt_matrix_assert *asserts;
		size_t n;

		/* profiles of one scheduler follow each other */
		if (s > 0 && scheduler->base ==
				     checking->matrix->schedulers[scenario->schedulers[s - 1]].base)
			continue;
		kt_arena_reset(checking->scratch);
		n = kt_matrix_asserts(checking->matrix, scenario, scheduler, checking->scratch,
				      &asserts);
		for (size_t i = 0; i < n; i++) {
			bool off = kt_assertion_is_off(asserts[i].assertion);

			if (s > 0 && asserts[i].level != KT_MATRIX_LEVEL_SCHEDULER)
				continue;
			if (off && !asserts[i].replaces)
				check_off(checking, &asserts[i]);
			if (off)
				continue;
			if (samples_of(scenario) == 0 && !*scenario->script) {
				say_no_samples(checking, &asserts[i]);
				return;
			}
			check_one(checking, &asserts[i]);
		}
	}
}

void kt_asserts_check(const struct kt_matrix *matrix, struct kt_arena *scratch,
		      struct kt_problems *problems)
{
	struct checking checking = { .matrix = matrix, .problems = problems, .scratch = scratch };
	bool each_scheduler = false;

	for (size_t i = 0; i < matrix->n_schedulers; i++)
		each_scheduler |= matrix->schedulers[i].asserts.n > 0;
	for (size_t i = 0; i < matrix->n_scenarios && problems->n < KT_PROBLEMS_MAX; i++) {
		checking.scenario = &matrix->scenarios[i];
		check_scenario(&checking, each_scheduler);
	}
}
