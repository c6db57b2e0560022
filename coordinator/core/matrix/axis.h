/* axis.h - the entries of one axis of a matrix while it is read: found by name, chosen by filters. */
#ifndef KT_AXIS_H
#define KT_AXIS_H

#include "coordinator/core/matrix/grammar.h"

/* How every entry of an axis begins (and [sweep]). */
struct kt_axis_head {
	const char *name;
	struct kt_doc_pos pos;
};
#define KT_AXIS_CHECK_HEAD(type_)                                                          \
	_Static_assert(offsetof(type_, name) == 0 &&                                       \
			       offsetof(type_, pos) == offsetof(struct kt_axis_head, pos), \
		       "begins with struct kt_axis_head")

struct kt_axis {
	const char *what; /* "kernel" */
	struct kt_axis_named *by_name;
	const char **names; /* of all that have one, for suggestions */
	size_t n_names;
	size_t n; /* entries */
	uint32_t *all; /* 0 .. n - 1: what a scenario without a filter uses */
};

kt_grammar_set_fn kt_axis_set_head; /* `name` of an entry */

/* Finds entries that share a name and makes the rest known by theirs; entries: n structures of size bytes
 * that begin with a head. Lives in the reader's arena but for its hash table, which kt_axis_forget() frees.
 */
void kt_axis_index(struct kt_grammar_reader *reader, struct kt_axis *axis, const char *what,
		   const void *entries, size_t n, size_t size);
void kt_axis_forget(struct kt_axis *axis);

/* The entry of that name; what it is not called is a problem at pos, unless it may be an entry whose own name
 * was refused. False when there is none.
 */
bool kt_axis_find(struct kt_grammar_reader *reader, const struct kt_axis *axis, const char *name,
		  struct kt_doc_pos pos, uint32_t *index);

/* A filter, kernels = ["a", "b"]: fills an array of indexes (key->offset, key->count_offset). They come in
 * the matrix's order whatever the filter's is: cell numbers then depend on one list.
 */
void kt_axis_choose(struct kt_grammar_reader *reader, const struct kt_axis *axis,
		    const struct kt_grammar_key *key, const struct kt_doc_node *node, void *into);

#endif
