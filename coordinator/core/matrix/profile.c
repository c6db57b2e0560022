#include "coordinator/core/matrix/profile.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rows.h"
#include "proto/base/buf.h"
#include "proto/base/must.h"

#include <string.h>

/* The rules of one scheduler's flags as bits. */
struct rules {
	size_t n;
	uint32_t needs[KT_PROFILE_FLAGS_MAX];
	uint32_t bans[KT_PROFILE_FLAGS_MAX];
};

static bool holds(const struct rules *rules, uint32_t given)
{
	for (size_t i = 0; i < rules->n; i++)
		if (given & 1u << i &&
		    ((given & rules->needs[i]) != rules->needs[i] || given & rules->bans[i]))
			return false;
	return true;
}

/* ---- rules ---- */

/* Names that a flag's requires or excludes lists; what is none of the scheduler's flags is a problem. */
static uint32_t bits_of(struct kt_grammar_reader *reader,
			const struct kt_matrix_scheduler *scheduler, const struct kt_doc_node *list)
{
	const char *names[KT_PROFILE_FLAGS_MAX];
	uint32_t bits = 0;

	for (size_t i = 0; i < scheduler->n_flags; i++)
		names[i] = scheduler->flags[i].name;
	if (!list || list->type != KT_DOC_ARRAY)
		return 0;
	for (const struct kt_doc_node *item = list->first; item; item = item->next) {
		size_t i = 0;

		if (item->type != KT_DOC_STRING)
			continue;
		while (i < scheduler->n_flags && strcmp(names[i], item->string) != 0)
			i++;
		if (i < scheduler->n_flags)
			bits |= 1u << i;
		else
			kt_grammar_unknown(reader, item->pos, "flag", item->string, names,
					   scheduler->n_flags);
	}
	return bits;
}

/* False when something in it was wrong, and said. */
static bool read_rules(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		       const struct kt_matrix_scheduler *scheduler, struct rules *rules)
{
	const struct kt_problems *problems = reader->problems;
	size_t before = problems->n + problems->n_more;
	const struct kt_doc_node *item = kt_doc_get(node, "flags")->first;

	rules->n = scheduler->n_flags;
	for (size_t i = 0; i < rules->n; i++, item = item->next) {
		const struct kt_matrix_flag *flag = &scheduler->flags[i];

		for (size_t j = 0; j < i; j++)
			if (strcmp(scheduler->flags[j].name, flag->name) == 0)
				kt_problem_add(reader->problems, flag->pos,
					       "a second flag named '%s' of scheduler '%s'",
					       flag->name, scheduler->name);
		rules->needs[i] = bits_of(reader, scheduler, kt_doc_get(item, "requires"));
		rules->bans[i] = bits_of(reader, scheduler, kt_doc_get(item, "excludes"));
	}
	return problems->n + problems->n_more == before;
}

/* ---- profiles ---- */

static const char *name_of(struct kt_arena *arena, const struct kt_matrix_scheduler *base,
			   uint32_t given)
{
	KT_AUTO_BUF name = { 0 };

	kt_buf_puts(&name, base->name);
	for (size_t i = 0; i < base->n_flags; i++)
		if (given & 1u << i)
			kt_buf_printf(&name, "+%s", base->flags[i].name);
	return kt_arena_strdup(arena, kt_buf_text(&name));
}

static void add_args(const char **args, size_t *n, const char *const *more, size_t n_more)
{
	for (size_t i = 0; i < n_more; i++)
		args[(*n)++] = more[i];
}

static struct kt_matrix_scheduler profile_of(struct kt_arena *arena,
					     const struct kt_matrix_scheduler *base, uint32_t given)
{
	struct kt_matrix_scheduler profile = *base;
	size_t n = base->n_args;
	const char **args;

	profile.base = base->name;
	profile.given = given;
	if (!given)
		return profile;
	profile.name = name_of(arena, base, given);
	for (size_t i = 0; i < base->n_flags; i++)
		n += given & 1u << i ? base->flags[i].n_args : 0;
	args = kt_arena_alloc(arena, n, sizeof(*args));
	profile.args = args;
	profile.n_args = 0;
	add_args(args, &profile.n_args, base->args, base->n_args);
	for (size_t i = 0; i < base->n_flags; i++)
		if (given & 1u << i)
			add_args(args, &profile.n_args, base->flags[i].args, base->flags[i].n_args);
	return profile;
}

