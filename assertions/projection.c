#include "assertions/projection.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text to steps ---- */

struct parser {
	const char *text;
	size_t at;
	struct kt_arena *arena;
	struct kt_projection *projection;
	struct kt_err *err;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct parser *parser, size_t at,
							const char *format, ...)
{
	char shown[KT_NAME_BYTES_MAX + 1]; /* as written, fit to be printed */
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(shown, sizeof(shown), "%s", parser->text);
	for (char *c = shown; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	parser->at = at;
	return kt_err_set(parser->err, KT_FAULT_INPUT, EINVAL, "'%s' at character %zu: %s", shown,
			  at + 1, text);
}

static int add_step(struct parser *parser, struct kt_projection_step step)
{
	struct kt_projection *projection = parser->projection;

	if (projection->n_steps == KT_PROJECTION_STEPS_MAX)
		return refuse(parser, parser->at, "more than %d steps", KT_PROJECTION_STEPS_MAX);
	step.end = parser->at;
	projection->steps[projection->n_steps++] = step;
	return 0;
}

/* Digits from *at up to the character `end`. */
static int parse_index(struct parser *parser, char end, uint64_t *index)
{
	size_t from = parser->at;
	uint64_t sum = 0;

	while (parser->text[parser->at] >= '0' && parser->text[parser->at] <= '9') {
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(parser->text[parser->at] - '0'), &sum))
			return refuse(parser, from, "the number is too large");
		parser->at++;
	}
	if (parser->at == from || parser->text[parser->at] != end)
		return refuse(parser, parser->at, "a whole number and '%c' belong here", end);
	parser->at++;
	*index = sum;
	return 0;
}

static int parse_bracket(struct parser *parser)
{
	size_t from = ++parser->at;
	size_t len = strcspn(parser->text + from, "]");
	const char *equals = memchr(parser->text + from, '=', len);
	struct kt_projection_step step = { .type = KT_PROJECTION_ENTRY };
	size_t name_len;
	int status;

	if (!equals) {
		step.type = KT_PROJECTION_INDEX;
		if (len && (parser->text[from] < '0' || parser->text[from] > '9'))
			return refuse(parser, from,
				      "an index is a whole number, an entry is [member=value]");
		status = parse_index(parser, ']', &step.index);
		return status < 0 ? status : add_step(parser, step);
	}
	name_len = (size_t)(equals - (parser->text + from));
	if (name_len == 0)
		return refuse(parser, from, "a member's name belongs before '='");
	if (len == name_len + 1)
		return refuse(parser, from + len, "a value belongs behind '='");
	if (parser->text[from + len] != ']')
		return refuse(parser, from + len, "']' is missing");
	step.name = kt_arena_copy(parser->arena, parser->text + from, name_len);
	step.value = kt_arena_copy(parser->arena, equals + 1, len - name_len - 1);
	parser->at = from + len + 1;
	return add_step(parser, step);
}

static int parse_item(struct parser *parser)
{
	static const struct {
		const char *name;
		enum kt_projection_step_type type;
	} operations[] = {
		{ "cpu_sum", KT_PROJECTION_CPU_SUM },
		{ "cpu_max", KT_PROJECTION_CPU_MAX },
		{ "cpu_min", KT_PROJECTION_CPU_MIN },
	};
	const char *name = parser->text + parser->at;
	size_t len = strcspn(name, ".[]()=");
	struct kt_projection_step step = { .type = KT_PROJECTION_MEMBER };
	int status;

	if (name[len] == '(' && len == 3 && memcmp(name, "cpu", 3) == 0) {
		if (parser->projection->n_steps == 0)
			return refuse(parser, parser->at, "a name belongs before cpu()");
		parser->at += 4;
		step.type = KT_PROJECTION_CPU;
		status = parse_index(parser, ')', &step.index);
		return status < 0 ? status : add_step(parser, step);
	}
	if (len == 0)
		return refuse(parser, parser->at, "a name belongs here");
	if (name[len] && !strchr(".[", name[len]))
		return refuse(parser, parser->at + len,
			      "unexpected '%c': items are name, [index], [member=value], cpu(n), "
			      "cpu_sum, cpu_max, cpu_min",
			      name[len]);
	step.name = kt_arena_copy(parser->arena, name, len);
	parser->at += len;
	/* At the start it can only be a variable of that name. */
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (parser->projection->n_steps && strcmp(step.name, operations[i].name) == 0)
			step.type = operations[i].type;
	return add_step(parser, step);
}

