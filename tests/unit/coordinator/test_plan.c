#include "coordinator/plan.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <json.h>
#include <string.h>

static const char text[] =
	"name = \"s\"\nrepeats = 30\n"
	"[[kernel]]\nname = \"k\"\npath = \"a\"\n"
	"[[scheduler]]\nname = \"s0\"\nbinary = \"b\"\n[[scheduler]]\nname = \"eevdf\"\n"
	"[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
	"[[scenario]]\nname = \"b\"\nduration = \"5s\"\nschedulers = [\"eevdf\"]\n"
	"[[scenario.step]]\nhold = \"full\"\n";

static char *print_of(const char *sweep, const struct kt_plan_options *options)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_FREE char *whole = NULL;
	struct kt_err err = { 0 };
	char *printed = NULL;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	cr_assert(asprintf(&whole, "[sweep]\n%s%s", sweep, text) > 0);
	cr_assert_eq(kt_matrixfile_parse("m.toml", whole, strlen(whole), NULL, NULL, &matrix, &err),
		     0, "%s", err.text);
	cr_assert_eq(kt_plan_print(matrix, options, out, &err), 0);
	fclose(out);
	return printed;
}

static char *print(const struct kt_plan_options *options)
{
	return print_of("", options);
}

Test(plan, text_shows_cells_time_and_what_is_left_out)
{
	struct kt_plan_options options = { 0 };
	KT_AUTO_FREE char *printed = print(&options);

	/* 60 cells of 0.2 + 0.8 + 10 s, 30 of 0.2 + 0.8 + 5 s, one boot of 2.2 s */
	cr_assert(strstr(printed, "s: 90 cells, about 14m02s with 1 guest at a time under tcg\n"),
		  "%s", printed);
	cr_assert(strstr(printed, "     10s        0     2    256M       0  warm  a/k/s0/t#0\n"),
		  "%s", printed);
	cr_assert(strstr(printed, "... and 40 more; --all shows them\n"), "%s", printed);
	cr_assert(strstr(printed, "      30 cells of b: not its schedulers: s0\n"), "%s", printed);
	cr_assert_null(strstr(printed, "cells of a:"));
}

Test(plan, the_time_counts_boots)
{
	static const struct {
		const char *sweep;
		const char *time;
	} times[] = {
		{ "guest = \"cold\"\n",
		  "about 17m" }, /* 60 of 2.2 + 0.8 + 10 s, 30 of 2.2 + 0.8 + 5 s */
		{ "template_renew = 45\n", "about 14m04s" }, /* 2 boots */
		{ "template_renew = 1\n",
		  "about 17m18s" }, /* a boot and a restore for every cell */
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct kt_plan_options options = { 0 };
		KT_AUTO_FREE char *printed = print_of(times[i].sweep, &options);

		cr_expect(strstr(printed, times[i].time), "%s%s", times[i].sweep, printed);
	}
}

Test(plan, all_shows_every_cell)
{
	struct kt_plan_options options = { .all = true, .slots = 90, .accel = "kvm" };
	KT_AUTO_FREE char *printed = print(&options);

	cr_assert(strstr(printed, "b/k/eevdf/t#29\n"), "%s", printed);
	cr_assert(strstr(printed, "with 90 guests at a time under kvm"), "%s", printed);
}

Test(plan, checks_are_told_by_scenario)
{
	struct kt_plan_options options = { .asserts = true };
	KT_AUTO_FREE char *printed =
		print_of("checks = { not_stuck = true, spread = false }\n", &options);
	KT_AUTO_FREE char *none = print(&options);
	KT_AUTO_FREE char *json = NULL;

	cr_assert(strstr(printed, "  a with s0\n    checks: not_stuck, gap (at most 2000 ms)\n"),
		  "%s", printed);
	cr_assert_null(strstr(printed, "nothing: it passes"));
	cr_assert_null(strstr(none, "checks"));
	cr_assert(strstr(none, "nothing: it passes"));
	options.json = true;
	json = print_of("checks = { not_stuck = true, spread = false }\n", &options);
	cr_assert(strstr(json,
			 "\"checks\":2,\"checked\":[\"not_stuck\",\"gap (at most 2000 ms)\"]"),
		  "%s", json);
}

Test(plan, steps_are_told_when_they_are_asked_for)
{
	static const char told[] = "\nsteps\n  a, 10s\n    step 0, from 0s to 10s\n"
				   "  b, 5s\n    step 0, from 0s to 5s\n";
	struct kt_plan_options options = { .steps = true };
	KT_AUTO_FREE char *with = print(&options);
	KT_AUTO_FREE char *without = NULL;

	options.steps = false;
	without = print(&options);
	cr_assert(strstr(with, told), "%s", with);
	cr_assert_null(strstr(without, "\nsteps\n"));
}

