#include "coordinator/core/matrix/grammar.h"
#include "proto/base/buf.h"
#include "proto/base/duration.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SAID_BYTES   64 /* of a user's own word, in a message */
#define STARTER_ARGS 4 /* in front of a program's own: how it is started (coordinator/bundle.h) */

static void *member(void *into, size_t offset)
{
	return (char *)into + offset;
}

static bool given_up(const struct kt_grammar_reader *reader)
{
	return reader->problems->n + reader->problems->n_more >= KT_GRAMMAR_PROBLEMS_MAX;
}

void kt_grammar_unknown(struct kt_grammar_reader *reader, struct kt_doc_pos pos, const char *what,
			const char *word, const char *const *names, size_t n)
{
	const char *near = kt_suggest(word, names, n);
	KT_AUTO_BUF known = { 0 };

	if (near) {
		kt_problem_add(reader->problems, pos, "unknown %s '%.*s' in %s; did you mean '%s'?",
			       what, SAID_BYTES, word, reader->table->title, near);
		return;
	}
	kt_suggest_print(word, names, n, &known);
	kt_problem_add(reader->problems, pos, "unknown %s '%.*s' in %s; %s", what, SAID_BYTES, word,
		       reader->table->title, kt_buf_text(&known));
}

static size_t add_names(const struct kt_grammar_table *table, const char **names, size_t n)
{
	for (size_t i = 0; i < table->n_keys; i++)
		names[n++] = table->keys[i].name;
	return n;
}

static void unknown_key(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
			const struct kt_doc_node *node)
{
	size_t n = table->n_keys + (table->also ? table->also->n_keys : 0);
	KT_AUTO_FREE const char **names = kt_must_calloc(n, sizeof(*names));

	n = add_names(table, names, 0);
	if (table->also)
		n = add_names(table->also, names, n);
	kt_grammar_unknown(reader, node->key_pos, "key", node->key, names, n);
}

static void wrong_type(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node)
{
	KT_AUTO_BUF wanted = { 0 };

	for (int type = 0; type < KT_DOC_OTHER; type++)
		if (key->types & (1u << type))
			kt_buf_printf(&wanted, "%s%s", wanted.len ? " or " : "",
				      kt_doc_type_words((enum kt_doc_type)type));
	kt_problem_add(reader->problems, node->pos, "'%s' in %s must be %s, not %s; e.g. %s",
		       key->name, reader->table->title, kt_buf_text(&wanted),
		       kt_doc_type_words(node->type), key->example);
}

static const struct kt_grammar_key *find_key(const struct kt_grammar_table *table, const char *name)
{
	for (size_t i = 0; i < table->n_keys; i++)
		if (strcmp(table->keys[i].name, name) == 0)
			return &table->keys[i];
	return NULL;
}

static void read_key(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *table_node, void *into)
{
	const struct kt_doc_node *node = kt_doc_get(table_node, key->name);

	if (!node && key->need == KT_GRAMMAR_MUST)
		kt_problem_add(reader->problems, table_node->pos, "%s needs '%s': %s; e.g. %s",
			       reader->table->title, key->name, key->sentence, key->example);
	else if (node && !(key->types & (1u << node->type)))
		wrong_type(reader, key, node);
	else if (node)
		key->set(reader, key, node, into);
}

static bool has_key_of(const struct kt_doc_node *node, const struct kt_grammar_table *table)
{
	for (const struct kt_doc_node *child = node->first; child; child = child->next)
		if (find_key(table, child->key))
			return true;
	return false;
}

static void read_keys(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
		      const struct kt_doc_node *node, void *into)
{
	for (size_t i = 0; i < table->n_keys && !given_up(reader); i++)
		read_key(reader, &table->keys[i], node, into);
}

static void check(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
		  const struct kt_doc_node *node, void *into)
{
	if (table->check && !given_up(reader))
		table->check(reader, node, into);
}

void kt_grammar_read(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
		     const struct kt_doc_node *node, void *into)
{
	const struct kt_grammar_table *outer = reader->table;
	const struct kt_grammar_table *also = table->also;
	void *also_into = NULL;

	kt_must(node->type == KT_DOC_TABLE);
	reader->table = table;
	read_keys(reader, table, node, into);
	if (also && has_key_of(node, also))
		also_into = table->also_into(reader, into);
	if (also_into)
		read_keys(reader, also, node, also_into);
	for (const struct kt_doc_node *child = node->first; child && !given_up(reader);
	     child = child->next)
		if (!find_key(table, child->key) && !(also && find_key(also, child->key)))
			unknown_key(reader, table, child);
	if (also_into)
		check(reader, also, node, also_into);
	check(reader, table, node, into);
	reader->table = outer;
}

/* ---- texts ---- */