static int parse_axis(struct parser *parser)
{
	const char *const *names = kt_series_axis_names();
	size_t len = strcspn(parser->text, ":");
	KT_AUTO_BUF known = { 0 };
	const char *axis;

	if (!parser->text[len])
		return refuse(parser, 0,
			      "an axis and ':' belong before the path, for example bpf:%s",
			      parser->text);
	axis = kt_arena_copy(parser->arena, parser->text, len);
	for (enum kt_series_axis i = 0; i < KT_SERIES_AXIS_N; i++) {
		if (strcmp(axis, names[i]) != 0)
			continue;
		parser->projection->axis = i;
		parser->at = len + 1;
		return 0;
	}
	kt_suggest_print(axis, names, KT_SERIES_AXIS_N, &known);
	return refuse(parser, 0, "unknown axis '%s'; %s", axis, kt_buf_text(&known));
}

static int parse(struct parser *parser)
{
	int status;

	for (size_t i = 0; parser->text[i]; i++) {
		if (i == KT_NAME_BYTES_MAX)
			return refuse(parser, i, "longer than %d bytes", KT_NAME_BYTES_MAX);
		if ((unsigned char)parser->text[i] <= 0x20 || parser->text[i] == 0x7f)
			return refuse(parser, i, "a space or control character");
	}
	status = parse_axis(parser);
	if (status < 0)
		return status;
	status = parse_item(parser);
	while (status == 0 && parser->text[parser->at]) {
		switch (parser->text[parser->at]) {
		case '.':
			parser->at++;
			status = parse_item(parser);
			break;
		case '[':
			status = parse_bracket(parser);
			break;
		default:
			return refuse(parser, parser->at, "'.' or '[' belongs here");
		}
	}
	return status;
}

int kt_projection_parse(const char *text, struct kt_arena *arena, struct kt_projection *projection,
			size_t *at, struct kt_err *err)
{
	struct parser parser = { .arena = arena, .projection = projection, .err = err };
	int status;

	*projection = (struct kt_projection){ .text = kt_arena_strdup(arena, text) };
	projection->steps =
		kt_arena_alloc(arena, KT_PROJECTION_STEPS_MAX, sizeof(*projection->steps));
	parser.text = projection->text;
	status = parse(&parser);
	if (at)
		*at = status < 0 ? parser.at : 0;
	return status;
}

/* ---- steps to a number ---- */

#define SUGGESTED_MAX 1024 /* names that are looked through for an error's text */

/* Where a walk through one axis of one sample has come. It stands at one value, or, in a per-CPU
 * value that is not narrowed yet, at one value for each CPU.
 */
struct walk {
	const struct kt_projection *projection;
	struct kt_arena *arena; /* of errors */
	struct kt_arena *scratch; /* of this walk */
	size_t done; /* steps */
	const struct kt_value *one; /* NULL when it stands at many */
	const struct kt_value **many;
	size_t n;
	const struct kt_projection_step
		*narrow; /* how many become one at the end; NULL: not said */
	bool at_entries; /* of a map: one must be chosen first */
	bool percpu; /* the map's entries hold a list with a value for each CPU */
	const struct kt_column_error *error;
};

/* Always false, so that `return failed(...)` reads as what it is. */
__attribute__((format(printf, 3, 4))) static bool failed(struct walk *walk,
							 enum kt_column_error_type type,
							 const char *format, ...)
{
	const struct kt_projection *projection = walk->projection;
	struct kt_column_error *error = kt_arena_alloc(walk->arena, 1, sizeof(*error));
	size_t asked = strlen(projection->text);
	size_t reached = walk->done ? projection->steps[walk->done - 1].end : 0;
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error->type = type;
	if (reached > 0 && reached < asked)
		error->text = kt_arena_printf(walk->arena, "%s: %s: at %.*s: %s",
					      kt_column_error_name(type), projection->text,
					      (int)reached, projection->text, text);
	else
		error->text = kt_arena_printf(walk->arena, "%s: %s: %s", kt_column_error_name(type),
					      projection->text, text);
	walk->error = error;
	return false;
}

static const char *describe(struct walk *walk, const struct kt_value *value)
{
	KT_AUTO_BUF text = { 0 };

	switch (value->type) {
	case KT_VALUE_NIL:
		return "nothing";
	case KT_VALUE_LIST:
		return kt_arena_printf(walk->scratch, "a list of %" PRIu32, value->n);
	case KT_VALUE_MAP:
		return kt_arena_printf(walk->scratch, "a map of %" PRIu32, value->n);
	default:
		kt_value_print(value, 64, &text);
		return kt_arena_printf(walk->scratch, "the %s %s", kt_value_type_name(value->type),
				       kt_buf_text(&text));
	}
}