static bool is_readable(const struct kt_matrix_scheduler *scheduler)
{
	for (size_t i = 0; i < scheduler->n_flags; i++)
		if (!scheduler->flags[i].name)
			return false;
	return scheduler->name && scheduler->n_flags;
}

/* What all of its sets tell: how many hold, which flags are in one of these, whether a name is too long. */
static void check_profiles(struct kt_grammar_reader *reader, const struct kt_doc_node *flags,
			   const struct kt_matrix_scheduler *base, const struct rules *rules)
{
	uint32_t used = 0;
	size_t n = 0;

	for (uint32_t given = 0; given < 1u << rules->n; given++) {
		if (!holds(rules, given))
			continue;
		used |= given;
		n++;
	}
	if (n > KT_PROFILE_MAX)
		kt_problem_add(
			reader->problems, flags->key_pos,
			"the flags of scheduler '%s' make %zu profiles; at most %d: let some "
			"require or exclude each other",
			base->name, n, KT_PROFILE_MAX);
	for (size_t i = 0; i < rules->n; i++)
		if (!(used & 1u << i))
			kt_problem_add(reader->problems, base->flags[i].pos,
				       "flag '%s' can never be given: what it requires is excluded",
				       base->flags[i].name);
}

/* As check_scheduler() does without flags. */
static void check_size(struct kt_grammar_reader *reader, const struct kt_matrix_scheduler *profile)
{
	size_t bytes = 0;

	for (size_t i = 0; i < profile->n_args; i++)
		bytes += strlen(profile->args[i]) + 8;
	if (strlen(profile->name) > KT_NAME_BYTES_MAX)
		kt_problem_add(reader->problems, profile->pos,
			       "the name of profile '%.64s...' is %zu bytes long; at most %d",
			       profile->name, strlen(profile->name), KT_NAME_BYTES_MAX);
	if (profile->n_args >= KT_ARGS_MAX || bytes > KT_JOB_BYTES_MAX)
		kt_problem_add(reader->problems, profile->pos,
			       "profile '%.64s' has %zu arguments of %zu bytes in all; at most %d "
			       "of %u",
			       profile->name, profile->n_args, bytes, KT_ARGS_MAX - 1,
			       KT_JOB_BYTES_MAX);
}

static size_t add_profiles(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   const struct kt_matrix_scheduler *base,
			   struct kt_matrix_scheduler *profiles)
{
	const struct kt_problems *problems = reader->problems;
	size_t before = problems->n + problems->n_more;
	struct rules rules = { 0 };
	size_t n = 0;

	if (is_readable(base) && read_rules(reader, node, base, &rules))
		check_profiles(reader, kt_doc_get(node, "flags"), base, &rules);
	if (problems->n + problems->n_more > before)
		rules.n = 0; /* as if it had none: nothing will run */
	for (uint32_t given = 0; given < 1u << rules.n; given++) {
		if (!holds(&rules, given))
			continue;
		profiles[n] = profile_of(reader->arena, base, given);
		if (given)
			check_size(reader, &profiles[n]);
		n++;
	}
	return n;
}

void kt_profile_expand(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		       struct kt_matrix *matrix)
{
	size_t n = matrix->n_schedulers;
	struct kt_matrix_scheduler *all;

	for (size_t i = 0; i < matrix->n_schedulers; i++)
		n += matrix->schedulers[i].n_flags ? KT_PROFILE_MAX : 0;
	all = kt_arena_alloc(reader->arena, n, sizeof(*all));
	n = 0;
	for (size_t i = 0; i < matrix->n_schedulers; i++)
		n += add_profiles(reader, kt_doc_item(node, i), &matrix->schedulers[i], all + n);
	if (n > KT_AXIS_ENTRIES_MAX)
		kt_problem_add(reader->problems, node->pos,
			       "the schedulers have %zu profiles; at most %d", n,
			       KT_AXIS_ENTRIES_MAX);
	matrix->schedulers = all;
	matrix->n_schedulers = n;
}

/* ---- filters ---- */