const char *kt_grammar_check_text(struct kt_grammar_reader *reader,
				  const struct kt_grammar_key *key, const struct kt_doc_node *node)
{
	size_t len = strlen(node->string);

	if (node->has_zero)
		kt_problem_add(reader->problems, node->pos, "'%s' in %s has a 0 byte in it",
			       key->name, reader->table->title);
	else if (len == 0 && key->min > 0)
		kt_problem_add(reader->problems, node->pos, "'%s' in %s is empty; e.g. %s",
			       key->name, reader->table->title, key->example);
	else if (len > key->max)
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is %zu bytes long; at most %" PRIu64, key->name,
			       reader->table->title, len, key->max);
	else
		return node->string;
	return NULL;
}

void kt_grammar_text(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const char **text = member(into, key->offset);

	*text = kt_grammar_check_text(reader, key, node);
}

bool kt_grammar_is_name(const char *text, size_t len)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return len > 0 && strspn(text, allowed) >= len && !strchr(".-", *text);
}

/* Cells are named scenario/kernel/scheduler/topology#repeat, and names become those of files, cgroups
 * and test cases: a plain charset, no leading dot or dash.
 */
void kt_grammar_name(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	const char **name = member(into, key->offset);

	if (!text)
		return;
	if (kt_grammar_is_name(text, strlen(text)))
		*name = text;
	else if (strchr(".-", *text))
		kt_problem_add(reader->problems, node->pos,
			       "name '%.*s' in %s: begins with '%c'; use a letter, a digit or '_'",
			       SAID_BYTES, text, reader->table->title, *text);
	else
		kt_problem_add(reader->problems, node->pos,
			       "name '%.*s' in %s: only letters, digits, '_', '.' and '-'",
			       SAID_BYTES, text, reader->table->title);
}

void kt_grammar_word(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const char *text = kt_grammar_check_text(reader, key, node);
	const char **word = member(into, key->offset);
	size_t n = 0;

	if (!text)
		return;
	for (; key->words[n]; n++) {
		if (strcmp(text, key->words[n]) != 0)
			continue;
		*word = key->words[n];
		return;
	}
	kt_grammar_unknown(reader, node->pos, key->name, text, key->words, n);
}

static bool check_count(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, size_t max)
{
	if (node->n <= max)
		return true;
	kt_problem_add(reader->problems, node->pos, "'%s' in %s has %zu items; at most %zu",
		       key->name, reader->table->title, node->n, max);
	return false;
}

void kt_grammar_texts(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		      const struct kt_doc_node *node, void *into)
{
	const char *const **list = member(into, key->offset);
	size_t *n = member(into, key->count_offset);
	const char **texts;
	size_t i = 0;

	if (!check_count(reader, key, node, KT_ARGS_MAX - STARTER_ARGS))
		return;
	texts = kt_arena_alloc(reader->arena, node->n, sizeof(*texts));
	for (const struct kt_doc_node *item = node->first; item; item = item->next, i++) {
		texts[i] = "";
		if (item->type != KT_DOC_STRING)
			kt_problem_add(reader->problems, item->pos,
				       "'%s' in %s takes strings, not %s; e.g. %s", key->name,
				       reader->table->title, kt_doc_type_words(item->type),
				       key->example);
		else if (kt_grammar_check_text(reader, key, item))
			texts[i] = item->string;
	}
	*list = texts;
	*n = node->n;
}

/* ---- numbers ---- */

void kt_grammar_bool(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	bool *flag = member(into, key->offset);

	(void)reader;
	*flag = node->boolean;
}

void kt_grammar_number(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	uint64_t *number = member(into, key->offset);

	if (node->integer < 0 || (uint64_t)node->integer < key->min ||
	    (uint64_t)node->integer > key->max) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is %" PRId64 "; it goes from %" PRIu64 " to %" PRIu64,
			       key->name, reader->table->title, node->integer, key->min, key->max);
		return;
	}
	*number = (uint64_t)node->integer;
}

void kt_grammar_integer(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	int64_t *number = member(into, key->offset);

	if (node->integer < (int64_t)key->min || node->integer > (int64_t)key->max) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is %" PRId64 "; it goes from %" PRId64 " to %" PRId64,
			       key->name, reader->table->title, node->integer, (int64_t)key->min,
			       (int64_t)key->max);
		return;
	}
	*number = node->integer;
}

void kt_grammar_real(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	double *real = member(into, key->offset);
	double said = node->type == KT_DOC_INT ? (double)node->integer : node->real;

	if (!isfinite(said) || said < (double)key->min || said > (double)key->max) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is %g; it goes from %" PRIu64 " to %" PRIu64, key->name,
			       reader->table->title, said, key->min, key->max);
		return;
	}
	*real = said;
}