static const char *there_is(struct walk *walk, const char *word, const char *const *names, size_t n)
{
	KT_AUTO_BUF text = { 0 };

	kt_suggest_print(word, names, n, &text);
	return kt_arena_strdup(walk->scratch, kt_buf_text(&text));
}

static bool member_not_found(struct walk *walk, const struct kt_value *map, const char *name)
{
	size_t n = map->n < SUGGESTED_MAX ? map->n : SUGGESTED_MAX;
	const char **names = kt_arena_alloc(walk->scratch, n, sizeof(*names));

	for (size_t i = 0; i < n; i++)
		names[i] = map->pairs[i].key;
	return failed(walk, KT_COLUMN_ERROR_MEMBER_NOT_FOUND, "no member '%s'; %s", name,
		      there_is(walk, name, names, n));
}

/* An entry's member as written between '=' and ']': texts as texts, numbers as numbers. */
static bool spells(const struct kt_value *value, const char *text)
{
	const struct kt_value written = { .type = KT_VALUE_STR,
					  .n = (uint32_t)strlen(text),
					  .str = text };
	struct kt_number a;
	struct kt_number b;

	if (value->type == KT_VALUE_STR)
		return strcmp(value->str, text) == 0;
	if (value->type == KT_VALUE_BOOL)
		return strcmp(value->boolean ? "true" : "false", text) == 0;
	return kt_number_from_value(value, KT_NUMBER_WANT_ANY, &a) &&
	       kt_number_from_value(&written, KT_NUMBER_WANT_ANY, &b) && !kt_number_is_nan(&a) &&
	       kt_number_compare(&a, &b) == 0;
}

static bool find_entry(struct walk *walk, const struct kt_projection_step *step,
		       const struct kt_value *list, const struct kt_value **found)
{
	KT_AUTO_BUF seen = { 0 };

	for (uint32_t i = 0; i < list->n; i++) {
		const struct kt_value *member = kt_value_get(&list->items[i], step->name);

		if (!member)
			continue;
		if (spells(member, step->value)) {
			*found = &list->items[i];
			return true;
		}
		if (seen.len < KT_PROJECTION_AVAILABLE_MAX) {
			kt_buf_puts(&seen, seen.len ? ", " : "");
			kt_value_print(member, 64, &seen);
		}
	}
	return failed(walk, KT_COLUMN_ERROR_ENTRY_NOT_FOUND,
		      "none of %" PRIu32 " entries has %s = %s; there is: %s", list->n, step->name,
		      step->value, seen.len ? kt_buf_text(&seen) : "none");
}

/* One step from one value: what MEMBER, INDEX and ENTRY mean. */
static bool step_from(struct walk *walk, const struct kt_projection_step *step,
		      const struct kt_value *from, const struct kt_value **to)
{
	if (from->type == KT_VALUE_NIL)
		return failed(walk, KT_COLUMN_ERROR_NO_VALUE, "nothing could be read there");
	if (step->name && step->type != KT_PROJECTION_ENTRY) {
		if (from->type != KT_VALUE_MAP)
			return failed(walk, KT_COLUMN_ERROR_NOT_A_MAP,
				      "'%s' is asked of %s, which has no members", step->name,
				      describe(walk, from));
		*to = kt_value_get(from, step->name);
		return *to ? true : member_not_found(walk, from, step->name);
	}
	if (from->type != KT_VALUE_LIST)
		return failed(walk, KT_COLUMN_ERROR_NOT_A_LIST,
			      "an item is asked of %s, which has none", describe(walk, from));
	if (step->type == KT_PROJECTION_ENTRY)
		return find_entry(walk, step, from, to);
	if (step->index >= from->n)
		return failed(walk, KT_COLUMN_ERROR_INDEX_OUT_OF_RANGE,
			      "[%" PRIu64 "] of %" PRIu32 " items", step->index, from->n);
	*to = &from->items[step->index];
	return true;
}

/* From one list to its items, one for each CPU. */
static void fan_out(struct walk *walk)
{
	const struct kt_value *list = walk->one;

	walk->many = kt_arena_alloc(walk->scratch, list->n, sizeof(struct kt_value *));
	walk->n = list->n;
	for (size_t i = 0; i < walk->n; i++)
		walk->many[i] = &list->items[i];
	walk->one = NULL;
	walk->percpu = false;
}

