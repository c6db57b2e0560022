/* rows.h - how the tables of the language are written down: for its .c files, behind all other includes.
 *
 *	static const struct kt_grammar_key step_keys[] = {
 *		ROW(name, types, need, min, max, example, sentence, setter, structure, member),
 *		LIST(name, need, min, max, example, sentence, setter, structure, member, table of the items),
 *	};
 *	const struct kt_grammar_table kt_stepkeys_table = TABLE("[[scenario.step]]", step_keys, check_step);
 */
#ifndef KT_ROWS_H
#define KT_ROWS_H

#include "coordinator/core/matrix/grammar.h"
#include "proto/base/limits.h"

#define LENGTH(array_) (sizeof(array_) / sizeof((array_)[0]))

/* clang-format off */

#define TABLE(title_, keys_, check_) { .title = (title_), .keys = (keys_), .n_keys = LENGTH(keys_), .check = (check_) }

/* Of a message's structure, struct kt_msg_<message_>. */
#define MESSAGE_TABLE(title_, keys_, check_, message_) \
	{ .title = (title_), .keys = (keys_), .n_keys = LENGTH(keys_), .check = (check_), .message = &kt_schema_##message_ }

#define ROW(name_, types_, need_, min_, max_, example_, sentence_, set_, in_, member_) \
	{ .name = #name_, .types = KT_GRAMMAR_##types_, .need = KT_GRAMMAR_##need_, .min = (min_), .max = (max_), \
	  .example = (example_), .sentence = (sentence_), .set = (set_), .offset = offsetof(struct in_, member_) }

/* Of two types, e.g. STRING, FLOAT. */
#define ROW2(name_, type_, or_type_, need_, min_, max_, example_, sentence_, set_, in_, member_) \
	{ .name = #name_, .types = KT_GRAMMAR_##type_ | KT_GRAMMAR_##or_type_, .need = KT_GRAMMAR_##need_, .min = (min_), .max = (max_), \
	  .example = (example_), .sentence = (sentence_), .set = (set_), .offset = offsetof(struct in_, member_) }

/* One word of a list. */
#define WORD(name_, need_, words_, example_, sentence_, in_, member_) \
	{ .name = #name_, .types = KT_GRAMMAR_STRING, .need = KT_GRAMMAR_##need_, .min = 1, .max = KT_NAME_BYTES_MAX, \
	  .example = (example_), .sentence = (sentence_), .set = kt_grammar_word, .offset = offsetof(struct in_, member_), .words = (words_) }

/* A table of its own language. */
#define NEST(name_, need_, example_, sentence_, in_, member_, of_) \
	{ .name = #name_, .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_##need_, .example = (example_), .sentence = (sentence_), \
	  .set = kt_grammar_one, .offset = offsetof(struct in_, member_), .of = (of_) }

/* An array; its count is the member n_<member>. */
#define LIST(name_, need_, min_, max_, example_, sentence_, set_, in_, member_, of_) \
	LIST_IN(name_, need_, min_, max_, example_, sentence_, set_, in_, member_, n_##member_, of_)
#define LIST_IN(name_, need_, min_, max_, example_, sentence_, set_, in_, member_, count_, of_) \
	{ .name = #name_, .types = KT_GRAMMAR_ARRAY, .need = KT_GRAMMAR_##need_, .min = (min_), .max = (max_), \
	  .example = (example_), .sentence = (sentence_), .set = (set_), .offset = offsetof(struct in_, member_), \
	  .count_offset = offsetof(struct in_, count_), .item_size = sizeof(*((struct in_ *)0)->member_), .of = (of_) }

/* A table; the member is a pointer to a new structure. */
#define NEW(name_, need_, example_, sentence_, in_, member_, of_) \
	{ .name = #name_, .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_##need_, .example = (example_), .sentence = (sentence_), \
	  .set = kt_grammar_new, .offset = offsetof(struct in_, member_), .item_size = sizeof(*((struct in_ *)0)->member_), .of = (of_) }

/* clang-format on */

#endif
