#include "assertions/metric.h"
#include "proto/base/must.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FLAGS          (REG_EXTENDED | REG_NEWLINE)
#define LISTED_BYTES   120 /* of what there is where a path goes astray */
#define SHOWN_BYTES    60 /* of a text that is no number */
#define PATH_DEPTH_MAX 32

/* ---- numbers ---- */

/* What a program prints as a number: as in assertions/number.h, and what is none. */
static bool read_number(const struct kt_value *value, struct kt_number *number)
{
	if (kt_number_from_value(value, KT_NUMBER_WANT_ANY, number))
		return true;
	if (value->type != KT_VALUE_STR)
		return false;
	if (strcasecmp(value->str, "nan") == 0 || strcasecmp(value->str, "-nan") == 0)
		*number = kt_number_f64((double)NAN);
	else if (strcasecmp(value->str, "inf") == 0)
		*number = kt_number_f64((double)INFINITY);
	else if (strcasecmp(value->str, "-inf") == 0)
		*number = kt_number_f64((double)-INFINITY);
	else
		return false;
	return true;
}

static void take(const struct kt_value *from, const char *what, struct kt_arena *arena,
		 struct kt_metric_value *value)
{
	KT_AUTO_BUF shown = { 0 };

	value->is_there = read_number(from, &value->number);
	if (value->is_there)
		return;
	kt_value_print(from, SHOWN_BYTES, &shown);
	value->why = kt_arena_printf(arena, "%s is %s, no number", what, kt_buf_text(&shown));
}

static const char *cut_words(const struct kt_metric_output *output, struct kt_arena *arena)
{
	if (output->out_bytes <= output->out.len)
		return "";
	return kt_arena_printf(arena, " (%zu of its %llu bytes were kept)", output->out.len,
			       (unsigned long long)output->out_bytes);
}

/* ---- json ---- */

int kt_metric_check_json(const char *path, struct kt_err *err)
{
	size_t depth = 1;

	for (const char *at = path; *at; at++)
		depth += *at == '.' || *at == '[';
	if (!*path || *path == '.' || path[strlen(path) - 1] == '.' || strstr(path, ".."))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "members with one '.' between; e.g. \"stressors[0].rate\"");
	if (depth > PATH_DEPTH_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "more than %d members",
				  PATH_DEPTH_MAX);
	return 0;
}

struct walk {
	const char *path;
	const struct kt_value *deepest; /* how far it got */
	size_t reached; /* bytes of the path */
};

/* Whether an item's name ends here. */
static bool is_end(char c)
{
	return c == 0 || c == '.' || c == '[';
}

static const struct kt_value *walk_from(struct walk *walk, const struct kt_value *value, size_t at);

static const struct kt_value *walk_list(struct walk *walk, const struct kt_value *list, size_t at)
{
	bool brackets = walk->path[at] == '[';
	const char *digits = walk->path + at + brackets;
	size_t n = strspn(digits, "0123456789");
	unsigned long long index = strtoull(digits, NULL, 10);

	if (n == 0 || n > 9 || index >= list->n)
		return NULL;
	if (brackets && digits[n] != ']')
		return NULL;
	at += n + (brackets ? 2 : 0);
	return is_end(walk->path[at]) ? walk_from(walk, &list->items[index], at) : NULL;
}

/* A name may have dots in it, so every member that the path could mean is looked into: each value of the tree
 * at most once, as its place in the tree is one text.
 */
static const struct kt_value *walk_map(struct walk *walk, const struct kt_value *map, size_t at)
{
	for (uint32_t i = 0; i < map->n; i++) {
		size_t len = strlen(map->pairs[i].key);
		const struct kt_value *found;

		if (len == 0 || strncmp(walk->path + at, map->pairs[i].key, len) != 0 ||
		    !is_end(walk->path[at + len]))
			continue;
		found = walk_from(walk, &map->pairs[i].value, at + len);
		if (found)
			return found;
	}
	return NULL;
}

/* at: behind what led to the value. As deep as the tree, which has a limit. */
static const struct kt_value *walk_from(struct walk *walk, const struct kt_value *value, size_t at)
{
	if (at >= walk->reached) {
		walk->deepest = value;
		walk->reached = at;
	}
	if (!walk->path[at])
		return value;
	at += walk->path[at] == '.';
	if (value->type == KT_VALUE_LIST)
		return walk_list(walk, value, at);
	return value->type == KT_VALUE_MAP ? walk_map(walk, value, at) : NULL;
}