static bool narrow(struct walk *walk, const struct kt_projection_step *step)
{
	if (walk->one && walk->one->type == KT_VALUE_NIL)
		return failed(walk, KT_COLUMN_ERROR_NO_VALUE, "nothing could be read there");
	if (walk->at_entries)
		return failed(walk, KT_COLUMN_ERROR_NOT_NARROWED,
			      "choose one of the map's entries first: [index] or [member=value]");
	if (walk->one && walk->one->type == KT_VALUE_LIST)
		fan_out(walk);
	if (walk->one || walk->narrow)
		return failed(walk, KT_COLUMN_ERROR_NOT_A_LIST,
			      "CPUs are asked of %s, which is no value per CPU",
			      walk->one ? describe(walk, walk->one) : "one number");
	if (step->type != KT_PROJECTION_CPU) {
		walk->narrow = step;
		return true;
	}
	if (step->index >= walk->n)
		return failed(walk, KT_COLUMN_ERROR_CPU_NOT_FOUND, "CPU %" PRIu64 " of %zu",
			      step->index, walk->n);
	walk->one = walk->many[step->index];
	return true;
}

static bool take_step(struct walk *walk, const struct kt_projection_step *step)
{
	bool operation = step->type >= KT_PROJECTION_CPU;

	if (walk->one && walk->one->type == KT_VALUE_MAP && operation && step->name &&
	    kt_value_get(walk->one, step->name))
		operation = false; /* a member that is called like it */
	if (operation)
		return narrow(walk, step);
	if (!walk->one) {
		for (size_t i = 0; i < walk->n; i++)
			if (!step_from(walk, step, walk->many[i], &walk->many[i]))
				return false;
		return true;
	}
	if (!step_from(walk, step, walk->one, &walk->one))
		return false;
	walk->at_entries = false;
	if (walk->percpu && walk->one->type == KT_VALUE_LIST)
		fan_out(walk);
	return true;
}

/* What the first name of a path on the bpf axis can mean. */
struct hit {
	const struct kt_value *map;
	const struct kt_value *value; /* a variable; NULL: the map itself */
	size_t steps; /* of the path that it takes */
};

static const char *map_text(const struct kt_value *map, const char *key)
{
	const struct kt_value *text = kt_value_get(map, key);

	return text && text->type == KT_VALUE_STR ? text->str : "";
}

static bool map_runs(const struct kt_value *map)
{
	const struct kt_value *running = kt_value_get(map, "running");

	return running && running->type == KT_VALUE_BOOL && running->boolean;
}

/* How many steps spell the map's name ("scx_kt.bss" is two); 0 when they do not. */
static size_t steps_of_name(const struct kt_projection *projection, const char *name)
{
	size_t start = strlen(kt_series_axis_name(projection->axis)) + 1;
	size_t len = strlen(name);

	if (len == 0 || strncmp(projection->text + start, name, len) != 0)
		return 0;
	for (size_t i = 0; i < projection->n_steps; i++)
		if (projection->steps[i].end == start + len)
			return i + 1;
	return 0;
}

static bool ambiguous(struct walk *walk, const struct hit *hits, size_t n)
{
	KT_AUTO_BUF list = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (list.len > KT_PROJECTION_AVAILABLE_MAX) {
			kt_buf_printf(&list, " and %zu more", n - i);
			break;
		}
		kt_buf_printf(&list, "%s%.*s%s", i ? ", " : "", KT_NAME_BYTES_MAX,
			      map_text(hits[i].map, "name"),
			      map_runs(hits[i].map) ? " (running)" : "");
	}
	return failed(walk, KT_COLUMN_ERROR_AMBIGUOUS_VAR,
		      "'%s' is in %zu maps: %s; write the map's name before it",
		      walk->projection->steps[0].name, n, kt_buf_text(&list));
}

static bool var_not_found(struct walk *walk, const struct kt_value *maps)
{
	const char **names = kt_arena_alloc(walk->scratch, SUGGESTED_MAX, sizeof(*names));
	size_t n = 0;

	/* The running scheduler's come first: what is cut off at the end matters least. */
	for (int running = 1; running >= 0; running--) {
		for (uint32_t i = 0; maps && i < maps->n; i++) {
			const struct kt_value *map = &maps->items[i];
			const struct kt_value *vars = kt_value_get(map, "vars");

			if (map_runs(map) != running)
				continue;
			if (!vars && n < SUGGESTED_MAX && *map_text(map, "name"))
				names[n++] = map_text(map, "name");
			for (uint32_t j = 0;
			     vars && vars->type == KT_VALUE_MAP && j < vars->n && n < SUGGESTED_MAX;
			     j++)
				names[n++] = vars->pairs[j].key;
		}
	}
	return failed(walk, KT_COLUMN_ERROR_VAR_NOT_FOUND, "no variable or map '%s'; %s",
		      walk->projection->steps[0].name,
		      there_is(walk, walk->projection->steps[0].name, names, n));
}

