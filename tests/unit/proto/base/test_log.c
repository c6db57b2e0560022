#include "proto/base/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

Test(log, values_that_could_be_misread_are_quoted)
{
	static const struct {
		const char *value;
		const char *quoted;
	} rows[] = {
		{ "lab3", "lab3" },
		{ "a/b#1", "a/b#1" },
		{ "", "\"\"" },
		{ "two words", "\"two words\"" },
		{ "a=b", "\"a=b\"" },
		{ "say \"x\"", "\"say \\\"x\\\"\"" },
		{ "back\\slash", "\"back\\\\slash\"" },
		{ "two\nlines", "\"two\\nlines\"" },
		{ "\x1b[31mred", "\"\\x1b[31mred\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_assert(strcmp(kt_log_quote(rows[i].value), rows[i].quoted) == 0, "%s",
			  kt_log_quote(rows[i].value));
}

Test(log, a_value_of_any_length_stays_one_value)
{
	char text[5000];

	for (size_t len = 1100; len < 1300; len++) {
		for (int c = 0; c < 3; c++) {
			const char *quoted;
			size_t n;

			memset(text, "x \x01"[c], len);
			text[len] = 0;
			quoted = kt_log_quote(text);
			n = strlen(quoted);
			cr_assert(n < 1200);
			cr_assert(quoted[0] != '"' || quoted[n - 1] == '"');
		}
	}
}

Test(log, four_values_fit_into_one_line)
{
	const char *a = kt_log_quote("1 1");
	const char *b = kt_log_quote("2 2");
	const char *c = kt_log_quote("3 3");
	const char *d = kt_log_quote("4 4");
	char line[64];

	snprintf(line, sizeof(line), "%s%s%s%s", a, b, c, d);
	cr_assert(strcmp(line, "\"1 1\"\"2 2\"\"3 3\"\"4 4\"") == 0);
}

Test(log, an_event_is_one_line_with_time_program_and_name, .init = cr_redirect_stderr)
{
	FILE *out = cr_get_redirected_stderr();
	char line[256];
	int year;
	int ms;
	int end = 0;

	kt_log_open("ktx", true);
	KT_LOG("lease_granted", "cell=%d", 7);
	kt_log_open("ktx", false);
	KT_LOG("not_this", "x=%d", 1);
	kt_log_open("ktx", true);
	KT_LOG("bare", "%s", "");
	fflush(stderr);
	cr_assert(fgets(line, sizeof(line), out));
	cr_assert(sscanf(line, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ %n", &year, &ms, &end) == 2, "%s",
		  line);
	cr_assert(strcmp(line + end, "ktx lease_granted cell=7\n") == 0, "%s", line);
	cr_assert(fgets(line, sizeof(line), out));
	cr_assert(strcmp(line + end, "ktx bare\n") == 0, "%s", line);
}
