#include "assertions/valuetext.h"
#include "assertions/number.h"
#include "proto/base/buf.h"
#include "proto/base/must.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reader {
	const char *text;
	const char *at;
	unsigned int depth; /* open brackets */
	struct kt_arena *arena;
	struct kt_err *err;
};

__attribute__((format(printf, 2, 3), cold)) static int refuse(struct reader *reader,
							      const char *format, ...)
{
	char words[256];
	size_t line = 1;
	const char *begin = reader->text;
	va_list args;

	for (const char *p = reader->text; p < reader->at; p++) {
		line += *p == '\n';
		begin = *p == '\n' ? p + 1 : begin;
	}
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL, "%zu:%td: %s", line,
			  reader->at - begin + 1, words);
}

/* Blanks and comments; new lines too where they mean nothing. */
static void skip(struct reader *reader, const char *blanks)
{
	for (;;) {
		reader->at += strspn(reader->at, blanks);
		if (*reader->at != '#')
			return;
		reader->at += strcspn(reader->at, "\n");
	}
}

static void skip_inside(struct reader *reader)
{
	skip(reader, " \t\r\n");
}

static bool is_key_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static int take_key(struct reader *reader, const char **key)
{
	size_t len = 0;

	while (is_key_char(reader->at[len]))
		len++;
	if (len == 0)
		return refuse(reader, "a key is expected, as in each = { at_most = 10 }");
	*key = kt_arena_copy(reader->arena, reader->at, len);
	reader->at += len;
	skip(reader, " \t");
	if (*reader->at != '=')
		return refuse(reader, "'=' is expected behind '%.64s'", *key);
	reader->at++;
	skip(reader, " \t");
	return 0;
}

static int take_text(struct reader *reader, struct kt_value *value)
{
	static const char escapes[] = "\"\\nt";
	static const char meanings[] = "\"\\\n\t";
	char quote = *reader->at++;
	KT_AUTO_BUF text = { 0 };

	for (; *reader->at != quote; reader->at++) {
		char c = *reader->at;

		if (c == 0 || c == '\n')
			return refuse(reader, "a text without its closing %c", quote);
		if (c == '\\' && quote == '"') {
			const char *escape = strchr(escapes, *++reader->at);

			if (!*reader->at || !escape)
				return refuse(reader, "of escapes there are \\\" \\\\ \\n \\t");
			c = meanings[escape - escapes];
		}
		kt_buf_append(&text, &c, 1);
	}
	reader->at++;
	*value = kt_value_str(reader->arena, kt_buf_text(&text));
	return 0;
}

/* true, a number, inf: everything that is neither quoted nor bracketed. */
static int take_word(struct reader *reader, struct kt_value *value)
{
	char word[64];
	struct kt_value spelled = { .type = KT_VALUE_STR, .str = word };
	struct kt_number number;
	size_t len = strcspn(reader->at, " \t\r\n,]}#");
	size_t n = 0;
	bool negative = *reader->at == '-';
	const char *name = word + (*reader->at == '-' || *reader->at == '+');

	if (len == 0 || len >= sizeof(word))
		return refuse(reader, "a value is expected: a number, true, \"text\", [ or {");
	/* 1_000: between digits. */
	for (size_t i = 0; i < len; i++)
		if (reader->at[i] != '_' || i == 0 || !isdigit((unsigned char)reader->at[i - 1]) ||
		    !isdigit((unsigned char)reader->at[i + 1]))
			word[n++] = reader->at[i];
	word[n] = 0;
	spelled.n = (uint32_t)n;
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
		*value = kt_value_bool(*word == 't');
	else if (strcmp(name, "inf") == 0)
		*value = kt_value_f64(negative ? -INFINITY : INFINITY);
	else if (strcmp(name, "nan") == 0)
		*value = kt_value_f64(NAN);
	else if (!kt_number_from_value(&spelled, KT_NUMBER_WANT_ANY, &number))
		return refuse(reader, "'%s' is no value: a number, true, \"text\", [ or {", word);
	else if (number.type == KT_NUMBER_F64)
		*value = kt_value_f64(number.f64);
	else
		*value = number.type == KT_NUMBER_U64 ? kt_value_u64(number.u64)
						      : kt_value_i64(number.i64);
	reader->at += len;
	return 0;
}

static int take_value(struct reader *reader, struct kt_value *value);

/* Behind an item: ',' goes on, the closing bracket ends (also behind a last comma). */
static int take_comma(struct reader *reader, char closing)
{
	skip_inside(reader);
	if (*reader->at == ',')
		reader->at++;
	else if (*reader->at != closing)
		return refuse(reader, "',' or '%c' is expected", closing);
	skip_inside(reader);
	return 0;
}