static void put_available(const struct kt_value *value, struct kt_buf *out)
{
	if (value->type == KT_VALUE_LIST) {
		kt_buf_printf(out, "%u items", value->n);
		return;
	}
	if (value->type != KT_VALUE_MAP) {
		kt_buf_printf(out, "nothing below it, it is %s", kt_value_type_name(value->type));
		return;
	}
	for (uint32_t i = 0; i < value->n; i++) {
		if (out->len > LISTED_BYTES) {
			kt_buf_printf(out, " and %u more", value->n - i);
			return;
		}
		kt_buf_printf(out, "%s%.*s", i ? ", " : "", LISTED_BYTES, value->pairs[i].key);
	}
}

static void read_json(const struct kt_metric *metric, const struct kt_metric_output *output,
		      struct kt_arena *arena, struct kt_metric_value *value)
{
	struct walk walk = { .path = metric->json };
	const struct kt_value *found;
	KT_AUTO_BUF there = { 0 };

	if (!output->tree) {
		value->why = kt_arena_printf(arena, "its output is no JSON: %s%s", output->no_tree,
					     cut_words(output, arena));
		return;
	}
	found = walk_from(&walk, output->tree, 0);
	if (found) {
		take(found, metric->json, arena, value);
		return;
	}
	put_available(walk.deepest, &there);
	value->why = kt_arena_printf(arena, "there is no %s in its output; %s%.*s has %s",
				     metric->json, walk.reached ? "" : "the top of it",
				     (int)walk.reached, metric->json, kt_buf_text(&there));
}

/* ---- pattern ---- */

/* What a pattern costs: libc makes an automaton in which everything that is repeated stands as often as it is
 * repeated, what stands before '+' twice; and where repeats are repeated its time doubles with each. Every level
 * of parentheses has a sum.
 */
struct cost {
	struct {
		unsigned long sum;
		unsigned long last; /* of the piece that a repeat would repeat */
	} levels[KT_METRIC_PATTERN_BYTES_MAX + 1];
	size_t depth;
};

/* "{2,30}" is 30 times, "{2,}" 3; *at ends at the brace that closes. */
static unsigned long times(const char **at)
{
	unsigned long least = strtoul(*at + 1, (char **)at, 10);
	unsigned long most = least;

	if (**at == ',')
		most = isdigit((unsigned char)(*at)[1]) ? strtoul(*at + 1, (char **)at, 10)
							: least + (least < ULONG_MAX);
	while (**at && **at != '}' && (*at)[1])
		++*at;
	return most > KT_METRIC_COST_MAX ? KT_METRIC_COST_MAX + 1 : most > 1 ? most : 1;
}

/* "[^]a[:digit:]]"; returns its last character. */
static const char *skip_set(const char *at)
{
	at += at[1] == '^' ? 2 : 1;
	if (*at == ']')
		at++;
	for (; *at && *at != ']'; at++) {
		const char *end = NULL;

		if (*at == '[' && at[1] && strchr(":.=", at[1]))
			end = strstr(at + 2, (const char[]){ at[1], ']', 0 });
		if (end)
			at = end + 1;
	}
	return *at ? at : at - 1;
}

static void put_piece(struct cost *cost, unsigned long last)
{
	cost->levels[cost->depth].sum += last;
	cost->levels[cost->depth].last = last;
}

static void repeat(struct cost *cost, unsigned long factor)
{
	unsigned long last = cost->levels[cost->depth].last;

	if (last == 0) { /* nothing stands before it: it means itself */
		put_piece(cost, 1);
		return;
	}
	cost->levels[cost->depth].sum += last * (factor - 1);
	cost->levels[cost->depth].last = last * factor;
}

static const char *put_next(struct cost *cost, const char *at)
{
	switch (*at) {
	case '(':
		cost->levels[++cost->depth].sum = 0;
		cost->levels[cost->depth].last = 0;
		break;
	case ')':
		if (cost->depth > 0)
			cost->depth--;
		put_piece(cost, cost->levels[cost->depth + 1].sum + 1);
		break;
	case '|':
		cost->levels[cost->depth].last = 0;
		break;
	case '*':
	case '?':
	case '+':
		repeat(cost, 2);
		break;
	case '{':
		repeat(cost, times(&at));
		break;
	case '[':
		at = skip_set(at);
		put_piece(cost, 1);
		break;
	default:
		put_piece(cost, 1);
	}
	return at;
}

