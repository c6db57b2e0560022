#include "coordinator/core/matrix/cpusettext.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define SHAPES \
	"llc(i), numa(i), range(a, b), disjoint(i, of), overlap(i, of, f) or CPUs as in 0-3,5"

/* What stands between the brackets: i a number, of another, f a share from 0 to 1, a and b two. */
static const struct kind {
	const char *name;
	const char *shape; /* I: index; O: of; F: from_ppm; T: to_ppm */
	const char *example;
} kinds[] = {
	{ "llc", "I", "llc(0)" },
	{ "numa", "I", "numa(0)" },
	{ "range", "FT", "range(0, 0.5)" },
	{ "disjoint", "IO", "disjoint(0, 2)" },
	{ "overlap", "IOF", "overlap(0, 2, 0.5)" },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " ");
}

static bool take_number(const char **at, uint64_t *number)
{
	const char *from = *at;

	*number = 0;
	for (; isdigit((unsigned char)**at); (*at)++)
		if (*at - from < 4)
			*number = *number * 10 + (uint64_t)(**at - '0');
	return *at > from && *at - from < 4 && *number <= KT_GUEST_CPUS_MAX;
}

/* "0.5", "1", ".25" is none: at most six digits after the point, exactly. */
static bool take_share(const char **at, uint64_t *ppm)
{
	uint64_t scale = KT_CPUSET_PPM;

	if (!take_number(at, ppm) || *ppm > 1)
		return false;
	*ppm *= KT_CPUSET_PPM;
	if (**at == '.') {
		const char *point = (*at)++;

		for (; isdigit((unsigned char)**at) && scale > 1; (*at)++) {
			scale /= 10;
			*ppm += (uint64_t)(**at - '0') * scale;
		}
		if (*at == point + 1)
			return false;
	}
	return *ppm <= KT_CPUSET_PPM;
}

/* "(0, 2)", all of the text. */
static bool take_arguments(const char *at, const struct kind *kind, struct kt_msg_cpuset *spec)
{
	for (const char *what = kind->shape; *what; what++) {
		bool ok;

		if (*at++ != (what == kind->shape ? '(' : ','))
			return false;
		skip_blanks(&at);
		ok = *what == 'I'   ? take_number(&at, &spec->index)
		     : *what == 'O' ? take_number(&at, &spec->of)
		     : *what == 'F' ? take_share(&at, &spec->from_ppm)
				    : take_share(&at, &spec->to_ppm);
		if (!ok)
			return false;
		skip_blanks(&at);
	}
	return strcmp(at, ")") == 0;
}

static const char *nonsense(const struct kt_msg_cpuset *spec)
{
	if (strcmp(spec->kind, "range") == 0 && spec->from_ppm >= spec->to_ppm)
		return "a range begins before it ends";
	if (strcmp(spec->kind, "disjoint") != 0 && strcmp(spec->kind, "overlap") != 0)
		return NULL;
	if (spec->of == 0)
		return "there are no 0 parts";
	return spec->index < spec->of ? NULL : "parts are counted from 0";
}

static int parse_kind(const char *text, const struct kind *kind, struct kt_msg_cpuset *spec,
		      struct kt_err *err)
{
	const char *why;

	spec->kind = kind->name;
	if (!take_arguments(text + strlen(kind->name), kind, spec))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%.64s' does not read; shares are numbers from 0 to 1, the rest "
				  "whole ones, e.g. \"%s\"",
				  text, kind->example);
	why = nonsense(spec);
	if (why)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%.64s': %s; e.g. \"%s\"", text,
				  why, kind->example);
	return 0;
}

int kt_cpusettext_parse(const char *text, struct kt_msg_cpuset *spec, struct kt_err *err)
{
	size_t len = strcspn(text, "(");
	struct kt_cpuset set;

	*spec = (struct kt_msg_cpuset){ .kind = "exact", .list = "" };
	for (size_t i = 0; i < N_KINDS; i++)
		if (text[len] == '(' && strlen(kinds[i].name) == len &&
		    strncmp(text, kinds[i].name, len) == 0)
			return parse_kind(text, &kinds[i], spec, err);
	if (text[strspn(text, "0123456789,-")] || kt_cpuset_parse(text, &set) < 0 ||
	    kt_cpuset_count(&set) == 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%.64s' names no CPUs; there is %s",
				  text, SHAPES);
	spec->list = text;
	return 0;
}

void kt_cpusettext_set(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_msg_cpuset **one = (void *)((char *)into + key->offset);
	const char *text = kt_grammar_check_text(reader, key, node);
	struct kt_msg_cpuset spec;
	struct kt_err err = { 0 };

	if (!text)
		return;
	if (kt_cpusettext_parse(text, &spec, &err) < 0)
		kt_problem_add(reader->problems, node->pos, "'%s' in %s: %s", key->name,
			       reader->table->title, err.text);
	else
		*one = kt_arena_copy(reader->arena, &spec, sizeof(spec));
}
