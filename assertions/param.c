#include "assertions/param.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *kt_param_kind_written(enum kt_param_kind kind)
{
	static const char *const written[] = {
#define X(id_, written_) written_,
		KT_PARAM_KINDS(X)
#undef X
	};

	kt_must(kind < KT_PARAM_KIND_N);
	return written[kind];
}

static int wrong_type(const struct kt_param *param, const struct kt_value *value,
		      struct kt_err *err)
{
	const char *is = kt_value_type_name(value->type);

	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s, not %s %s", param->name,
			  kt_param_kind_written(param->kind), strchr("aeio", *is) ? "an" : "a", is);
}

static int wrong_range(const struct kt_param *param, const char *is, struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "%s must be %s from %" PRIu64 " to %" PRIu64 ", not %s", param->name,
			  kt_param_kind_written(param->kind), param->min, param->max, is);
}

/* A limit is a number as it stands: no text, no truth, not NaN. */
static bool read_number(const struct kt_value *value, struct kt_number *number)
{
	if (value->type != KT_VALUE_U64 && value->type != KT_VALUE_I64 &&
	    value->type != KT_VALUE_F64)
		return false;
	return kt_number_from_value(value, KT_NUMBER_WANT_ANY, number) && !kt_number_is_nan(number);
}

static int read_count(const struct kt_param *param, const struct kt_value *value,
		      struct kt_param_arg *arg, struct kt_err *err)
{
	struct kt_number number;
	char text[KT_NUMBER_TEXT_BYTES];

	if (value->type != KT_VALUE_U64 && value->type != KT_VALUE_I64)
		return wrong_type(param, value, err);
	kt_must(kt_number_from_value(value, KT_NUMBER_WANT_ANY, &number));
	if (number.type != KT_NUMBER_U64 || number.u64 < param->min || number.u64 > param->max)
		return wrong_range(param, kt_number_format(&number, text), err);
	arg->count = number.u64;
	return 0;
}

static int read_share(const struct kt_param *param, const struct kt_value *value,
		      struct kt_param_arg *arg, struct kt_err *err)
{
	const struct kt_number none = kt_number_u64(0);
	const struct kt_number all = kt_number_u64(1);
	struct kt_number number;
	char text[KT_NUMBER_TEXT_BYTES];

	if (!read_number(value, &number))
		return wrong_type(param, value, err);
	if (kt_number_compare(&number, &none) < 0 || kt_number_compare(&number, &all) > 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s, not %s", param->name,
				  kt_param_kind_written(param->kind),
				  kt_number_format(&number, text));
	arg->share = number.type == KT_NUMBER_F64 ? number.f64 : (double)number.u64;
	return 0;
}

static int read_range(const struct kt_param *param, const struct kt_value *value,
		      struct kt_param_arg *arg, struct kt_err *err)
{
	if (value->type != KT_VALUE_LIST || value->n != 2 ||
	    !read_number(&value->items[0], &arg->range[0]) ||
	    !read_number(&value->items[1], &arg->range[1]))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s", param->name,
				  kt_param_kind_written(param->kind));
	return 0;
}

static int read_text(const struct kt_param *param, const struct kt_value *value,
		     struct kt_arena *arena, struct kt_param_arg *arg, struct kt_err *err)
{
	if (value->type != KT_VALUE_STR)
		return wrong_type(param, value, err);
	if (value->n < param->min || value->n > param->max)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s must have %" PRIu64 " to %" PRIu64 " bytes, not %" PRIu32,
				  param->name, param->min, param->max, value->n);
	for (uint32_t i = 0; i < value->n; i++)
		if ((unsigned char)value->str[i] < 0x20 || value->str[i] == 0x7f)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "%s must be one line without control characters",
					  param->name);
	arg->text = kt_arena_copy(arena, value->str, value->n);
	kt_must(arg->text);
	return 0;
}

static int read_counts(const struct kt_param *param, const struct kt_value *value,
		       struct kt_param_arg *arg, struct kt_err *err)
{
	struct kt_param_arg ends[2];
	bool two = value->type == KT_VALUE_LIST;

	if (two && value->n != 2)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s", param->name,
				  kt_param_kind_written(param->kind));
	for (size_t i = 0; i < 2; i++) {
		int status = read_count(param, two ? &value->items[i] : value, &ends[i], err);

		if (status < 0)
			return status;
		arg->counts[i] = ends[i].count;
	}
	if (arg->counts[0] > arg->counts[1])
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s [%" PRIu64 ", %" PRIu64 "] is empty: the first stands first",
				  param->name, arg->counts[0], arg->counts[1]);
	return 0;
}

static int read_series(const struct kt_value *value, struct kt_arena *arena,
		       struct kt_param_arg *arg, struct kt_place *place, struct kt_err *err)
{
	struct kt_formula *series = kt_arena_alloc(arena, 1, sizeof(*series));

	kt_must(series);
	arg->series = series;
	return kt_formula_read(value, arena, place, series, err);
}

static int read_word(const struct kt_param *param, const struct kt_value *value,
		     struct kt_param_arg *arg, struct kt_err *err)
{
	KT_AUTO_BUF words = { 0 };

	for (size_t i = 0; param->words[i]; i++) {
		kt_buf_printf(&words, "%s\"%s\"", i ? ", " : "", param->words[i]);
		arg->word = i;
		if (value->type == KT_VALUE_STR && strcmp(value->str, param->words[i]) == 0)
			return 0;
	}
	if (value->type != KT_VALUE_STR)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be one of %s, not %s",
				  param->name, kt_buf_text(&words),
				  kt_value_type_name(value->type));
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be one of %s, not \"%.*s\"",
			  param->name, kt_buf_text(&words), KT_NAME_BYTES_MAX, value->str);
}

