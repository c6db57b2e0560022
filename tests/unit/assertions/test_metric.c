#include "assertions/metric.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- patterns ---- */

#define SUMMARY                                \
	"stress-ng: info: dispatching 1 cpu\n" \
	"total: 12 ops\n"                      \
	"progress 5\r\n"                       \
	"total: 1234.5 ops\n"                  \
	"p99 -3e2 us, worst nan\n"             \
	"big 18446744073709551615\n"           \
	"count=7 of 8"

static const struct {
	const char *pattern;
	const char *number; /* as kt_number_format() writes it; NULL: */
	const char *why;
} patterns[] = {
	{ "total: ([0-9.]+) ops", "12", NULL }, /* the first match counts */
	{ "^total: ([0-9]{4}\\.[0-9]) ops$", "1234.5", NULL },
	{ "p99 ([-0-9e]+)", "-300", NULL },
	{ "worst ([a-z]+)", "NaN", NULL },
	{ "big ([0-9]+)", "18446744073709551615", NULL },
	{ "[0-9]+$", "18446744073709551615", NULL }, /* without a group all of it is the number */
	{ "count=([0-9]+)", "7", NULL }, /* a last line without an end */
	{ "dispatching.*([0-9]) cpu\ntotal", "1", NULL }, /* "\n" is itself; '.' never is */
	{ "dispatching(.|\n)*total: ([0-9]+)", NULL, "is \"" }, /* the first group */
	{ "progress.total", NULL, "nothing in its output matches \"progress.total\"" },
	{ "worst (x)?", NULL, "what \"worst (x)?\" matches is \"\", no number" },
	{ "info: ([a-z]+)", NULL, "what \"info: ([a-z]+)\" matches is \"dispatching\", no number" },
	{ "warning ([0-9]+)", "3", NULL }, /* standard error is looked at behind it */
	{ "zero ([0-9]+)", "9", NULL },
};

Test(metric, a_pattern_picks_a_number_out_of_a_text)
{
	static const char errors[] = "warning 3\0zero 9\n";
	struct kt_metric_output output = {
		.out = { (const uint8_t *)SUMMARY, sizeof(SUMMARY) - 1 },
		.out_bytes = sizeof(SUMMARY) - 1,
		.errors = { (const uint8_t *)errors, sizeof(errors) - 1 },
	};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct kt_metric metric = { .name = "m", .pattern = patterns[i].pattern };
		KT_AUTO_ARENA arena = { 0 };
		struct kt_metric_value value;
		struct kt_err err = { 0 };
		char text[KT_NUMBER_TEXT_BYTES];

		cr_assert_eq(kt_metric_check_pattern(metric.pattern, &err), 0, "%s: %s",
			     metric.pattern, err.text);
		kt_metric_read(&metric, &output, &arena, &value);
		cr_assert_eq(value.is_there, patterns[i].number != NULL, "%s: %s", metric.pattern,
			     value.why);
		if (patterns[i].number)
			cr_assert_str_eq(kt_number_format(&value.number, text), patterns[i].number,
					 "%s", metric.pattern);
		else
			cr_assert(strstr(value.why, patterns[i].why), "%s: %s", metric.pattern,
				  value.why);
	}
}

/* Of a line that was cut somewhere nobody knows what its digits were. */
Test(metric, a_line_that_is_too_long_is_not_looked_at)
{
	static char out[3 * KT_METRIC_LINE_BYTES_MAX];
	struct kt_metric metric = { .name = "m", .pattern = "x([0-9]+)" };
	struct kt_metric_output output = { .out = { (const uint8_t *)out, sizeof(out) },
					   .out_bytes = 10 << 20 };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_metric_value value;

	memset(out, ' ', sizeof(out));
	memcpy(out, "x55", 3);
	kt_metric_read(&metric, &output, &arena, &value);
	cr_assert_not(value.is_there);
	cr_assert_str_eq(value.why, "nothing in its output matches \"x([0-9]+)\" "
				    "(24576 of its 10485760 bytes were kept)");
	out[KT_METRIC_LINE_BYTES_MAX] = '\n';
	kt_metric_read(&metric, &output, &arena, &value);
	cr_assert_not(value.is_there, "a line of one byte more than the most");
	out[KT_METRIC_LINE_BYTES_MAX] = ' ';
	memcpy(out + sizeof(out) - 4, "\nx77", 4);
	kt_metric_read(&metric, &output, &arena, &value);
	cr_assert(value.is_there && value.number.u64 == 77);
}

