#include "coordinator/view.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <string.h>

static const char text[] = "[sweep]\nname = \"s\"\n"
			   "[[kernel]]\nname = \"k\"\npath = \"a\"\n"
			   "[[scheduler]]\nname = \"eevdf\"\n"
			   "[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
			   "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n"
			   "[[scenario.step]]\nhold = \"full\"\n";

Test(view, a_phase_is_shown_with_what_the_worker_says_of_it)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_FREE char *printed = NULL;
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = 1, .attempts_max = 3, .version = "0"
	};
	struct kt_msg_phase phase = { .phase = "boot", .detail = "making a template" };
	struct kt_sweep sweep;
	struct kt_view *view;
	struct kt_err err = { 0 };
	size_t len;
	FILE *out = tmpfile();

	cr_assert(out);
	cr_assert_eq(kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &matrix, &err),
		     0, "%s", err.text);
	kt_sweep_init(&sweep);
	cr_assert_eq(kt_sweep_apply(&sweep, KT_TAG_fact_opened, &opened, &err), 0, "%s", err.text);
	view = kt_view_new(out, KT_VIEW_PLAIN, matrix, &sweep);
	kt_view_phase(view, KT_NS_PER_S, 0, &phase);
	/* Nothing changes for a while: it is still what is waited for. */
	kt_view_tick(view, 4 * KT_NS_PER_S);
	kt_view_destroy(&view);
	len = (size_t)ftell(out);
	printed = calloc(1, len + 1);
	rewind(out);
	cr_assert_eq(fread(printed, 1, len, out), len);
	fclose(out);
	cr_expect_str_eq(printed, "  a/k/eevdf/t#0: boot (making a template)\n"
				  "  a/k/eevdf/t#0: boot, 3s (making a template)\n");
	kt_sweep_destroy(&sweep);
}
