#include "assertions/checks.h"
#include "assertions/number.h"
#include "proto/base/duration.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct kt_checks_row kt_checks_table[KT_CHECKS_N] = {
#define KT_CHECK(name_, written_, limit_, fallback_, max_, unit_, kind_, sentence_) \
	{ .name = #name_, .written = KT_CHECKS_##written_, .limit = KT_CHECKS_##limit_, .fallback = (double)(fallback_), \
	  .max = (double)(max_), .unit = unit_, .kind = KT_VERDICT_KIND_##kind_, .sentence = sentence_ },
#include "assertions/checks.def"
};
/* clang-format on */

/* What a check turns on, when nothing else is said of that. */
static const struct {
	enum kt_checks_id by;
	enum kt_checks_id id;
} turned_on[] = {
	{ KT_CHECKS_not_stuck, KT_CHECKS_gap },
	{ KT_CHECKS_not_stuck, KT_CHECKS_spread },
};

/* ---- reading ---- */

static const struct kt_checks_row *row_of(const char *name)
{
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		if (strcmp(kt_checks_table[i].name, name) == 0)
			return &kt_checks_table[i];
	return NULL;
}

static int unknown(const char *name, struct kt_err *err)
{
	const char *names[KT_CHECKS_N];
	KT_AUTO_BUF known = { 0 };

	for (size_t i = 0; i < KT_CHECKS_N; i++)
		names[i] = kt_checks_table[i].name;
	kt_suggest_print(name, names, KT_CHECKS_N, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "unknown check '%.*s'; %s",
			  KT_NAME_BYTES_MAX, name, kt_buf_text(&known));
}

static int wrong(enum kt_checks_id id, struct kt_err *err)
{
	KT_AUTO_BUF written = { 0 };

	kt_checks_print_written(id, &written);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s takes %s", kt_checks_table[id].name,
			  kt_buf_text(&written));
}

static bool read_span(const struct kt_value *value, double *number)
{
	int64_t ns;

	if (value->type != KT_VALUE_STR || strlen(value->str) != value->n ||
	    !kt_duration_parse(value->str, &ns) || ns == 0)
		return false;
	*number = (double)ns;
	return true;
}

/* What a limit may be: something must be able to pass it, and something to fail. */
static bool read_number(const struct kt_checks_row *row, const struct kt_value *value,
			double *number)
{
	struct kt_number read;

	if (value->type == KT_VALUE_STR || !kt_number_from_value(value, KT_NUMBER_WANT_F64, &read))
		return false;
	*number = read.f64;
	return *number <= row->max &&
	       (row->limit == KT_CHECKS_AT_LEAST ? *number > 0 : *number >= 0);
}

int kt_checks_set(struct kt_checks *checks, const char *name, const struct kt_value *value,
		  struct kt_err *err)
{
	const struct kt_checks_row *row = row_of(name);
	enum kt_checks_id id;
	double number;
	bool right;

	if (!row)
		return unknown(name, err);
	id = (enum kt_checks_id)(row - kt_checks_table);
	number = row->fallback;
	if (value->type == KT_VALUE_BOOL)
		right = !value->boolean || row->limit == KT_CHECKS_NONE || row->fallback > 0;
	else if (row->written == KT_CHECKS_SPAN)
		right = read_span(value, &number);
	else
		right = row->written == KT_CHECKS_NUMBER && read_number(row, value, &number);
	if (!right)
		return wrong(id, err);
	checks->of[id].state =
		value->type == KT_VALUE_BOOL && !value->boolean ? KT_CHECKS_OFF : KT_CHECKS_ON;
	checks->of[id].value = number;
	return 0;
}

/* ---- which count ---- */

void kt_checks_merge(const struct kt_checks *outer, const struct kt_checks *inner,
		     struct kt_checks *merged)
{
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		merged->of[i] = inner->of[i].state ? inner->of[i] : outer->of[i];
	for (size_t i = 0; i < sizeof(turned_on) / sizeof(turned_on[0]); i++) {
		enum kt_checks_id id = turned_on[i].id;

		if (merged->of[turned_on[i].by].state != KT_CHECKS_ON || merged->of[id].state)
			continue;
		merged->of[id].state = KT_CHECKS_ON;
		merged->of[id].value = kt_checks_table[id].fallback;
	}
}

size_t kt_checks_n_on(const struct kt_checks *checks)
{
	size_t n = 0;

	for (size_t i = 0; i < KT_CHECKS_N; i++)
		n += checks->of[i].state == KT_CHECKS_ON;
	return n;
}

/* ---- printing ---- */

void kt_checks_print_ms(int64_t ns, struct kt_buf *out)
{
	char text[48];
	int len = snprintf(text, sizeof(text), "%lld.%06d", ns / KT_NS_PER_MS,
			   (int)(ns % KT_NS_PER_MS));

	while (text[len - 1] == '0')
		len--;
	len -= text[len - 1] == '.';
	kt_buf_printf(out, "%.*s ms", len, text);
}

void kt_checks_print_about_ms(int64_t ns, double limit_ns, struct kt_buf *out)
{
	int64_t up = ns % KT_NS_PER_US >= KT_NS_PER_US / 2 ? KT_NS_PER_US : 0;
	int64_t about = ns / KT_NS_PER_US * KT_NS_PER_US;

	about += about <= INT64_MAX - up ? up : 0;
	kt_checks_print_ms((double)about == limit_ns ? ns : about, out);
}

/* The shortest text that reads back as the same number, so that no two values look alike. */
static void print_value(const struct kt_checks_row *row, double value, struct kt_buf *out)
{
	struct kt_number number = kt_number_f64(value);
	char text[KT_NUMBER_TEXT_BYTES];

	if (row->written == KT_CHECKS_SPAN)
		kt_checks_print_ms((int64_t)value, out);
	else
		kt_buf_printf(out, "%s%s", kt_number_format(&number, text), row->unit);
}

void kt_checks_print(const struct kt_checks *checks, enum kt_checks_id id, struct kt_buf *out)
{
	const struct kt_checks_row *row = &kt_checks_table[id];

	kt_must(checks->of[id].state == KT_CHECKS_ON);
	kt_buf_puts(out, row->name);
	if (row->limit == KT_CHECKS_NONE)
		return;
	kt_buf_puts(out, row->limit == KT_CHECKS_AT_MOST ? " (at most " : " (at least ");
	print_value(row, checks->of[id].value, out);
	kt_buf_puts(out, ")");
}

void kt_checks_print_written(enum kt_checks_id id, struct kt_buf *out)
{
	const struct kt_checks_row *row = &kt_checks_table[id];

	if (row->written == KT_CHECKS_FLAG) {
		kt_buf_puts(out, "true or false");
		return;
	}
	if (row->written == KT_CHECKS_SPAN) {
		kt_buf_puts(out, "a time of more than 0, e.g. \"2s\"");
	} else {
		kt_buf_puts(out, row->limit == KT_CHECKS_AT_LEAST
					 ? "a number of more than 0 and at most "
					 : "a number from 0 to ");
		print_value(row, row->max, out);
	}
	if (row->fallback > 0) {
		kt_buf_puts(out, ", true for ");
		print_value(row, row->fallback, out);
	}
	kt_buf_puts(out, row->fallback > 0 ? " or false" : ", or false");
}
