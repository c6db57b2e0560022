#include "assertions/pattern_read.h"
#include "assertions/pattern_temporal.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <string.h>

static size_t find(const struct kt_param *params, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(params[i].name, name) != 0)
		i++;
	return i;
}

static int unknown_param(const struct kt_pattern_reader *reader, const struct kt_pattern *pattern,
			 const char *name, struct kt_err *err)
{
	const char *names[KT_PATTERN_PARAMS_MAX];
	KT_AUTO_BUF known = { 0 };

	reader->place->at_key = true;
	if (find(reader->beside, reader->n_beside, name) < reader->n_beside)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%s' stands beside %s, not in it",
				  name, pattern->name);
	if (pattern->n_params == 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s has no parameters: write %s = true", pattern->name,
				  pattern->name);
	for (size_t i = 0; i < pattern->n_params; i++)
		names[i] = pattern->params[i].name;
	kt_suggest_print(name, names, pattern->n_params, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "unknown parameter '%.*s'; %s",
			  KT_NAME_BYTES_MAX, name, kt_buf_text(&known));
}

static int read_use(const struct kt_pattern_reader *reader, const struct kt_pattern *pattern,
		    const struct kt_value *value, unsigned int depth, struct kt_pattern_use *use,
		    struct kt_err *err);

static int read_nested(const struct kt_pattern_reader *reader, const struct kt_param *param,
		       const struct kt_pattern *pattern, const struct kt_value *value,
		       unsigned int depth, struct kt_pattern_use *use, struct kt_err *err)
{
	int status;

	if (depth == 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: conditions in conditions, at most %d deep", param->name,
				  KT_PATTERN_DEPTH_MAX);
	if (value->type != KT_VALUE_MAP)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s, not %s", param->name,
				  kt_param_kind_written(KT_PARAM_CONDITION),
				  kt_value_type_name(value->type));
	status = read_use(reader, pattern, value, depth - 1, use, err);
	/* A condition is known by whose it is. */
	if (status < 0 && pattern == &kt_pattern_temporal_condition)
		kt_err_wrap(err, "%s", param->name);
	return status;
}

static int read_list(const struct kt_pattern_reader *reader, const struct kt_param *param,
		     const struct kt_value *value, unsigned int depth, struct kt_param_arg *arg,
		     struct kt_err *err)
{
	struct kt_pattern_use *uses;

	if (value->type != KT_VALUE_LIST || value->n == 0 || value->n > KT_PATTERN_BRANCHES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s, 1 to %d of them",
				  param->name, kt_param_kind_written(param->kind),
				  KT_PATTERN_BRANCHES_MAX);
	uses = kt_arena_alloc(reader->arena, value->n, sizeof(*uses));
	for (uint32_t i = 0; i < value->n; i++) {
		size_t mark = kt_place_enter_item(reader->place, i);
		int status = read_nested(reader, param, &kt_pattern_temporal_condition,
					 &value->items[i], depth, &uses[i], err);

		if (status < 0)
			return status;
		kt_place_leave(reader->place, mark);
	}
	arg->uses = uses;
	arg->n_uses = value->n;
	arg->given = true;
	return 0;
}

static int read_arg(const struct kt_pattern_reader *reader, const struct kt_param *param,
		    const struct kt_value *value, unsigned int depth, struct kt_param_arg *arg,
		    struct kt_err *err)
{
	const struct kt_pattern *pattern = &kt_pattern_temporal_condition;
	struct kt_pattern_use *use;
	int status;

	switch (param->kind) {
	case KT_PARAM_PATTERN:
		pattern = kt_pattern_by_name(param->name);
		kt_must(pattern);
		break;
	case KT_PARAM_CONDITION:
		break;
	case KT_PARAM_CONDITIONS:
		return read_list(reader, param, value, depth, arg, err);
	default:
		return kt_param_read(param, value, reader->arena, arg, reader->place, err);
	}
	use = kt_arena_alloc(reader->arena, 1, sizeof(*use));
	status = read_nested(reader, param, pattern, value, depth, use, err);
	if (status < 0)
		return status;
	arg->uses = use;
	arg->n_uses = 1;
	arg->given = true;
	return 0;
}

static int read_use(const struct kt_pattern_reader *reader, const struct kt_pattern *pattern,
		    const struct kt_value *map, unsigned int depth, struct kt_pattern_use *use,
		    struct kt_err *err)
{
	*use = (struct kt_pattern_use){ .pattern = pattern };
	for (uint32_t i = 0; i < map->n; i++) {
		const char *name = map->pairs[i].key;
		size_t param = find(pattern->params, pattern->n_params, name);
		size_t mark = kt_place_enter(reader->place, name);
		int status;

		if (param == pattern->n_params)
			return unknown_param(reader, pattern, name, err);
		if (use->args[param].given)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%s' is there twice", name);
		status = read_arg(reader, &pattern->params[param], &map->pairs[i].value, depth,
				  &use->args[param], err);
		if (status < 0 && pattern != &kt_pattern_temporal_condition)
			kt_err_wrap(err, "%s", pattern->name);
		if (status < 0)
			return status;
		kt_place_leave(reader->place, mark);
	}
	return 0;
}

int kt_pattern_read(const struct kt_pattern *pattern, const struct kt_value *value,
		    const struct kt_pattern_reader *reader, struct kt_pattern_use *use,
		    struct kt_err *err)
{
	*use = (struct kt_pattern_use){ .pattern = pattern };
	reader->place->at_key = false;
	reader->place->offset = 0;
	if (value->type == KT_VALUE_MAP)
		return read_use(reader, pattern, value, KT_PATTERN_DEPTH_MAX, use, err);
	if (value->type != KT_VALUE_BOOL)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s, not %s",
				  pattern->name,
				  pattern->n_params ? "a table of parameters" : "true",
				  kt_value_type_name(value->type));
	if (!value->boolean)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s = false judges nothing: leave it out", pattern->name);
	return 0;
}
