/* What `ktcoord work` prints, and docs/work.md, which is made from the same table. */
#include "coordinator/worktypes.h"
#include "coordinator/matrixfile.h"
#include "tests/unit/proto/kept.h"

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

	cr_assert_eq(kt_worktypes_print(name, json, out, &err), 0, "%s", err.text);
	fclose(out);
	return text;
}

Test(worktypes, every_one_is_listed_with_all_that_it_takes)
{
	KT_AUTO_FREE char *all = printed(NULL, false);
	KT_AUTO_FREE char *json = printed(NULL, true);

	for (size_t i = 0; i < KT_WORK_N; i++) {
		KT_AUTO_FREE char *one = printed(kt_work[i].name, false);
		size_t n;
		const struct kt_work_param *params = kt_work_params_of(&kt_work[i], &n);

		cr_expect(strstr(all, kt_work[i].sentence), "%s", kt_work[i].name);
		cr_expect(strstr(json, kt_work[i].sentence), "%s", kt_work[i].name);
		cr_expect(strstr(one, kt_work[i].sentence), "%s", kt_work[i].name);
		for (size_t k = 0; k < n; k++)
			cr_expect(strstr(one, params[k].sentence), "%s of %s", params[k].name,
				  kt_work[i].name);
	}
}

/* With every parameter at its default, in its own notation: an example that is refused would be worse than none. */
Test(worktypes, every_example_can_stand_in_a_matrix)
{
	for (size_t i = 0; i < KT_WORK_N; i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF example = { 0 };
		KT_AUTO_BUF text = { 0 };
		struct kt_err err = { 0 };

		kt_worktypes_print_example(&kt_work[i], &example);
		kt_buf_printf(&text,
			      "[sweep]\nname = 's'\n[[kernel]]\nname = 'k'\npath = '/k'\n"
			      "[[scheduler]]\nname = 'eevdf'\n[[topology]]\nname = 't'\n"
			      "cpus = '1n1l2c1t'\n[[scenario]]\nname = 'a'\nduration = '10s'\n"
			      "[[scenario.step]]\nhold = 'full'\n"
			      "cgroup = [{ name = 'cg_0', groups = [%s] }]\n",
			      kt_buf_text(&example));
		cr_expect_eq(kt_matrixfile_parse("m.toml", text.data, text.len, NULL, NULL, &matrix,
						 &err),
			     0, "%s: %s", kt_work[i].name, err.text);
	}
}

Test(worktypes, an_unknown_name_is_corrected)
{
	struct kt_err err = { 0 };

	cr_assert_lt(kt_worktypes_print("tundering_herd", false, stdout, &err), 0);
	cr_assert(strstr(err.text, "did you mean 'thundering_herd'?"), "%s", err.text);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
}

static void print_row(const struct kt_work_param *param, struct kt_buf *out)
{
	kt_buf_printf(out, "| `%s` | %s | ", param->name, param->sentence);
	kt_worktypes_print_value(param->unit, param->value, out);
	kt_buf_puts(out, " | ");
	kt_worktypes_print_value(param->unit, param->min, out);
	kt_buf_puts(out, " | ");
	kt_worktypes_print_value(param->unit, param->max, out);
	kt_buf_puts(out, " |\n");
}

static void print_work(const struct kt_work *work, struct kt_buf *out)
{
	size_t n;
	const struct kt_work_param *params = kt_work_params_of(work, &n);

	kt_buf_printf(out, "\n## %s\n\n%s. Its workers work ", work->name, work->sentence);
	kt_worktypes_print_size(work, out);
	kt_buf_puts(out, ".\n\n    ");
	kt_worktypes_print_example(work, out);
	kt_buf_puts(out, n ? "\n\n| parameter | what | default | least | most |\n"
			     "|---|---|---|---|---|\n"
			   : "\n");
	for (size_t i = 0; i < n; i++)
		print_row(&params[i], out);
}

Test(worktypes, the_document_of_work_is_current)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(
		&text,
		"# What workers can do\n\n"
		"Made from `proto/work.def` by `tests/unit/coordinator/test_worktypes.c` "
		"(`KT_KEEP=1` writes it anew); do not edit.\n`ktcoord work` prints the same "
		"table.\n\n"
		"Below each type stands a group of workers as a scenario writes it, with every "
		"parameter at its default. `run` is CPU\ntime, not time: a worker that waits for "
		"a CPU does not get less to do. Workers that work together come in whole\n"
		"teams. Each reports its rounds, and how late it was woken where it was woken by "
		"a timer or by another worker; one\nround is one work unit, and one that only "
		"waited is none.\n");
	for (size_t i = 0; i < KT_WORK_N; i++)
		print_work(&kt_work[i], &text);
	kept_check("docs/work.md", &text, "Whoever reads it would be misled.");
}
