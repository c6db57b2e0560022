/* notation.h - columns, values and assertions out of short texts, for the tests and benches of assertions/.
 *
 *	"1 2 E 3.5 NaN inf true"	six slots, 100 ms apart, tags periodic_000 and on; E is an error
 *	"0 100@1 5@1"		a time in ms behind @
 *	"0 100#1 5#1"		a step behind #, and behind the time
 *	"5 6 | 2 3"		the column of a pattern's second series behind |
 *	"5 6%a | 2%a 3"		a tag behind %, behind all else
 *	"5 6~1 7~1"		an epoch behind ~, before the tag
 */
#ifndef KT_TEST_NOTATION_H
#define KT_TEST_NOTATION_H

#include "assertions/judge.h"
#include "proto/base/must.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kt_column_error fixture_error = { KT_COLUMN_ERROR_AXIS_ERROR,
						      "AxisError: test: deadline" };

static inline struct kt_column fixture_column(struct kt_arena *arena, const char *text)
{
	size_t most = strlen(text) + 1;
	struct kt_column_slot *slots = kt_arena_alloc(arena, most, sizeof(*slots));
	char *copy = kt_arena_strdup(arena, text);
	char *rest = NULL;
	size_t n = 0;

	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		struct kt_column_slot *slot = &slots[n];
		char *tag = strchr(word, '%');
		char *epoch = strchr(word, '~');
		char *step = strchr(word, '#');
		char *at = strchr(word, '@');
		struct kt_value value = { .type = KT_VALUE_STR };
		struct kt_number number = kt_number_f64(NAN);

		slot->tag = kt_arena_printf(arena, "periodic_%03zu", n);
		slot->elapsed_ns = (int64_t)n * 100 * KT_NS_PER_MS;
		if (tag) {
			slot->tag = tag + 1;
			*tag = 0;
		}
		if (epoch) {
			slot->epoch = (uint16_t)atoi(epoch + 1);
			*epoch = 0;
		}
		if (step) {
			slot->step = (uint32_t)atoi(step + 1);
			*step = 0;
		}
		if (at) {
			slot->elapsed_ns = atoll(at + 1) * KT_NS_PER_MS;
			*at = 0;
		}
		n++;
		value.n = (uint32_t)strlen(word);
		value.str = word;
		if (strcmp(word, "E") == 0) {
			kt_column_slot_fail(slot, &fixture_error);
			continue;
		}
		if (strcmp(word, "inf") == 0)
			number = kt_number_f64(INFINITY);
		else if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
			number = kt_number_bool(*word == 't');
		else if (strcmp(word, "NaN") != 0)
			kt_must(kt_number_from_value(&value, KT_NUMBER_WANT_ANY, &number));
		kt_column_slot_set(slot, &number);
	}
	return (struct kt_column){ .slots = slots, .n = n };
}

/* The length of the first piece of text up to a ',' or ';' that is in no brackets or quotes. */
static inline size_t fixture_piece(const char *text)
{
	size_t len = 0;
	int depth = 0;
	bool quoted = false;

	for (; text[len] && (depth || quoted || !strchr(",;", text[len])); len++) {
		quoted ^= text[len] == '\'';
		depth += strchr("[{(", text[len]) != NULL;
		depth -= strchr("]})", text[len]) != NULL;
	}
	return len;
}

static inline struct kt_value fixture_value(struct kt_arena *arena, const char *text);

/* "[1; 5]" or "{at_most 3, lt 7}": text points behind the opening bracket. */
static inline struct kt_value fixture_container(struct kt_arena *arena, const char *text, bool map)
{
	char *inner = kt_arena_copy(arena, text, strlen(text) - 1);
	struct kt_value value = map ? kt_value_map(arena, 16) : kt_value_list(arena, 16);

	value.n = 0;
	for (char *at = inner + strspn(inner, " "); *at; at += strspn(at, ",; ")) {
		size_t len = fixture_piece(at);
		char *piece = kt_arena_copy(arena, at, len);
		char *space = strchr(piece, ' ');

		at += len;
		kt_must(value.n < 16);
		if (!map) {
			value.items[value.n++] = fixture_value(arena, piece);
			continue;
		}
		kt_must(space);
		*space = 0;
		value.pairs[value.n].key = piece;
		value.pairs[value.n++].value = fixture_value(arena, space + 1);
	}
	return value;
}

/* A value as a tiny text: "true", "3", "0.5", "'text'", "[1; 5]", "{at_most 3, any_of [{lt 7}; {eq 9}]}". */
static inline struct kt_value fixture_value(struct kt_arena *arena, const char *text)
{
	size_t len = strlen(text);
	struct kt_value string = { .type = KT_VALUE_STR, .n = (uint32_t)len, .str = text };
	struct kt_number number;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return kt_value_bool(*text == 't');
	if (strcmp(text, "nan") == 0)
		return kt_value_f64(NAN);
	if (strcmp(text, "inf") == 0)
		return kt_value_f64(INFINITY);
	if (*text == '\'')
		return kt_value_str(arena, kt_arena_copy(arena, text + 1, len - 2));
	if (*text == '[' || *text == '{')
		return fixture_container(arena, text + 1, *text == '{');
	kt_must(kt_number_from_value(&string, KT_NUMBER_WANT_ANY, &number));
	if (number.type == KT_NUMBER_F64)
		return kt_value_f64(number.f64);
	return number.type == KT_NUMBER_U64 ? kt_value_u64(number.u64) : kt_value_i64(number.i64);
}

/* The length of a value that ends with a space outside of quotes and brackets. */
static inline size_t fixture_value_len(const char *value)
{
	size_t len = 0;
	int depth = 0;
	bool quoted = false;

	for (; value[len] && (value[len] != ' ' || depth || quoted); len++) {
		depth += (value[len] == '{' || value[len] == '[') -
			 (value[len] == '}' || value[len] == ']');
		quoted ^= value[len] == '\'';
	}
	return len;
}

/* "nondecreasing=true must_progress=true": keys and values, with '_' for no space: values hold none
 * outside of quotes and braces. False with err set as soon as one is refused.
 */
static inline bool fixture_assertion(struct kt_arena *arena, const char *text,
				     struct kt_assertion *assertion, struct kt_err *err)
{
	const char *p = text;

	kt_assertion_init(assertion, arena);
	while (*p) {
		size_t key = strcspn(p, "=");
		const char *value = p + key + 1;
		size_t len = fixture_value_len(value);
		struct kt_value parsed;

		parsed = fixture_value(arena, kt_arena_copy(arena, value, len));
		if (kt_assertion_set(assertion, kt_arena_copy(arena, p, key), &parsed, err) < 0)
			return false;
		p = value + len;
		p += strspn(p, " ");
	}
	return true;
}

#endif