/* What costs the square of the text is given less of it. */
Test(metric, a_pattern_across_lines_sees_the_end_only)
{
	static char out[KT_METRIC_ACROSS_BYTES_MAX + 2];
	struct kt_metric metric = { .name = "m", .pattern = "a\nx([0-9]+)" };
	struct kt_metric_output output = { .out = { (const uint8_t *)out, sizeof(out) } };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_metric_value value;

	memset(out, '\n', sizeof(out));
	memcpy(out + sizeof(out) - 6, "a\nx77\n", 6);
	memcpy(out, "\na\nx5", 6);
	kt_metric_read(&metric, &output, &arena, &value);
	cr_assert(value.is_there && value.number.u64 == 77);
	memcpy(out, "\n\na\nx5", 7);
	kt_metric_read(&metric, &output, &arena, &value);
	cr_assert(value.is_there && value.number.u64 == 5, "the line that begins there is whole");
}

Test(metric, a_pattern_that_cannot_be_used_is_refused)
{
	static const struct {
		const char *pattern;
		const char *said;
	} refused[] = {
		{ "", "of 1 to 256 bytes" },
		{ "(a", "nmatched" },
		{ "[a", "nmatched" },
		{ "(a*)\\1", "no back-references (\\1)" },
		{ "a{2001}", "repeats come to more than 2000" },
		{ "(a{100}){21}", "repeats come to more than 2000" },
		{ "([^]a[:digit:]{]{100}){21}", "repeats come to more than 2000" },
		{ "a{2,99999999999999999999}", "repeats come to more than 2000" },
		{ "a+?", "a repeat behind a repeat" },
		{ "a{2}*", "a repeat behind a repeat" },
		{ "((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+", "repeats come to more than 2000" },
	};
	static const char *const taken[] = {
		"a{1000}",
		"(a{10}){10}",
		"a\\{5000",
		"\\\\1?",
		"x{2,}",
		"[(]+",
		"[])]+",
		" +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+)",
	};
	static char many[KT_METRIC_PATTERN_BYTES_MAX + 2];
	struct kt_err err = { 0 };

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		cr_assert_lt(kt_metric_check_pattern(refused[i].pattern, &err), 0, "%s",
			     refused[i].pattern);
		cr_assert(strstr(err.text, refused[i].said), "%s: %s", refused[i].pattern,
			  err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		cr_assert_eq(kt_metric_check_pattern(taken[i], &err), 0, "%s: %s", taken[i],
			     err.text);
	memset(many, 'a', KT_METRIC_PATTERN_BYTES_MAX + 1);
	cr_assert_lt(kt_metric_check_pattern(many, &err), 0);
}

/* ---- json ---- */

/* { a: { b: [ { c: 1 }, 2.5, "7", "x" ], "p.99.0": 9, "p": { "99": { "0": 8, "1": 6 } } }, n: nil, t: true } */
static struct kt_value tree(struct kt_arena *arena)
{
	struct kt_value top = kt_value_map(arena, 3);
	struct kt_value a = kt_value_map(arena, 3);
	struct kt_value b = kt_value_list(arena, 4);
	struct kt_value c = kt_value_map(arena, 1);
	struct kt_value p = kt_value_map(arena, 1);
	struct kt_value q = kt_value_map(arena, 2);

	c.pairs[0] = (struct kt_value_pair){ "c", kt_value_u64(1) };
	b.items[0] = c;
	b.items[1] = kt_value_f64(2.5);
	b.items[2] = kt_value_str(arena, "7");
	b.items[3] = kt_value_str(arena, "x");
	q.pairs[0] = (struct kt_value_pair){ "0", kt_value_u64(8) };
	q.pairs[1] = (struct kt_value_pair){ "1", kt_value_u64(6) };
	p.pairs[0] = (struct kt_value_pair){ "99", q };
	a.pairs[0] = (struct kt_value_pair){ "b", b };
	a.pairs[1] = (struct kt_value_pair){ "p.99.0", kt_value_u64(9) };
	a.pairs[2] = (struct kt_value_pair){ "p", p };
	top.pairs[0] = (struct kt_value_pair){ "a", a };
	top.pairs[1] = (struct kt_value_pair){ "n", kt_value_nil() };
	top.pairs[2] = (struct kt_value_pair){ "t", kt_value_bool(true) };
	return top;
}

static const struct {
	const char *path;
	const char *number;
	const char *why;
} paths[] = {
	{ "a.b[0].c", "1", NULL },
	{ "a.b.0.c", "1", NULL },
	{ "a.b.1", "2.5", NULL },
	{ "a.b[2]", "7", NULL }, /* a text that spells a number */
	{ "a.p.99.0", "9", NULL }, /* a name with dots in it; of two the first */
	{ "a.p.99.1", "6", NULL },
	{ "t", "true", NULL },
	{ "a.b[3]", NULL, "a.b[3] is \"x\", no number" },
	{ "a.b", NULL, "a.b is [{c: 1}, 2.5, \"7\", \"x\"], no number" },
	{ "n", NULL, "n is nil, no number" },
	{ "a.b[4]", NULL, "there is no a.b[4] in its output; a.b has 4 items" },
	{ "a.b[1", NULL, "a.b has 4 items" },
	{ "a.b.0x", NULL, "a.b has 4 items" },
	{ "a.x.y", NULL, "there is no a.x.y in its output; a has b, p.99.0, p" },
	{ "x", NULL, "there is no x in its output; the top of it has a, n, t" },
	{ "a.b[1].c", NULL, "a.b[1] has nothing below it, it is float" },
	{ "ab", NULL, "the top of it has" },
};

Test(metric, a_path_picks_a_leaf_out_of_a_tree)
{
	KT_AUTO_ARENA made = { 0 };
	struct kt_value top = tree(&made);
	struct kt_metric_output output = { .tree = &top };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct kt_metric metric = { .name = "m", .json = paths[i].path };
		KT_AUTO_ARENA arena = { 0 };
		struct kt_metric_value value;
		char text[KT_NUMBER_TEXT_BYTES];

		kt_metric_read(&metric, &output, &arena, &value);
		cr_assert_eq(value.is_there, paths[i].number != NULL, "%s: %s", metric.json,
			     value.why);
		if (paths[i].number)
			cr_assert_str_eq(kt_number_format(&value.number, text), paths[i].number,
					 "%s", metric.json);
		else
			cr_assert(strstr(value.why, paths[i].why), "%s: %s", metric.json,
				  value.why);
	}
}

Test(metric, what_is_no_json_says_why)
{
	struct kt_metric metric = { .name = "m", .json = "a" };
	struct kt_metric_output output = { .no_tree = "not JSON: at byte 3",
					   .out = { (const uint8_t *)"xyz", 3 },
					   .out_bytes = 5 };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_metric_value value;

	kt_metric_read(&metric, &output, &arena, &value);
	cr_assert_str_eq(value.why,
			 "its output is no JSON: not JSON: at byte 3 (3 of its 5 bytes were kept)");
}

Test(metric, a_path_that_leads_nowhere_is_refused)
{
	static const char *const refused[] = { "", ".a", "a.", "a..b" };
	char deep[128] = "a";
	struct kt_err err = { 0 };

	for (size_t i = 0; i < 4; i++)
		cr_assert_lt(kt_metric_check_json(refused[i], &err), 0, "%s", refused[i]);
	cr_assert_eq(kt_metric_check_json("a[0].b.c", &err), 0);
	for (int i = 0; i < 40; i++)
		strcat(deep, ".a");
	cr_assert_lt(kt_metric_check_json(deep, &err), 0);
}
