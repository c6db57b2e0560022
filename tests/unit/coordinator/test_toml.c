#include "coordinator/toml.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

static int parse(const char *text, struct kt_doc **doc, struct kt_err *err)
{
	return kt_toml_parse("m.toml", text, strlen(text), doc, err);
}

Test(toml, every_node_knows_its_type_and_its_place)
{
	static const struct {
		const char *key;
		enum kt_doc_type type;
		struct kt_doc_pos key_pos;
		struct kt_doc_pos pos;
	} wanted[] = {
		{ "text", KT_DOC_STRING, { 1, 1 }, { 1, 8 } },
		{ "number", KT_DOC_INT, { 2, 3 }, { 2, 12 } },
		{ "real", KT_DOC_FLOAT, { 3, 1 }, { 3, 8 } },
		{ "flag", KT_DOC_BOOL, { 4, 1 }, { 4, 8 } },
		{ "when", KT_DOC_OTHER, { 5, 1 }, { 5, 8 } },
		{ "list", KT_DOC_ARRAY, { 6, 1 }, { 6, 8 } },
		{ "table", KT_DOC_TABLE, { 7, 2 }, { 7, 1 } },
		{ "tables", KT_DOC_ARRAY, { 9, 3 }, { 9, 1 } },
	};
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(parse("text = \"\xc3\xa4 b\"\n  number = -9_223_372_036_854_775_808\n"
			   "real = 0.5\nflag = true\nwhen = 2026-11-23\nlist = [1, \"x\"]\n"
			   "[table]\na.b = 1\n[[tables]]\n[[tables]]\n",
			   &doc, &err),
		     0, "%s", err.text);
	cr_assert_eq(doc->root->n, sizeof(wanted) / sizeof(wanted[0]));
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const struct kt_doc_node *node = kt_doc_get(doc->root, wanted[i].key);

		cr_assert(node, "%s", wanted[i].key);
		cr_assert_eq(node->type, wanted[i].type, "%s", wanted[i].key);
		cr_assert_eq(memcmp(&node->key_pos, &wanted[i].key_pos, sizeof(node->key_pos)), 0,
			     "%s: key at %u:%u", node->key, node->key_pos.line,
			     node->key_pos.column);
		cr_assert_eq(memcmp(&node->pos, &wanted[i].pos, sizeof(node->pos)), 0,
			     "%s: value at %u:%u", node->key, node->pos.line, node->pos.column);
	}
	cr_assert_eq(kt_doc_get(doc->root, "number")->integer, INT64_MIN);
	cr_assert_str_eq(kt_doc_get(doc->root, "text")->string, "\xc3\xa4 b");
	cr_assert_eq(kt_doc_get(doc->root, "list")->n, 2);
	cr_assert_eq(kt_doc_get(doc->root, "tables")->first->next->pos.line, 10);
	cr_assert_eq(kt_doc_get(kt_doc_get(kt_doc_get(doc->root, "table"), "a"), "b")->integer, 1);
}

static const struct {
	const char *text;
	const char *begins;
} bad[] = {
	{ "a = 1\na = 2\n", "m.toml:2:5: " },
	{ "a = \n", "m.toml:1:5: " },
	{ "[a\n", "m.toml:1:3: " },
	{ "a = \"x\n", "m.toml:1:7: " },
	{ "a = 99999999999999999999\n", "m.toml:1:" },
	{ "\xff\xfe", "m.toml:1:1: " },
	{ "a = 1\n\n  b 2\n", "m.toml:3:5: " },
	{ "a = { b = 1, b = 2 }\n", "m.toml:1:18: " },
	{ "# a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t\nx", "m.toml:2:2: " },
	{ "x = \"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r\\\".s.t\"\ny", "m.toml:2:2: " },
	{ "x = '''\na.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r'.s.t\n'''\ny", "m.toml:4:2: " },
	{ "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1\n", "m.toml:1:32: a key has too many dots" },
	{ "[a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q]\n", "m.toml:1:33: a key has too many dots" },
	{ "a = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "m.toml:1:37: brackets are nested too deeply" },
};

Test(toml, what_is_no_toml_is_refused_where_it_goes_wrong)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
		struct kt_err err = { 0 };

		cr_assert_lt(parse(bad[i].text, &doc, &err), 0, "%s", bad[i].text);
		cr_assert_null(doc);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert_eq(strncmp(err.text, bad[i].begins, strlen(bad[i].begins)), 0, "%s: %s",
			     bad[i].text, err.text);
	}
}

/* 400 kB of them overflow the parser's stack when nothing looks first. */
Test(toml, a_key_of_a_million_dots_is_refused_before_the_parser_sees_it)
{
	KT_AUTO_FREE char *text = malloc(KT_MATRIX_BYTES_MAX);
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct kt_err err = { 0 };

	for (size_t i = 0; i < KT_MATRIX_BYTES_MAX; i++)
		text[i] = i % 2 ? '.' : 'a';
	cr_assert_lt(kt_toml_parse("m.toml", text, KT_MATRIX_BYTES_MAX, &doc, &err), 0);
	cr_assert(strstr(err.text, "too many dots"), "%s", err.text);
}

Test(toml, a_zero_byte_does_not_cut_a_key_to_another)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = NULL;
	struct kt_err err = { 0 };

	cr_assert_eq(parse("\"name\\u0000x\" = \"a\\u0000b\"\n", &doc, &err), 0, "%s", err.text);
	cr_assert_null(kt_doc_get(doc->root, "name"));
	cr_assert_str_eq(doc->root->first->key, "name?x");
	cr_assert(doc->root->first->has_zero);
}
