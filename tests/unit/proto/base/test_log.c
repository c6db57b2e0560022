#include "proto/base/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

Test(log, several_values_fit_into_one_line)
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

static size_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

Test(log, a_file_has_a_longest_length_and_lines_are_never_cut)
{
	char dir[] = "/tmp/kt-test-log.XXXXXX";
	char path[64];
	char old[64];
	char *line = NULL;
	size_t cap = 0;
	size_t n = 0;
	FILE *in;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.log", dir);
	snprintf(old, sizeof(old), "%s/a.log.1", dir);
	kt_log_open("ktx", false);
	cr_assert_eq(kt_log_file(path, 20000), 0);
	KT_LOG("first", "n=%d", 1);
	cr_expect_eq(size_of(path), 0, "it waits");
	kt_log_flush();
	cr_expect_gt(size_of(path), 0);
	for (int i = 0; i < 2000; i++)
		KT_LOG("event", "n=%d why=%s", i, kt_log_quote("some words that make it longer"));
	kt_log_flush();
	KT_LOG("last", "%s", "n=1");
	kt_log_flush();
	cr_expect_leq(size_of(path), 20000 + (64 << 10));
	cr_expect_leq(size_of(old), 20000 + (64 << 10));
	cr_expect_gt(size_of(old), 0);
	in = fopen(path, "r");
	while (getline(&line, &cap, in) > 0) {
		n++;
		cr_expect(strchr(line, 'Z') && strstr(line, " ktx ") && strchr(line, '\n'), "%s",
			  line);
	}
	cr_expect_gt(n, 0);
	cr_expect(strstr(line, " ktx last n=1\n"), "%s", line);
	free(line);
	fclose(in);
	unlink(path);
	unlink(old);
	rmdir(dir);
}

Test(log, eight_values_of_any_length_are_one_line)
{
	char dir[] = "/tmp/kt-test-log.XXXXXX";
	char path[64];
	char text[5000];
	size_t quotes = 0;
	FILE *in;
	int c;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.log", dir);
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	kt_log_open("ktx", false);
	cr_assert_eq(kt_log_file(path, 1 << 20), 0);
	KT_LOG("long", "a=%s b=%s c=%s d=%s e=%s f=%s g=%s h=%s", kt_log_quote(text),
	       kt_log_quote(text), kt_log_quote(text), kt_log_quote(text), kt_log_quote(text),
	       kt_log_quote(text), kt_log_quote(text), kt_log_quote(text));
	kt_log_flush();
	in = fopen(path, "r");
	while ((c = getc(in)) != EOF)
		quotes += c == '"';
	cr_expect_eq(quotes, 16);
	fclose(in);
	unlink(path);
	rmdir(dir);
}
