/* grammar.h - a configuration language is tables: which keys, of which type, how large, for what.
 *
 * One kt_grammar_table per table of the language, one row per key. kt_grammar_read() walks the rows: a
 * missing MUST key, a value of the wrong type, an unknown key (with the key that was probably meant)
 * are found here, the rest by the row's setter. Everything wrong becomes a kt_problem; reading goes
 * on, so that a user sees all of it at once.
 */
#ifndef KT_GRAMMAR_H
#define KT_GRAMMAR_H

#include "coordinator/core/matrix/problem.h"
#include "proto/codec.h"

/* Types a key takes: one or several. */
#define KT_GRAMMAR_TABLE  (1u << KT_DOC_TABLE)
#define KT_GRAMMAR_ARRAY  (1u << KT_DOC_ARRAY)
#define KT_GRAMMAR_STRING (1u << KT_DOC_STRING)
#define KT_GRAMMAR_INT    (1u << KT_DOC_INT)
#define KT_GRAMMAR_FLOAT  (1u << KT_DOC_FLOAT)
#define KT_GRAMMAR_BOOL   (1u << KT_DOC_BOOL)

/* Who finds this many things wrong has given us something else than a matrix. */
#define KT_GRAMMAR_PROBLEMS_MAX 1000

struct kt_grammar_reader {
	struct kt_problems *problems;
	struct kt_arena *arena; /* of everything that is read */
	const struct kt_grammar_table *table; /* being read, for messages */
	void *context; /* of the language */
};

struct kt_grammar_key;

typedef void kt_grammar_set_fn(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			       const struct kt_doc_node *node, void *into);

enum kt_grammar_need { KT_GRAMMAR_MAY, KT_GRAMMAR_MUST };

struct kt_grammar_key {
	const char *name;
	unsigned int types;
	enum kt_grammar_need need;
	uint64_t
		min; /* bytes of a text, items of an array or map, the number itself, ns of a span */
	uint64_t max;
	const char *example; /* as it stands in a file */
	const char *sentence; /* what it is; a clause that follows "needs 'x': " */
	kt_grammar_set_fn *set;
	size_t offset; /* of the member that set() fills */
	const char *const *words; /* kt_grammar_word: those that it takes, NULL at the end */
	/* arrays of tables, and tables */
	const struct kt_grammar_table *of;
	size_t count_offset; /* of the size_t beside the member */
	size_t item_size;
};

/* A member of a table whose keys are the user's own. */
struct kt_grammar_pair {
	const char *name; /* borrowed from the document, as is node */
	const struct kt_doc_node *node;
};

struct kt_grammar_table {
	const char *title; /* "[[kernel]]" */
	const struct kt_grammar_key *keys;
	size_t n_keys;
	/* What a new structure is before it is read: a message's texts are "", all else 0. NULL: all 0. */
	const struct kt_schema *message;
	/* Keys of another table that may stand among these: when one of them does, all that table says
	 * holds, and its structure is what also_into() makes of ours (NULL: it is not read). Messages
	 * name this table.
	 */
	const struct kt_grammar_table *also;
	void *(*also_into)(struct kt_grammar_reader *reader, void *into);
	/* After all keys: what they must be to one another. May be NULL. Members whose key was missing
	 * or refused are as they were before (zero).
	 */
	void (*check)(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into);
};

void kt_grammar_read(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
		     const struct kt_doc_node *node, void *into);

/* "unknown <what> 'word'; did you mean 'y'?", or the list of what there is. */
void kt_grammar_unknown(struct kt_grammar_reader *reader, struct kt_doc_pos pos, const char *what,
			const char *word, const char *const *names, size_t n);

/* ---- setters; what they fill ---- */

kt_grammar_set_fn kt_grammar_text; /* const char *: min..max bytes, borrowed from the document */
kt_grammar_set_fn kt_grammar_name; /* const char *: a text that can be part of a cell's name */
kt_grammar_set_fn
	kt_grammar_texts; /* const char *const * and a count: texts of at most max bytes */
kt_grammar_set_fn kt_grammar_word; /* const char *: one of key->words, that very pointer */
kt_grammar_set_fn kt_grammar_bool; /* bool */
kt_grammar_set_fn kt_grammar_number; /* uint64_t: min..max */
kt_grammar_set_fn kt_grammar_integer; /* int64_t: min..max are its bounds cast to uint64_t */
kt_grammar_set_fn kt_grammar_real; /* double: min..max; of FLOAT, or of FLOAT and INT */
kt_grammar_set_fn kt_grammar_span; /* int64_t ns: min..max, "10s" */
kt_grammar_set_fn kt_grammar_size; /* uint64_t bytes: min..max, "512M" */
kt_grammar_set_fn
	kt_grammar_map; /* struct kt_grammar_pair * and a count: a table of any keys, at most max */
kt_grammar_set_fn kt_grammar_one; /* the structure of `of` at offset */
kt_grammar_set_fn kt_grammar_new; /* a pointer to a new structure of item_size bytes, of `of` */
kt_grammar_set_fn kt_grammar_tables; /* an array of item_size structures of `of`, and a count */

/* n structures of size bytes for what a table describes, in the arena, as they are before they are read. */
void *kt_grammar_make(struct kt_grammar_reader *reader, const struct kt_grammar_table *table,
		      size_t n, size_t size);

/* One name of what is made of letters, digits, '_', '.' and '-'; what begins with '.' or '-' is none. */
bool kt_grammar_is_name(const char *text, size_t len);

/* "512M": a whole number and K, M or G (or KiB, MiB, GiB). */
bool kt_grammar_parse_size(const char *text, uint64_t *bytes);

/* A text without 0 bytes of min..max bytes; NULL (and a problem) when it is not. */
const char *kt_grammar_check_text(struct kt_grammar_reader *reader,
				  const struct kt_grammar_key *key, const struct kt_doc_node *node);

#endif