static int take_list(struct reader *reader, struct kt_value *list)
{
	KT_AUTO_FREE struct kt_value *items = NULL;
	size_t n = 0;
	int status;

	for (skip_inside(reader); *reader->at != ']'; n++) {
		if (n == KT_VALUETEXT_ITEMS_MAX)
			return refuse(reader, "a list of more than %d", KT_VALUETEXT_ITEMS_MAX);
		if ((n & (n - 1)) == 0)
			items = kt_must_realloc(items, n ? 2 * n : 1, sizeof(*items));
		if ((status = take_value(reader, &items[n])) < 0 ||
		    (status = take_comma(reader, ']')) < 0)
			return status;
	}
	*list = kt_value_list(reader->arena, n);
	if (n)
		memcpy(list->items, items, n * sizeof(*items));
	return 0;
}

static int add_pair(struct reader *reader, struct kt_value_pair **pairs, size_t n)
{
	const char *begin = reader->at;
	const char *key = NULL;
	int status = take_key(reader, &key);

	for (size_t i = 0; i < n && status == 0; i++) {
		if (strcmp((*pairs)[i].key, key) != 0)
			continue;
		reader->at = begin;
		return refuse(reader, "'%.64s' is there twice", key);
	}
	if (status == 0 && n == KT_VALUETEXT_ITEMS_MAX)
		return refuse(reader, "a table of more than %d", KT_VALUETEXT_ITEMS_MAX);
	if (status < 0)
		return status;
	if ((n & (n - 1)) == 0)
		*pairs = kt_must_realloc(*pairs, n ? 2 * n : 1, sizeof(**pairs));
	(*pairs)[n].key = key;
	return take_value(reader, &(*pairs)[n].value);
}

static void make_map(struct reader *reader, const struct kt_value_pair *pairs, size_t n,
		     struct kt_value *map)
{
	*map = kt_value_map(reader->arena, n);
	if (n)
		memcpy(map->pairs, pairs, n * sizeof(*pairs));
}

static int take_table(struct reader *reader, struct kt_value *table)
{
	KT_AUTO_FREE struct kt_value_pair *pairs = NULL;
	size_t n = 0;
	int status;

	for (skip_inside(reader); *reader->at != '}'; n++)
		if ((status = add_pair(reader, &pairs, n)) < 0 ||
		    (status = take_comma(reader, '}')) < 0)
			return status;
	make_map(reader, pairs, n, table);
	return 0;
}

/* Calls itself through the two above, no deeper than KT_VALUETEXT_DEPTH_MAX. */
static int take_value(struct reader *reader, struct kt_value *value)
{
	int status;

	if (*reader->at == '"' || *reader->at == '\'')
		return take_text(reader, value);
	if (*reader->at != '[' && *reader->at != '{')
		return take_word(reader, value);
	if (reader->depth++ == KT_VALUETEXT_DEPTH_MAX)
		return refuse(reader, "brackets deeper than %d", KT_VALUETEXT_DEPTH_MAX);
	status = *reader->at++ == '[' ? take_list(reader, value) : take_table(reader, value);
	if (status < 0)
		return status;
	reader->at++; /* the loops above end at the closing bracket */
	reader->depth--;
	return 0;
}

static int begin(struct reader *reader)
{
	if (strlen(reader->text) > KT_VALUETEXT_BYTES_MAX)
		return refuse(reader, "a text of more than %u bytes", KT_VALUETEXT_BYTES_MAX);
	skip_inside(reader);
	return 0;
}

int kt_valuetext_table(const char *text, struct kt_arena *arena, struct kt_value *table,
		       struct kt_err *err)
{
	struct reader reader = { .text = text, .at = text, .arena = arena, .err = err };
	KT_AUTO_FREE struct kt_value_pair *pairs = NULL;
	size_t n = 0;
	int status = begin(&reader);

	for (; status == 0 && *reader.at; n++) {
		status = add_pair(&reader, &pairs, n);
		if (status < 0)
			return status;
		skip(&reader, " \t\r");
		if (*reader.at && *reader.at != ',' && *reader.at != '\n')
			return refuse(&reader, "',' or a new line is expected");
		reader.at += *reader.at == ',';
		skip_inside(&reader);
	}
	if (status == 0)
		make_map(&reader, pairs, n, table);
	return status;
}

int kt_valuetext_value(const char *text, struct kt_arena *arena, struct kt_value *value,
		       struct kt_err *err)
{
	struct reader reader = { .text = text, .at = text, .arena = arena, .err = err };
	int status = begin(&reader);

	if (status == 0)
		status = take_value(&reader, value);
	if (status < 0)
		return status;
	skip_inside(&reader);
	return *reader.at ? refuse(&reader, "something behind the value") : 0;
}