/* Maps named outright with a dot are meant for sure; a bare word is a variable or a map. */
static size_t find_hits(struct walk *walk, const struct kt_value *maps, struct hit *hits)
{
	const char *name = walk->projection->steps[0].name;
	bool outright = false;
	size_t n = 0;

	for (uint32_t i = 0; i < maps->n; i++) {
		const struct kt_value *map = &maps->items[i];
		const struct kt_value *vars = kt_value_get(map, "vars");
		struct hit hit = { .map = map };

		hit.steps = steps_of_name(walk->projection, map_text(map, "name"));
		if (hit.steps > 1 && !outright) {
			outright = true;
			n = 0;
		}
		if (outright && hit.steps <= 1)
			continue;
		if (hit.steps == 0 && vars) {
			hit.value = kt_value_get(vars, name);
			hit.steps = hit.value != NULL;
		}
		if (hit.steps)
			hits[n++] = hit;
	}
	return n;
}

/* Takes as many steps as the chosen variable or map is named by. */
static bool enter_bpf(struct walk *walk, const struct kt_value *root)
{
	const struct kt_value *maps = kt_value_get(root, "maps");
	const struct hit *chosen = NULL;
	struct hit *hits;
	size_t n;
	size_t n_running = 0;

	if (maps && maps->type != KT_VALUE_LIST)
		maps = NULL;
	hits = kt_arena_alloc(walk->scratch, maps ? maps->n : 0, sizeof(*hits));
	n = maps ? find_hits(walk, maps, hits) : 0;
	if (n == 0)
		return var_not_found(walk, maps);
	for (size_t i = 0; i < n; i++) {
		if (!map_runs(hits[i].map))
			continue;
		n_running++;
		chosen = &hits[i];
	}
	if (n == 1)
		chosen = &hits[0];
	else if (n_running != 1)
		return ambiguous(walk, hits, n);
	walk->done = chosen->steps;
	walk->one = chosen->value;
	if (walk->one)
		return true;
	walk->one = kt_value_get(chosen->map, "vars");
	if (walk->one)
		return true;
	walk->one = kt_value_get(chosen->map, "entries");
	walk->at_entries = true;
	walk->percpu = strstr(map_text(chosen->map, "type"), "percpu") != NULL;
	if (walk->one && walk->one->type == KT_VALUE_LIST)
		return true;
	return failed(walk, KT_COLUMN_ERROR_NO_VALUE, "maps of type '%s' are not read",
		      map_text(chosen->map, "type"));
}

static bool to_number(struct walk *walk, const struct kt_value *value, enum kt_number_want want,
		      const char *whose, struct kt_number *number)
{
	if (value->type == KT_VALUE_NIL)
		return failed(walk, KT_COLUMN_ERROR_NO_VALUE, "nothing could be read there%s",
			      whose);
	if (kt_number_from_value(value, want, number))
		return true;
	return failed(walk, KT_COLUMN_ERROR_TYPE_MISMATCH, "%s%s is no %s", describe(walk, value),
		      whose, kt_number_want_name(want));
}

/* a, or b when it is larger (max) or smaller; NaN wins over everything, so that it is seen. */
static struct kt_number extreme(const struct kt_number *a, const struct kt_number *b, bool max)
{
	if (kt_number_is_nan(a) || kt_number_is_nan(b))
		return kt_number_is_nan(a) ? *a : *b;
	return (kt_number_compare(b, a) > 0) == max && kt_number_compare(b, a) != 0 ? *b : *a;
}