void kt_grammar_span(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	int64_t *span_ns = member(into, key->offset);
	char lowest[KT_DURATION_TEXT_BYTES];
	char highest[KT_DURATION_TEXT_BYTES];
	int64_t ns;

	if (node->has_zero || !kt_duration_parse(node->string, &ns)) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s: '%.*s' is no time; a number and ns, us, ms, s, m or h, "
			       "at most 24h, e.g. %s",
			       key->name, reader->table->title, SAID_BYTES, node->string,
			       key->example);
	} else if (ns < (int64_t)key->min || ns > (int64_t)key->max) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is \"%s\"; it goes from %s to %s", key->name,
			       reader->table->title, node->string,
			       kt_duration_format((int64_t)key->min, lowest),
			       kt_duration_format((int64_t)key->max, highest));
	} else {
		*span_ns = ns;
	}
}

static const struct {
	const char *name;
	unsigned int shift;
} size_units[] = {
	{ "K", 10 }, { "KiB", 10 }, { "M", 20 }, { "MiB", 20 }, { "G", 30 }, { "GiB", 30 },
};

bool kt_grammar_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t number = 0;
	const char *at = text;

	for (; isdigit((unsigned char)*at); at++) {
		number = number * 10 + (uint64_t)(*at - '0');
		if (number >= 1ull << 33)
			return false;
	}
	if (at == text)
		return false;
	for (size_t i = 0; i < sizeof(size_units) / sizeof(size_units[0]); i++) {
		if (strcmp(at, size_units[i].name) == 0) {
			*bytes = number << size_units[i].shift;
			return true;
		}
	}
	return false;
}

void kt_grammar_size(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	uint64_t *size_bytes = member(into, key->offset);
	uint64_t bytes;

	if (node->has_zero || !kt_grammar_parse_size(node->string, &bytes))
		kt_problem_add(
			reader->problems, node->pos,
			"'%s' in %s: '%.*s' is no size; a whole number and K, M or G, e.g. %s",
			key->name, reader->table->title, SAID_BYTES, node->string, key->example);
	else if (bytes < key->min || bytes > key->max)
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in %s is \"%s\"; it goes from %" PRIu64 "M to %" PRIu64 "M",
			       key->name, reader->table->title, node->string, key->min >> 20,
			       key->max >> 20);
	else
		*size_bytes = bytes;
}

/* ---- tables ---- */

void kt_grammar_map(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	struct kt_grammar_pair **pairs = member(into, key->offset);
	size_t *n = member(into, key->count_offset);
	struct kt_grammar_pair *next;

	if (!check_count(reader, key, node, key->max))
		return;
	next = *pairs = kt_arena_alloc(reader->arena, node->n, sizeof(*next));
	for (const struct kt_doc_node *child = node->first; child; child = child->next)
		*next++ = (struct kt_grammar_pair){ .name = child->key, .node = child };
	*n = node->n;
}

void *kt_grammar_make(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
		      size_t n, size_t size)
{
	const struct kt_schema *message = table->message;
	char *items = kt_arena_alloc(reader->arena, n, size);

	kt_must(!message || message->size == size);
	for (size_t i = 0; message && i < n; i++)
		for (size_t k = 0; k < message->n_fields; k++)
			if (message->fields[k].type == KT_FIELD_STR)
				*(const char **)member(items + i * size,
						       message->fields[k].offset) = "";
	return items;
}

void kt_grammar_new(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	void **one = member(into, key->offset);

	*one = kt_grammar_make(reader, key->of, 1, key->item_size);
	kt_grammar_read(reader, key->of, node, *one);
}

void kt_grammar_one(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	kt_grammar_read(reader, key->of, node, member(into, key->offset));
}

void kt_grammar_tables(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	void **list = member(into, key->offset);
	size_t *n = member(into, key->count_offset);
	char *items;
	size_t i = 0;

	if (node->n < key->min) {
		kt_problem_add(reader->problems, node->pos, "'%s' in %s is empty: %s; e.g. %s",
			       key->name, reader->table->title, key->sentence, key->example);
		return;
	}
	if (!check_count(reader, key, node, key->max))
		return;
	items = kt_grammar_make(reader, key->of, node->n, key->item_size);
	for (const struct kt_doc_node *item = node->first; item && !given_up(reader);
	     item = item->next, i++) {
		if (item->type == KT_DOC_TABLE)
			kt_grammar_read(reader, key->of, item, items + i * key->item_size);
		else
			kt_problem_add(reader->problems, item->pos,
				       "'%s' in %s takes tables, not %s; e.g. %s", key->name,
				       reader->table->title, kt_doc_type_words(item->type),
				       key->example);
	}
	*list = items;
	*n = node->n;
}