void kt_profile_widen(struct kt_arena *arena, const struct kt_matrix *matrix,
		      const uint32_t **indexes, size_t *n)
{
	const uint32_t *narrow = *indexes;
	uint32_t *wide = kt_arena_alloc(arena, matrix->n_schedulers, sizeof(*wide));
	size_t n_wide = 0;
	const char *base = NULL; /* all profiles of it are meant */

	for (size_t i = 0, next = 0; i < matrix->n_schedulers; i++) {
		const struct kt_matrix_scheduler *scheduler = &matrix->schedulers[i];
		bool named = next < *n && narrow[next] == i;

		if (named)
			next++;
		if (named && !scheduler->given)
			base = scheduler->base;
		if (named || (base && scheduler->base == base))
			wide[n_wide++] = (uint32_t)i;
	}
	*indexes = wide;
	*n = n_wide;
}

static bool has_flag(const struct kt_matrix_scheduler *scheduler, const char *name)
{
	for (size_t i = 0; i < scheduler->n_flags; i++)
		if (scheduler->given & 1u << i && strcmp(scheduler->flags[i].name, name) == 0)
			return true;
	return false;
}

bool kt_profile_passes(const struct kt_matrix_flag_filter *filter,
		       const struct kt_matrix_scheduler *scheduler)
{
	for (size_t i = 0; i < filter->n_required; i++)
		if (!has_flag(scheduler, filter->required[i]))
			return false;
	for (size_t i = 0; i < filter->n_excluded; i++)
		if (has_flag(scheduler, filter->excluded[i]))
			return false;
	return true;
}

/* ---- the language ---- */

static void set_flag_name(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			  const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_flag *flag = into;

	flag->pos = node->pos;
	kt_grammar_name(reader, key, node, into);
}

/* Of any scheduler: a scenario runs with several. */
static bool is_flag(const struct kt_matrix *matrix, const char *name, const char **names, size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < matrix->n_schedulers; i++) {
		const struct kt_matrix_scheduler *scheduler = &matrix->schedulers[i];

		for (size_t j = 0; j < scheduler->n_flags && !scheduler->given; j++) {
			if (!scheduler->flags[j].name)
				continue;
			if (strcmp(scheduler->flags[j].name, name) == 0)
				return true;
			names[(*n)++] = scheduler->flags[j].name;
		}
	}
	return false;
}

static void set_flag_names(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	const struct kt_reading *reading = reader->context;
	const struct kt_matrix *matrix = reading->matrix;
	KT_AUTO_FREE const char **names =
		kt_must_calloc(matrix->n_schedulers * KT_PROFILE_FLAGS_MAX + 1, sizeof(*names));
	size_t n;

	kt_grammar_texts(reader, key, node, into);
	for (const struct kt_doc_node *item = node->first; item; item = item->next)
		if (item->type == KT_DOC_STRING && !is_flag(matrix, item->string, names, &n))
			kt_grammar_unknown(reader, item->pos, "flag", item->string, names, n);
}

/* clang-format off */

static const struct kt_grammar_key flag_keys[] = {
	ROW(name, STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"llc\"", "its part of the profiles' names", set_flag_name, kt_matrix_flag, name),
	LIST(args,     MUST, 0, KT_TEXT_BYTES_MAX, "args = [\"--llc\"]", "what the scheduler is told", kt_grammar_texts, kt_matrix_flag, args, NULL),
	LIST(requires, MAY,  1, KT_NAME_BYTES_MAX, "requires = [\"steal\"]", "flags that it is only given with", kt_grammar_texts, kt_matrix_flag, requires, NULL),
	LIST(excludes, MAY,  1, KT_NAME_BYTES_MAX, "excludes = [\"fifo\"]", "flags that it is never given with", kt_grammar_texts, kt_matrix_flag, excludes, NULL),
};
const struct kt_grammar_table kt_profile_flag_table = TABLE("flags of [[scheduler]]", flag_keys, NULL);

static const struct kt_grammar_key filter_keys[] = {
	LIST(required, MAY, 1, KT_NAME_BYTES_MAX, "required = [\"llc\"]", "only profiles with these flags", set_flag_names, kt_matrix_flag_filter, required, NULL),
	LIST(excluded, MAY, 1, KT_NAME_BYTES_MAX, "excluded = [\"steal\"]", "no profile with one of these", set_flag_names, kt_matrix_flag_filter, excluded, NULL),
};
const struct kt_grammar_table kt_profile_filter_table = TABLE("flags of [[scenario]]", filter_keys, NULL);

/* clang-format on */