static int check_cost(const char *pattern, struct kt_err *err)
{
	struct cost cost = { .depth = 0 };
	bool was_repeat = false;

	for (const char *at = pattern; *at; at++) {
		bool is_repeat = strchr("*+?{", *at);

		/* What a matcher of automata cannot do without a search. */
		if (*at == '\\' && isdigit((unsigned char)at[1]))
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "no back-references (\\%c)",
					  at[1]);
		/* POSIX does not say what it means, and libc takes for ever. */
		if (is_repeat && was_repeat)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "a repeat behind a repeat");
		was_repeat = is_repeat;
		if (*at == '\\' && at[1]) {
			at++;
			put_piece(&cost, 1);
		} else {
			at = put_next(&cost, at);
		}
		if (cost.levels[cost.depth].sum > KT_METRIC_COST_MAX)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "its repeats come to more than %d", KT_METRIC_COST_MAX);
	}
	return 0;
}

int kt_metric_check_pattern(const char *pattern, struct kt_err *err)
{
	char why[128];
	regex_t regex;
	int status;

	if (!*pattern || strlen(pattern) > KT_METRIC_PATTERN_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "of 1 to %d bytes",
				  KT_METRIC_PATTERN_BYTES_MAX);
	status = check_cost(pattern, err);
	if (status < 0)
		return status;
	status = regcomp(&regex, pattern, FLAGS);
	if (status) {
		regerror(status, &regex, why, sizeof(why));
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s", why);
	}
	regfree(&regex);
	return 0;
}

/* Whoever matches across lines may look at every pair of bytes; within one at those of a line. */
static void keep_end(struct kt_buf *kept)
{
	size_t begin = kept->len - KT_METRIC_ACROSS_BYTES_MAX;
	const uint8_t *end = memchr(kept->data + begin - 1, '\n', kept->len - begin + 1);

	kt_buf_consume(kept, end ? (size_t)(end - kept->data) + 1 : kept->len);
}

/* The lines that are looked at, without 0 bytes. */
static void keep_lines(const struct kt_bin *text, bool across, struct kt_buf *kept)
{
	for (size_t at = 0; at < text->len;) {
		const uint8_t *line = text->data + at;
		const uint8_t *end = memchr(line, '\n', text->len - at);
		size_t len = end ? (size_t)(end - line) + 1 : text->len - at;

		if (len <= KT_METRIC_LINE_BYTES_MAX)
			kt_buf_append(kept, line, len);
		at += len;
	}
	if (across && kept->len > KT_METRIC_ACROSS_BYTES_MAX)
		keep_end(kept);
	for (size_t i = 0; i < kept->len; i++)
		if (kept->data[i] == 0)
			kept->data[i] = ' ';
}

static bool match_in(const regex_t *regex, const char *pattern, const struct kt_bin *text,
		     struct kt_arena *arena, struct kt_metric_value *value)
{
	KT_AUTO_BUF kept = { 0 };
	struct kt_value number = { .type = KT_VALUE_STR };
	regmatch_t match[2];
	size_t which;

	keep_lines(text, strchr(pattern, '\n') != NULL, &kept);
	if (regexec(regex, kt_buf_text(&kept), 2, match, 0) != 0)
		return false;
	which = regex->re_nsub > 0;
	if (match[which].rm_so >= 0) {
		number.n = (uint32_t)(match[which].rm_eo - match[which].rm_so);
		number.str = kt_arena_copy(arena, kept.data + match[which].rm_so, number.n);
	} else { /* of "(a)|b" the b */
		number.str = "";
	}
	take(&number, kt_arena_printf(arena, "what \"%s\" matches", pattern), arena, value);
	return true;
}

static void read_pattern(const struct kt_metric *metric, const struct kt_metric_output *output,
			 struct kt_arena *arena, struct kt_metric_value *value)
{
	regex_t regex;

	kt_must(regcomp(&regex, metric->pattern, FLAGS) == 0); /* it was checked */
	if (!match_in(&regex, metric->pattern, &output->out, arena, value) &&
	    !match_in(&regex, metric->pattern, &output->errors, arena, value))
		value->why = kt_arena_printf(arena, "nothing in its output matches \"%s\"%s",
					     metric->pattern, cut_words(output, arena));
	regfree(&regex);
}

void kt_metric_read(const struct kt_metric *metric, const struct kt_metric_output *output,
		    struct kt_arena *arena, struct kt_metric_value *value)
{
	*value = (struct kt_metric_value){ .why = "" };
	if (metric->json)
		read_json(metric, output, arena, value);
	else
		read_pattern(metric, output, arena, value);
}
