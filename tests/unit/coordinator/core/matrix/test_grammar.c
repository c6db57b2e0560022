#include "coordinator/core/matrix/rows.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

struct shape {
	bool flag;
	double real;
	const char *word;
	struct kt_grammar_pair *pairs;
	size_t n_pairs;
};

static const char *const words[] = { "warm", "cold", NULL };

/* clang-format off */

static const struct kt_grammar_key shape_keys[] = {
	ROW(flag, BOOL, MAY, 0, 0, "flag = true", "a flag", kt_grammar_bool, shape, flag),
	ROW2(real, FLOAT, INT, MAY, 0, 10, "real = 0.5", "a number", kt_grammar_real, shape, real),
	WORD(word, MAY, words, "word = \"cold\"", "a word", shape, word),
	{ .name = "pairs", .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MAY, .max = 2, .example = "pairs = { a = 1 }", .sentence = "a map",
	  .set = kt_grammar_map, .offset = offsetof(struct shape, pairs), .count_offset = offsetof(struct shape, n_pairs) },
};
static const struct kt_grammar_table shape_table = TABLE("[shape]", shape_keys, NULL);

/* clang-format on */

static const struct kt_doc_pos here = { 1, 1 };

struct world {
	struct kt_doc *doc;
	struct kt_problems problems;
	struct shape shape;
};

static void read_shape(struct world *world)
{
	struct kt_grammar_reader reader = { .problems = &world->problems,
					    .arena = &world->doc->arena };

	world->problems = (struct kt_problems){ .file = "m.toml" };
	kt_grammar_read(&reader, &shape_table, world->doc->root, &world->shape);
}

static struct kt_doc_node *add(struct world *world, const char *key, enum kt_doc_type type)
{
	return kt_doc_add(world->doc, world->doc->root, key, type, here, here);
}

Test(grammar, setters_fill_what_their_row_names)
{
	struct world world = { .doc = kt_doc_new("m.toml") };
	struct kt_doc_node *map;

	add(&world, "flag", KT_DOC_BOOL)->boolean = true;
	map = add(&world, "pairs", KT_DOC_TABLE);
	kt_doc_add(world.doc, map, "A", KT_DOC_STRING, here, here)->string = "x";
	kt_doc_add(world.doc, map, "b", KT_DOC_INT, here, here)->integer = 7;
	add(&world, "real", KT_DOC_INT)->integer = 3;
	add(&world, "word", KT_DOC_STRING)->string = "cold";
	read_shape(&world);
	cr_assert_eq(world.problems.n, 0);
	cr_assert(world.shape.flag);
	cr_assert_eq(world.shape.real, 3.0);
	cr_assert_eq(world.shape.word, words[1]);
	cr_assert_eq(world.shape.n_pairs, 2);
	cr_assert_str_eq(world.shape.pairs[0].name, "A");
	cr_assert_str_eq(world.shape.pairs[0].node->string, "x");
	cr_assert_eq(world.shape.pairs[1].node->integer, 7);
	kt_doc_destroy(&world.doc);
}

Test(grammar, what_a_row_does_not_take_is_refused_and_leaves_its_member_alone)
{
	static const double reals[] = { -0.1, 10.1, NAN, INFINITY };
	struct world world = { 0 };

	for (size_t i = 0; i < LENGTH(reals); i++) {
		world.doc = kt_doc_new("m.toml");
		add(&world, "real", KT_DOC_FLOAT)->real = reals[i];
		read_shape(&world);
		cr_assert_eq(world.problems.n, 1);
		cr_assert(strstr(world.problems.list[0].line, "it goes from 0 to 10"));
		cr_assert_eq(world.shape.real, 0.0);
		kt_doc_destroy(&world.doc);
	}
	world.doc = kt_doc_new("m.toml");
	add(&world, "word", KT_DOC_STRING)->string = "clod";
	read_shape(&world);
	cr_assert_str_eq(world.problems.list[0].line,
			 "m.toml:1:1: unknown word 'clod' in [shape]; did you mean 'cold'?");
	cr_assert_null(world.shape.word);
	kt_doc_destroy(&world.doc);

	world.doc = kt_doc_new("m.toml");
	for (const char *const *key = (const char *const[]){ "a", "b", "c", NULL }; *key; key++) {
		struct kt_doc_node *map = world.doc->root->first;

		if (!map)
			map = add(&world, "pairs", KT_DOC_TABLE);
		kt_doc_add(world.doc, map, *key, KT_DOC_INT, here, here);
	}
	read_shape(&world);
	cr_assert_str_eq(world.problems.list[0].line,
			 "m.toml:1:1: 'pairs' in [shape] has 3 items; at most 2");
	cr_assert_eq(world.shape.n_pairs, 0);
	kt_doc_destroy(&world.doc);
}