Test(plan, json_is_one_object_with_every_cell)
{
	struct kt_plan_options options = { .json = true };
	KT_AUTO_FREE char *printed = print(&options);
	struct json_object *json = json_tokener_parse(printed);
	struct json_object *cells;
	struct json_object *plays;
	struct json_object *left_out;

	cr_assert(json, "%s", printed);
	cr_assert_eq(json_object_get_uint64(json_object_object_get(json, "n_cells")), 90);
	cells = json_object_object_get(json, "cells");
	cr_assert_eq(json_object_array_length(cells), 90);
	cr_assert_str_eq(json_object_get_string(json_object_object_get(
				 json_object_array_get_idx(cells, 89), "name")),
			 "b/k/eevdf/t#29");
	plays = json_object_object_get(
		json_object_array_get_idx(json_object_object_get(json, "scenarios"), 1), "plays");
	cr_assert_eq(json_object_get_int64(json_object_object_get(plays, "duration_ns")),
		     5 * KT_NS_PER_S);
	cr_assert_eq(json_object_array_length(json_object_object_get(plays, "steps")), 1);
	left_out = json_object_object_get(json, "left_out");
	cr_assert_eq(json_object_array_length(left_out), 1);
	cr_assert_str_eq(json_object_get_string(json_object_object_get(
				 json_object_array_get_idx(left_out, 0), "why")),
			 "not its schedulers: s0");
	json_object_put(json);
}

static const char constrained[] =
	"[sweep]\nname = \"s\"\n[[kernel]]\nname = \"k\"\npath = \"a\"\n"
	"[[scheduler]]\nname = \"x\"\nbinary = \"b\"\nrequires = { max_cpus = 4 }\n"
	"flags = [{ name = \"llc\", args = [] }]\n"
	"[[topology]]\nname = \"one\"\ncpus = \"1n1l2c1t\"\n"
	"[[topology]]\nname = \"two\"\ncpus = \"1n2l4c1t\"\n"
	"[[topology]]\nname = \"not\"\ncpus = \"1n1l1c1t\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"10s\"\nrepeats = 3\ntopologies = [\"one\", "
	"\"two\"]\nflags = { excluded = [\"llc\"] }\n[[scenario.step]]\nhold = \"full\"\n"
	"[[scenario]]\nname = \"b\"\nduration = \"10s\"\nrequires = { min_llcs = 2 }\n"
	"[[scenario.step]]\nhold = \"full\"\n";

static char *print_constrained(const struct kt_plan_options *options)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };
	char *printed = NULL;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	cr_assert_eq(kt_matrixfile_parse("m.toml", constrained, strlen(constrained), NULL, NULL,
					 &matrix, &err),
		     0, "%s", err.text);
	cr_assert_eq(kt_plan_print(matrix, options, out, &err), 0);
	fclose(out);
	return printed;
}

Test(plan, what_does_not_fit_is_counted_by_its_reason)
{
	static const char *const lines[] = {
		/* 3 cells and a boot for them: those that were dropped take no time */
		"s: 3 cells, about 35.2s with 1 guest at a time under tcg\n15 more do not fit\n",
		"       6 cells of a: not its topologies: not\n",
		"\ndoes not fit\n",
		"       3 cells of a: x requires max_cpus = 4; not topologies: two\n",
		"       6 cells of a: excludes flags llc; not profiles: x+llc\n",
		"       4 cells of b: requires min_llcs = 2; not topologies: one, not\n",
		"       2 cells of b: x requires max_cpus = 4; not topologies: two\n",
	};
	struct kt_plan_options options = { 0 };
	KT_AUTO_FREE char *printed = print_constrained(&options);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect(strstr(printed, lines[i]), "%s%s", lines[i], printed);
}

Test(plan, json_has_what_does_not_fit)
{
	struct kt_plan_options options = { .json = true };
	KT_AUTO_FREE char *printed = print_constrained(&options);

	cr_assert(strstr(printed, "{\"scenario\":\"a\",\"scheduler\":\"x\",\"cells\":3,\"why\":"
				  "\"requires max_cpus = 4\",\"topologies\":[\"two\"]}"),
		  "%s", printed);
}

Test(plan, it_is_shown_what_scenarios_want_of_hosts)
{
	struct kt_plan_options options = { 0 };
	KT_AUTO_FREE char *printed =
		print_of("seed = 3\npaired = true\naccel = \"kvm\"\n", &options);
	KT_AUTO_FREE char *plain = print(&options);
	KT_AUTO_FREE char *json = NULL;
	struct json_object *root;
	struct json_object *cell;

	cr_assert(strstr(printed,
			 "\nplaced\n"
			 "  a: its 2 schedulers run on one host in each kernel, topology and "
			 "repeat, one after the other, in an order drawn from seed 3\n"
			 "  a: only on hosts with kvm\n"),
		  "%s", printed);
	cr_assert_null(strstr(plain, "placed"));
	options.json = true;
	json = print_of("paired = true\naccel = \"kvm\"\n", &options);
	root = json_tokener_parse(json);
	cell = json_object_array_get_idx(json_object_object_get(root, "cells"), 0);
	cr_assert(json_object_get_boolean(json_object_object_get(cell, "paired")));
	cr_assert_str_eq(json_object_get_string(json_object_object_get(cell, "accel")), "kvm");
	json_object_put(root);
}