int kt_param_read(const struct kt_param *param, const struct kt_value *value,
		  struct kt_arena *arena, struct kt_param_arg *arg, struct kt_place *place,
		  struct kt_err *err)
{
	struct kt_param_arg read = { .given = true };
	int status = 0;

	switch (param->kind) {
	case KT_PARAM_FLAG:
		if (value->type != KT_VALUE_BOOL)
			status = wrong_type(param, value, err);
		else
			read.flag = value->boolean;
		break;
	case KT_PARAM_COUNT:
		status = read_count(param, value, &read, err);
		break;
	case KT_PARAM_COUNTS:
		status = read_counts(param, value, &read, err);
		break;
	case KT_PARAM_SHARE:
		status = read_share(param, value, &read, err);
		break;
	case KT_PARAM_NUMBER:
		if (!read_number(value, &read.number))
			status = wrong_type(param, value, err);
		break;
	case KT_PARAM_RANGE:
		status = read_range(param, value, &read, err);
		break;
	case KT_PARAM_TEXT:
		status = read_text(param, value, arena, &read, err);
		break;
	case KT_PARAM_WORD:
		status = read_word(param, value, &read, err);
		break;
	case KT_PARAM_SERIES:
		status = read_series(value, arena, &read, place, err);
		break;
	case KT_PARAM_QUANTIFIER:
		status = kt_quantifier_read(value, place, &read.quantifier, err);
		break;
	case KT_PARAM_ASSERTIONS:
	case KT_PARAM_PATTERN:
	case KT_PARAM_CONDITION:
	case KT_PARAM_CONDITIONS:
	case KT_PARAM_KIND_N:
		kt_must(param->kind < KT_PARAM_ASSERTIONS);
	}
	if (status == 0)
		*arg = read;
	return status;
}

void kt_param_print(const struct kt_param *param, const struct kt_param_arg *arg,
		    struct kt_buf *out)
{
	char low[KT_NUMBER_TEXT_BYTES];
	char high[KT_NUMBER_TEXT_BYTES];

	if (!arg->given)
		return;
	kt_buf_puts(out, param->name);
	switch (param->kind) {
	case KT_PARAM_FLAG:
		kt_buf_puts(out, arg->flag ? "" : " false");
		break;
	case KT_PARAM_COUNT:
		kt_buf_printf(out, " %" PRIu64, arg->count);
		break;
	case KT_PARAM_COUNTS:
		kt_buf_printf(out, " %" PRIu64, arg->counts[0]);
		if (arg->counts[1] > arg->counts[0])
			kt_buf_printf(out, " to %" PRIu64, arg->counts[1]);
		break;
	case KT_PARAM_SHARE:
		kt_buf_printf(out, " %.10g", arg->share);
		break;
	case KT_PARAM_NUMBER:
		kt_buf_printf(out, " %s", kt_number_format(&arg->number, low));
		break;
	case KT_PARAM_RANGE:
		kt_buf_printf(out, " %s and %s", kt_number_format(&arg->range[0], low),
			      kt_number_format(&arg->range[1], high));
		break;
	case KT_PARAM_TEXT:
		kt_buf_printf(out, " '%s'", arg->text);
		break;
	case KT_PARAM_WORD:
		kt_buf_printf(out, " %s", param->words[arg->word]);
		break;
	case KT_PARAM_SERIES:
		kt_buf_printf(out, " %s", arg->series->text);
		break;
	case KT_PARAM_QUANTIFIER:
		kt_buf_puts(out, " ");
		kt_quantifier_print(&arg->quantifier, out);
		break;
	case KT_PARAM_ASSERTIONS:
	case KT_PARAM_PATTERN:
	case KT_PARAM_CONDITION:
	case KT_PARAM_CONDITIONS:
	case KT_PARAM_KIND_N:
		kt_must(param->kind < KT_PARAM_ASSERTIONS);
	}
}

int kt_param_refuse_empty(const char *low_name, const struct kt_param_arg *low,
			  const char *high_name, const struct kt_param_arg *high,
			  const char **param, struct kt_err *err)
{
	char low_text[KT_NUMBER_TEXT_BYTES];
	char high_text[KT_NUMBER_TEXT_BYTES];

	if (kt_number_compare(&low->number, &high->number) <= 0)
		return 0;
	*param = low_name;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s %s is above %s %s", low_name,
			  kt_number_format(&low->number, low_text), high_name,
			  kt_number_format(&high->number, high_text));
}

int kt_param_refuse_negative(const struct kt_param_arg *arg, const char *name, const char **param,
			     struct kt_err *err)
{
	const struct kt_number zero = kt_number_u64(0);
	char text[KT_NUMBER_TEXT_BYTES];

	if (kt_number_compare(&arg->number, &zero) >= 0)
		return 0;
	*param = name;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must not be negative, it is %s", name,
			  kt_number_format(&arg->number, text));
}

int kt_param_refuse_infinite(const struct kt_param_arg *arg, const char *name, const char **param,
			     struct kt_err *err)
{
	if (arg->number.type != KT_NUMBER_F64 || isfinite(arg->number.f64))
		return 0;
	*param = name;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be a finite number", name);
}
