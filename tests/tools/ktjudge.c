/* layer: assertions/lib */
/* ktjudge.c - judges a series file through ktassert.h, as a stranger's program does.
 *
 *	ktjudge patterns                 the names of all patterns, one a line
 *	ktjudge FILE ASSERTION           a line per sentence: outcome, kind, name and text, with tabs between
 */
#include "assertions/lib/ktassert.h"
#include "assertions/pattern.h"

#include <stdio.h>
#include <string.h>

static int print_patterns(void)
{
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);

	for (size_t i = 0; i < n; i++)
		puts(patterns[i].name);
	return 0;
}

static int complain(const struct kt_assert_error *error)
{
	fprintf(stderr, "ktjudge: %s\n", error->text);
	return 2;
}

int main(int argc, char **argv)
{
	struct kt_assert_series *series;
	struct kt_assert_verdict *verdict;
	struct kt_assert_error error = { .text = "takes `patterns`, or FILE ASSERTION" };
	int status;

	if (argc == 2 && strcmp(argv[1], "patterns") == 0)
		return print_patterns();
	if (argc != 3 || kt_assert_series_read(argv[1], &series, &error) < 0)
		return complain(&error);
	verdict = kt_assert_verdict_new();
	status = kt_assert_judge(verdict, series, argv[2], &error);
	for (size_t i = 0; i < kt_assert_verdict_size(verdict); i++)
		printf("%s\t%s\t%s\t%s\n",
		       kt_assert_outcome_name(kt_assert_verdict_outcome_of(verdict, i)),
		       kt_assert_verdict_kind(verdict, i), kt_assert_verdict_name(verdict, i),
		       kt_assert_verdict_text(verdict, i));
	kt_assert_verdict_destroy(&verdict);
	kt_assert_series_destroy(&series);
	return status < 0 ? complain(&error) : 0;
}
