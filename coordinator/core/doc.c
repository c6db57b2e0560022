#include "coordinator/core/doc.h"
#include "proto/base/must.h"

#include <string.h>

struct kt_doc *kt_doc_new(const char *file)
{
	struct kt_doc *doc = kt_must_calloc(1, sizeof(*doc));

	doc->file = kt_arena_strdup(&doc->arena, file);
	doc->root = kt_arena_alloc(&doc->arena, 1, sizeof(*doc->root));
	doc->root->type = KT_DOC_TABLE;
	doc->root->pos = (struct kt_doc_pos){ 1, 1 };
	doc->root->key_pos = doc->root->pos;
	return doc;
}

void kt_doc_destroy(struct kt_doc **doc_p)
{
	if (!*doc_p)
		return;
	kt_arena_destroy(&(*doc_p)->arena);
	free(*doc_p);
	*doc_p = NULL;
}

struct kt_doc_node *kt_doc_add(struct kt_doc *doc, struct kt_doc_node *parent, const char *key,
			       enum kt_doc_type type, struct kt_doc_pos pos,
			       struct kt_doc_pos key_pos)
{
	struct kt_doc_node *node = kt_arena_alloc(&doc->arena, 1, sizeof(*node));

	kt_must(parent->type == KT_DOC_TABLE || parent->type == KT_DOC_ARRAY);
	kt_must((parent->type == KT_DOC_TABLE) == (key != NULL));
	node->type = type;
	node->pos = pos;
	node->key_pos = key_pos;
	if (key)
		node->key = kt_arena_strdup(&doc->arena, key);
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->n++;
	return node;
}

const struct kt_doc_node *kt_doc_get(const struct kt_doc_node *table, const char *key)
{
	kt_must(table->type == KT_DOC_TABLE);
	for (const struct kt_doc_node *node = table->first; node; node = node->next)
		if (strcmp(node->key, key) == 0)
			return node;
	return NULL;
}

static const char *const type_words[] = {
	[KT_DOC_TABLE] = "a table",          [KT_DOC_ARRAY] = "an array",
	[KT_DOC_STRING] = "a string",        [KT_DOC_INT] = "an integer",
	[KT_DOC_FLOAT] = "a decimal number", [KT_DOC_BOOL] = "true or false",
	[KT_DOC_OTHER] = "a date or time",
};

const struct kt_doc_node *kt_doc_item(const struct kt_doc_node *array, size_t i)
{
	const struct kt_doc_node *item = array->first;

	for (; i > 0; i--)
		item = item->next;
	return item;
}

const char *kt_doc_type_words(enum kt_doc_type type)
{
	kt_must(type >= 0 && type <= KT_DOC_OTHER);
	return type_words[type];
}
