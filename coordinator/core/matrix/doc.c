#include "coordinator/core/matrix/doc.h"
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

/* Appends nothing: counts, and fills what has been allocated for as many. */
static size_t walk_parts(struct kt_doc *doc, const char *text, size_t len,
			 struct kt_doc_part *parts)
{
	static const size_t mark = sizeof(KT_DOC_FROM) - 1;
	const char *end = text + len;
	uint32_t line = 1;
	size_t n = 0;

	for (const char *at = text; at < end; line++) {
		const char *next = memchr(at, '\n', (size_t)(end - at));
		size_t width = (size_t)((next ? next : end) - at);

		if (width > mark && memcmp(at, KT_DOC_FROM, mark) == 0) {
			if (parts)
				parts[n] = (struct kt_doc_part){
					line, kt_arena_printf(&doc->arena, "%.*s",
							      (int)(width - mark), at + mark)
				};
			n++;
		}
		if (!next)
			break;
		at = next + 1;
	}
	return n;
}

void kt_doc_find_parts(struct kt_doc *doc, const char *text, size_t len)
{
	doc->n_parts = walk_parts(doc, text, len, NULL);
	doc->parts = kt_arena_alloc(&doc->arena, doc->n_parts, sizeof(*doc->parts));
	walk_parts(doc, text, len, doc->parts);
}

const char *kt_doc_place(const struct kt_doc *doc, struct kt_doc_pos *pos)
{
	size_t n = doc->n_parts;

	while (n > 0 && doc->parts[n - 1].line >= pos->line)
		n--;
	if (n == 0)
		return doc->file;
	pos->line -= doc->parts[n - 1].line;
	return doc->parts[n - 1].file;
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
