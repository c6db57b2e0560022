#include "coordinator/core/matrix/axis.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <string.h>
#include <uthash.h>

struct kt_axis_named {
	const char *name; /* key; borrowed from the document */
	uint32_t index;
	uint32_t line;
	UT_hash_handle hh;
};

void kt_axis_set_head(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		      const struct kt_doc_node *node, void *into)
{
	struct kt_axis_head *head = into;

	head->pos = node->pos;
	kt_grammar_name(reader, key, node, into);
}

void kt_axis_index(struct kt_grammar_reader *reader, struct kt_axis *axis, const char *what,
		   const void *entries, size_t n, size_t size)
{
	axis->what = what;
	axis->n = n;
	axis->all = kt_arena_alloc(reader->arena, n, sizeof(*axis->all));
	axis->names = kt_arena_alloc(reader->arena, n, sizeof(*axis->names));
	for (size_t i = 0; i < n; i++) {
		const struct kt_axis_head *head = (const void *)((const char *)entries + i * size);
		struct kt_axis_named *named;

		axis->all[i] = (uint32_t)i;
		if (!head->name)
			continue;
		HASH_FIND_STR(axis->by_name, head->name, named);
		if (named) {
			kt_problem_add(reader->problems, head->pos,
				       "a second %s named '%s'; the first is in line %" PRIu32,
				       what, head->name, named->line);
			continue;
		}
		named = kt_arena_alloc(reader->arena, 1, sizeof(*named));
		*named = (struct kt_axis_named){ .name = head->name,
						 .index = (uint32_t)i,
						 .line = head->pos.line };
		HASH_ADD_KEYPTR(hh, axis->by_name, named->name, strlen(named->name), named);
		axis->names[axis->n_names++] = head->name;
	}
}

void kt_axis_forget(struct kt_axis *axis)
{
	HASH_CLEAR(hh, axis->by_name);
}

bool kt_axis_find(struct kt_grammar_reader *reader, const struct kt_axis *axis, const char *name,
		  struct kt_doc_pos pos, uint32_t *index)
{
	struct kt_axis_named *named;

	HASH_FIND_STR(axis->by_name, name, named);
	if (named)
		*index = named->index;
	else if (axis->n_names == axis->n)
		kt_grammar_unknown(reader, pos, axis->what, name, axis->names, axis->n_names);
	return named;
}

static void choose_one(struct kt_grammar_reader *reader, const struct kt_axis *axis,
		       const struct kt_doc_node *item, bool *chosen)
{
	uint32_t index;

	if (item->type != KT_DOC_STRING) {
		kt_problem_add(reader->problems, item->pos, "a %s is chosen by its name, not by %s",
			       axis->what, kt_doc_type_words(item->type));
		return;
	}
	if (!kt_axis_find(reader, axis, item->string, item->pos, &index))
		return;
	if (chosen[index])
		kt_problem_add(reader->problems, item->pos, "%s '%s' is chosen twice", axis->what,
			       item->string);
	chosen[index] = true;
}

void kt_axis_choose(struct kt_grammar_reader *reader, const struct kt_axis *axis,
		    const struct kt_grammar_key *key, const struct kt_doc_node *node, void *into)
{
	const uint32_t **list = (void *)((char *)into + key->offset);
	size_t *n = (void *)((char *)into + key->count_offset);
	KT_AUTO_FREE bool *chosen = kt_must_calloc(axis->n + 1, sizeof(*chosen));
	uint32_t *indexes;

	if (node->n == 0) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s chooses none; leave it out to choose all", key->name,
			       reader->table->title);
		return;
	}
	for (const struct kt_doc_node *item = node->first; item; item = item->next)
		choose_one(reader, axis, item, chosen);
	indexes = kt_arena_alloc(reader->arena, node->n, sizeof(*indexes));
	for (size_t i = 0; i < axis->n; i++)
		if (chosen[i])
			indexes[(*n)++] = (uint32_t)i;
	*list = indexes;
}
