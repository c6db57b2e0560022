#include "coordinator/core/matrix/checkskeys.h"
#include "assertions/checks.h"
#include "coordinator/core/matrix/asserts.h"

#include <string.h>

static struct kt_doc_pos refused_at(const struct kt_doc_node *node)
{
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		if (strcmp(kt_checks_table[i].name, node->key) == 0)
			return node->pos;
	return node->key_pos;
}

void kt_checkskeys_set(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_checks *checks = (void *)((char *)into + key->offset);

	for (const struct kt_doc_node *child = node->first; child; child = child->next) {
		struct kt_value value = kt_asserts_value(reader->arena, child);
		struct kt_err err = { 0 };

		if (child->has_zero)
			kt_problem_add(reader->problems, child->pos,
				       "'checks' in %s has a 0 byte in it", reader->table->title);
		else if (kt_checks_set(checks, child->key, &value, &err) < 0)
			kt_problem_add(reader->problems, refused_at(child), "'checks' in %s: %s",
				       reader->table->title, err.text);
	}
}