static bool reduce(struct walk *walk, struct kt_number *result)
{
	const struct kt_projection_step *how = walk->narrow;

	if (!how)
		return failed(walk, KT_COLUMN_ERROR_NOT_NARROWED,
			      "a value for each of %zu CPUs: add .cpu(n), .cpu_sum, .cpu_max or "
			      ".cpu_min",
			      walk->n);
	if (how->type != KT_PROJECTION_CPU_SUM && walk->n == 0)
		return failed(walk, KT_COLUMN_ERROR_NO_CPUS, "%s of no CPUs", how->name);
	*result = kt_number_u64(0);
	for (size_t i = 0; i < walk->n; i++) {
		struct kt_number number;
		char whose[32];

		snprintf(whose, sizeof(whose), " of CPU %zu", i);
		if (!to_number(walk, walk->many[i], KT_NUMBER_WANT_ANY, whose, &number))
			return false;
		if (how->type != KT_PROJECTION_CPU_SUM)
			*result = i ? extreme(result, &number, how->type == KT_PROJECTION_CPU_MAX)
				    : number;
		else if (!kt_number_add(result, &number, result))
			return failed(walk, KT_COLUMN_ERROR_OVERFLOW,
				      "the sum over %zu CPUs needs more than 64 bits", walk->n);
	}
	return true;
}

static struct kt_value as_value(const struct kt_number *number)
{
	switch (number->type) {
	case KT_NUMBER_U64:
		return kt_value_u64(number->u64);
	case KT_NUMBER_I64:
		return kt_value_i64(number->i64);
	case KT_NUMBER_F64:
		return kt_value_f64(number->f64);
	case KT_NUMBER_BOOL:
		return kt_value_bool(number->boolean);
	}
	return kt_value_nil();
}

static bool walk_axis(struct walk *walk, const struct kt_value *root, enum kt_number_want want,
		      struct kt_number *number)
{
	const struct kt_projection *projection = walk->projection;
	struct kt_value reduced;

	walk->one = root;
	if (projection->axis == KT_SERIES_AXIS_BPF && !enter_bpf(walk, root))
		return false;
	while (walk->done < projection->n_steps) {
		if (!take_step(walk, &projection->steps[walk->done]))
			return false;
		walk->done++;
	}
	if (walk->one)
		return to_number(walk, walk->one, want, "", number);
	if (!reduce(walk, number))
		return false;
	reduced = as_value(number);
	return to_number(walk, &reduced, want, "", number);
}

static bool read_sample(struct walk *walk, const struct kt_msg_sample *sample,
			enum kt_number_want want, struct kt_number *number)
{
	const char *name = kt_series_axis_name(walk->projection->axis);
	const struct kt_msg_axis *axis = kt_series_axis_of(sample, walk->projection->axis);

	if (*sample->placeholder)
		return failed(walk, KT_COLUMN_ERROR_PLACEHOLDER, "%.512s", sample->placeholder);
	if (!axis) {
		KT_AUTO_BUF list = { 0 };

		for (size_t i = 0; i < sample->n_axes; i++)
			kt_buf_printf(&list, "%s%s", i ? ", " : "", sample->axes[i].name);
		return failed(walk, KT_COLUMN_ERROR_AXIS_MISSING,
			      "the sample has no axis '%s'; there is: %s", name,
			      list.len ? kt_buf_text(&list) : "none");
	}
	if (strcmp(axis->error, KT_PROJECTION_NOT_APPLICABLE) == 0)
		return failed(walk, KT_COLUMN_ERROR_NOT_APPLICABLE, "%.512s",
			      *axis->text ? axis->text : "the cell has nothing to read there");
	if (*axis->error)
		return failed(walk, KT_COLUMN_ERROR_AXIS_ERROR, "%s%s%.512s", axis->error,
			      *axis->text ? ": " : "", axis->text);
	return walk_axis(walk, &axis->value, want, number);
}

void kt_projection_column(const struct kt_projection *projection, const struct kt_series *series,
			  enum kt_number_want want, struct kt_arena *arena,
			  struct kt_column *column)
{
	struct kt_column_slot *slots = kt_arena_alloc(arena, series->n, sizeof(*slots));
	KT_AUTO_ARENA scratch = { 0 };

	kt_must(!arena->max);
	kt_must(projection->n_steps > 0);
	for (size_t i = 0; i < series->n; i++) {
		const struct kt_msg_sample *sample = kt_series_at(series, i);
		struct walk walk = { .projection = projection,
				     .arena = arena,
				     .scratch = &scratch };
		struct kt_number number;

		slots[i].elapsed_ns = sample->elapsed_ns;
		slots[i].tag = sample->tag;
		slots[i].step = (uint32_t)sample->step;
		slots[i].epoch = (uint16_t)sample->epoch;
		if (read_sample(&walk, sample, want, &number))
			kt_column_slot_set(&slots[i], &number);
		else
			kt_column_slot_fail(&slots[i], walk.error);
		kt_arena_reset(&scratch);
	}
	*column = (struct kt_column){ .slots = slots, .n = series->n };
}
