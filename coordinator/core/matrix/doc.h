/* doc.h - a parsed configuration document, whatever language it was written in.
 *
 * A tree of tables, arrays, strings, integers, floats and booleans. Every node knows where it stands,
 * so that whoever reads it can say file:line:column about anything that is wrong. The tree and all its
 * texts live in one arena. coordinator/toml.h makes it; coordinator/core/matrix/language.h reads it.
 */
#ifndef KT_DOC_H
#define KT_DOC_H

#include "proto/base/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* Where something stands in the file: both count from 1; 0 means "nowhere in particular". */
struct kt_doc_pos {
	uint32_t line;
	uint32_t column;
};

enum kt_doc_type {
	KT_DOC_TABLE, /* members in the order of their keys (bytewise) */
	KT_DOC_ARRAY,
	KT_DOC_STRING,
	KT_DOC_INT,
	KT_DOC_FLOAT,
	KT_DOC_BOOL,
	KT_DOC_OTHER, /* what the language has and we never use: dates and times */
};

struct kt_doc_node {
	enum kt_doc_type type;
	struct kt_doc_pos pos; /* of the value */
	const char *key; /* members of a table; else NULL */
	struct kt_doc_pos key_pos; /* of the key; of the value when there is none */
	struct kt_doc_node *first; /* table, array: its first child */
	struct kt_doc_node *last; /* table, array: its last child */
	struct kt_doc_node *next; /* the next child of the same parent */
	size_t n; /* table, array: how many children */
	union {
		const char *string; /* UTF-8; has_zero below when it is cut short */
		int64_t integer;
		double real;
		bool boolean;
	};
	bool has_zero; /* string: a 0 byte stands within; `string` ends there */
};

/* A text may be put together of several files. Where another one begins, this line says so, and the lines behind
 * it are counted as its own: so a text that was kept still tells where everything in it stood.
 */
#define KT_DOC_FROM "# ktcoord: from "

struct kt_doc_part {
	uint32_t line; /* of the KT_DOC_FROM in the text */
	const char *file;
};

struct kt_doc {
	struct kt_arena arena; /* owns everything below */
	const char *file; /* as the user named it */
	struct kt_doc_part *parts; /* of other files, in the order of the text */
	size_t n_parts;
	struct kt_doc_node *root; /* a table */
};

/* An empty document (root: a table without members). Owned by the caller. */
struct kt_doc *kt_doc_new(const char *file);
void kt_doc_destroy(struct kt_doc **doc_p);

/* A new last child of parent (a table or an array); key is copied, NULL in arrays. */
struct kt_doc_node *kt_doc_add(struct kt_doc *doc, struct kt_doc_node *parent, const char *key,
			       enum kt_doc_type type, struct kt_doc_pos pos,
			       struct kt_doc_pos key_pos);

/* Finds the KT_DOC_FROM lines of the text that the document was made from. */
void kt_doc_find_parts(struct kt_doc *doc, const char *text, size_t len);
/* The file that stands at *pos, which becomes the place within it. */
const char *kt_doc_place(const struct kt_doc *doc, struct kt_doc_pos *pos);

/* The member of a table, NULL when there is none. */
const struct kt_doc_node *kt_doc_get(const struct kt_doc_node *table, const char *key);

/* The i-th child of an array; there must be so many. */
const struct kt_doc_node *kt_doc_item(const struct kt_doc_node *array, size_t i);

/* "a table", "an array", "a string", ... */
const char *kt_doc_type_words(enum kt_doc_type type);

#endif
