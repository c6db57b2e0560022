#include "coordinator/patterns.h"
#include "assertions/checks.h"
#include "assertions/pattern.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What is printed of name; free it. */
static char *printed(const char *name, bool json)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct kt_err err = { 0 };

	cr_assert_eq(kt_patterns_print(name, json, out, &err), 0, "%s", err.text);
	fclose(out);
	return text;
}

Test(patterns, every_one_is_listed_with_all_that_it_takes)
{
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);
	KT_AUTO_FREE char *all = printed(NULL, false);
	KT_AUTO_FREE char *json = printed(NULL, true);

	for (size_t i = 0; i < n; i++) {
		KT_AUTO_FREE char *one = printed(patterns[i].name, false);

		cr_expect(strstr(all, patterns[i].sentence), "%s", patterns[i].name);
		cr_expect(strstr(json, patterns[i].sentence), "%s", patterns[i].name);
		cr_expect(strstr(one, patterns[i].example), "%s", patterns[i].name);
		for (size_t k = 0; k < patterns[i].n_params; k++)
			cr_expect(strstr(one, patterns[i].params[k].sentence), "%s of %s",
				  patterns[i].params[k].name, patterns[i].name);
	}
}

Test(patterns, checks_stand_among_them)
{
	KT_AUTO_FREE char *all = printed(NULL, false);
	KT_AUTO_FREE char *json = printed(NULL, true);

	for (size_t i = 0; i < KT_CHECKS_N; i++) {
		KT_AUTO_FREE char *one = printed(kt_checks_table[i].name, false);
		KT_AUTO_FREE char *one_json = printed(kt_checks_table[i].name, true);

		cr_expect(strstr(all, kt_checks_table[i].sentence), "%s", kt_checks_table[i].name);
		cr_expect(strstr(json, kt_checks_table[i].sentence), "%s", kt_checks_table[i].name);
		cr_expect(strstr(one, kt_checks_table[i].sentence), "%s", one);
		cr_expect(strstr(one, "it takes "), "%s", one);
		cr_expect(strstr(one_json, "\"written\""), "%s", one_json);
	}
}

/* An example that the matrix refuses would be worse than none. */
Test(patterns, every_example_can_stand_in_a_matrix)
{
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);

	for (size_t i = 0; i < n; i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		struct kt_err err = { 0 };

		kt_buf_printf(&text,
			      "[sweep]\nname = 's'\n[[kernel]]\nname = 'k'\npath = '/k'\n"
			      "[[scheduler]]\nname = 'eevdf'\n[[topology]]\nname = 't'\n"
			      "cpus = '1n1l1c1t'\n[[scenario]]\nname = 'a'\nduration = '10s'\n"
			      "samples = 3\n[[scenario.step]]\nhold = 'full'\n"
			      "[[scenario.assert]]\nseries = 'bpf:n'\n%s\n",
			      patterns[i].example);
		cr_expect_eq(kt_matrixfile_parse("m.toml", text.data, text.len, NULL, NULL, &matrix,
						 &err),
			     0, "%s: %s", patterns[i].name, err.text);
	}
}

Test(patterns, an_option_is_explained_and_an_unknown_name_corrected)
{
	KT_AUTO_FREE char *over = printed("over", false);
	struct kt_err err = { 0 };

	cr_assert(strstr(over, "{ at_least = n }"));
	cr_assert_lt(kt_patterns_print("not_stack", false, stdout, &err), 0);
	cr_assert(strstr(err.text, "did you mean 'not_stuck'?"), "%s", err.text);
	cr_assert_lt(kt_patterns_print("converge_to", false, stdout, &err), 0);
	cr_assert(strstr(err.text, "did you mean 'converges_to'?"), "%s", err.text);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
}
