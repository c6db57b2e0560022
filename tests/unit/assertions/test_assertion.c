#include "fixture.h"

#include <errno.h>

static const char *path_of(struct kt_arena *arena, const char *key, const char *param)
{
	return kt_arena_printf(arena, "%s%s%s", key, *param ? "." : "", param);
}

Test(assertion, mistakes_are_refused_with_what_would_be_right)
{
	static const struct {
		const char *assertion;
		const char *says;
		const char *key;
		const char *param;
		bool at_key;
		size_t offset;
	} rows[] = {
		{ "nondecresing=true",
		  "did you mean 'nondecreasing'? known: series, name, because,", "nondecresing", "",
		  true, 0 },
		{ "must_progres=true", "did you mean 'must_progress'?", "must_progres", "", true,
		  0 },
		{ "at_most=3",
		  "'at_most' is a parameter of each, ratio_across_steps, eventually, always: write "
		  "each = { at_most = "
		  "... }",
		  "at_most", "", true, 0 },
		{ "deadline_ms=3", "of converges_to: write converges_to = { deadline_ms = ... }",
		  "deadline_ms", "", true, 0 },
		{ "each={at_mots 3}", "did you mean 'at_most'? known: at_least, at_most,", "each",
		  "at_mots", true, 0 },
		{ "each={min_samples 3}", "'min_samples' stands beside each", "each", "min_samples",
		  true, 0 },
		{ "nondecreasing={foo 3}", "nondecreasing has no parameters", "nondecreasing",
		  "foo", true, 0 },
		{ "each={at_most true}", "each: at_most must be a number, not a bool", "each",
		  "at_most", false, 0 },
		{ "each={at_most nan}", "must be a number", "each", "at_most", false, 0 },
		{ "each={between 3}", "between must be two numbers", "each", "between", false, 0 },
		{ "each={between [3; true]}", "between must be two numbers", "each", "between",
		  false, 0 },
		{ "each={at_most 3, at_most 4}", "'at_most' is there twice", "each", "at_most",
		  false, 0 },
		{ "rate_within={per 'minute'}",
		  "rate_within: per must be one of \"ms\", \"s\", not \"minute\"", "rate_within",
		  "per", false, 0 },
		{ "rate_within={per 3}", "per must be one of \"ms\", \"s\", not integer",
		  "rate_within", "per", false, 0 },
		{ "steady_within={warmup_ms 0.5}", "warmup_ms must be a whole number, not a float",
		  "steady_within", "warmup_ms", false, 0 },
		{ "steady_within={warmup_ms 86400001}", "from 0 to 86400000, not 86400001",
		  "steady_within", "warmup_ms", false, 0 },
		{ "converges_to={run 0}", "run must be a whole number from 1 to 4096, not 0",
		  "converges_to", "run", false, 0 },
		{ "converges_to={stays 1}", "stays must be true, not an integer", "converges_to",
		  "stays", false, 0 },
		{ "ratio_across_steps={early 256}", "from 0 to 255, not 256", "ratio_across_steps",
		  "early", false, 0 },
		{ "ratio_within={other 'bfp:x'}", "ratio_within: ", "ratio_within", "other", false,
		  0 },
		{ "ratio_within={other 'bpf:a..b'}", "a name belongs here", "ratio_within", "other",
		  false, 6 },
		{ "ratio_within={other 3}",
		  "a series must be a text, \"axis:path\", or a table, not integer", "ratio_within",
		  "other", false, 0 },
		{ "each=5", "each must be a table of parameters, not integer", "each", "", false,
		  0 },
		{ "nondecreasing=5", "nondecreasing must be true, not integer", "nondecreasing", "",
		  false, 0 },
		{ "nondecreasing=false", "leave it out", "nondecreasing", "", false, 0 },
		{ "nondecreasing=true nondecreasing=true", "'nondecreasing' is there twice",
		  "nondecreasing", "", true, 0 },
		{ "until={hold 3}", "until: hold must be a table of conditions, not integer",
		  "until", "hold", false, 0 },
		{ "until={hold {at_mots 3}}",
		  "until: hold: unknown parameter 'at_mots'; did you mean 'at_most'?", "until",
		  "hold.at_mots", true, 0 },
		{ "always={any_of [{at_most 3}; {eventually {within_ms true}}]}",
		  "always: any_of: eventually: within_ms must be a whole number, not a bool",
		  "always", "any_of[1].eventually.within_ms", false, 0 },
		{ "always={any_of []}",
		  "always: any_of must be a list of tables of conditions, 1 to 8 of them", "always",
		  "any_of", false, 0 },
		{ "always={any_of {at_most 3}}", "any_of must be a list", "always", "any_of", false,
		  0 },
		{ "always={any_of [3]}", "any_of must be a table of conditions, not integer",
		  "always", "any_of[0]", false, 0 },
		{ "always={always {always {always {always {always {at_most 3}}}}}}",
		  "conditions in conditions, at most 4 deep", "always",
		  "always.always.always.always.always", false, 0 },
		{ "always={min_samples 3}", "'min_samples' stands beside always", "always",
		  "min_samples", true, 0 },
		{ "any_of=[{nondecresing true}]", "did you mean 'nondecreasing'?", "any_of[0]",
		  "nondecresing", true, 0 },
		{ "any_of=[{series 'bpf:x'}; {each {at_most 'x'}}]", "at_most must be a number",
		  "any_of[1]", "each.at_most", false, 0 },
		{ "any_of=[{series 'bpf:a..b'}]", "a name belongs here", "any_of[0]", "series",
		  false, 6 },
		{ "any_of=[{min_samples 1}] all_of=[{min_samples 1}]",
		  "an assertion is one group: any_of or all_of, once", "all_of", "", true, 0 },
		{ "any_of=[]", "any_of must be a list of assertions, 1 to 16 of them", "any_of", "",
		  false, 0 },
		{ "all_of={min_samples 1}", "all_of must be a list of assertions", "all_of", "",
		  false, 0 },
		{ "all_of=[3]", "a branch of all_of must be a table, not integer", "all_of[0]", "",
		  false, 0 },
		{ "any_of=[{all_of [{any_of [{min_samples 1}]}]}]",
		  "groups in groups, at most 2 deep", "any_of[0].all_of[0]", "any_of", false, 0 },
		{ "over='most'",
		  "over must be \"all\", \"any\", { at_least = n } or { fraction = f }", "over", "",
		  false, 0 },
		{ "over={at_least 0}", "at_least must be a whole number from 1 to 10000", "over",
		  "at_least", false, 0 },
		{ "over={fraction 1.5}", "fraction must be a number of more than 0 and at most 1",
		  "over", "fraction", false, 0 },
		{ "over={fraction 0.5, at_least 3}", "over must be", "over", "at_least", false, 0 },
		{ "over={at_least 10001}", "from 1 to 10000", "over", "at_least", false, 0 },
		{ "over={at_least 1.5}", "from 1 to 10000", "over", "at_least", false, 0 },
		{ "over={fraction 0.0}", "more than 0", "over", "fraction", false, 0 },
		{ "over={fraction 2}", "more than 0", "over", "fraction", false, 0 },
		{ "over={fraction true}", "more than 0", "over", "fraction", false, 0 },
		{ "over={of 'hosts'}", "over must be", "over", "", false, 0 },
		{ "over={of 'guests', at_least 3}", "of must be \"repeats\" or \"hosts\"", "over",
		  "of", false, 0 },
		{ "over={at_lest 3}", "did you mean 'at_least'?", "over", "at_lest", true, 0 },
		{ "steps=[1; 2; 3]", "steps must be a whole number, or two, [first, last]", "steps",
		  "", false, 0 },
		{ "steps=[2; 1]", "steps [2, 1] is empty: the first stands first", "steps", "",
		  false, 0 },
		{ "steps=256", "steps must be a whole number, or two, [first, last] from 0 to 255",
		  "steps", "", false, 0 },
		{ "steps=1.5", "steps must be a whole number, or two, [first, last], not a float",
		  "steps", "", false, 0 },
		{ "reset='always'", "reset must be one of \"epoch\", not \"always\"", "reset", "",
		  false, 0 },
		{ "series={ratio ['bpf:a'; 'bpf:..']}", "a name belongs here", "series", "ratio[1]",
		  false, 4 },
		{ "min_samples=2 min_samples=2", "'min_samples' is there twice", "min_samples", "",
		  true, 0 },
		{ "min_samples='2'", "min_samples must be a whole number, not a string",
		  "min_samples", "", false, 0 },
		{ "min_samples=2.5", "min_samples must be a whole number, not a float",
		  "min_samples", "", false, 0 },
		{ "min_samples=-1", "from 0 to 4096, not -1", "min_samples", "", false, 0 },
		{ "min_samples=5000", "from 0 to 4096, not 5000", "min_samples", "", false, 0 },
		{ "min_coverage=1.5", "min_coverage must be a number from 0 to 1, not 1.5",
		  "min_coverage", "", false, 0 },
		{ "min_coverage=-1", "not -1", "min_coverage", "", false, 0 },
		{ "min_coverage=true", "min_coverage must be a number from 0 to 1, not a bool",
		  "min_coverage", "", false, 0 },
		{ "must_progress=1", "must_progress must be true, not an integer", "must_progress",
		  "", false, 0 },
		{ "name=''", "name must have 1 to 128 bytes, not 0", "name", "", false, 0 },
		{ "series='bfp:nr'", "did you mean 'bpf'?", "series", "", false, 0 },
		{ "series='bpf:a..b'", "a name belongs here", "series", "", false, 6 },
		{ "series=5", "a series must be a text, \"axis:path\", or a table, not integer",
		  "series", "", false, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_assertion assertion;
		struct kt_err err = { 0 };

		cr_assert_not(fixture_assertion(&arena, rows[i].assertion, &assertion, &err), "%s",
			      rows[i].assertion);
		cr_assert_eq(err.code, EINVAL);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strstr(err.text, rows[i].says), "%s: %s", rows[i].assertion, err.text);
		cr_assert_str_eq(assertion.where.path, path_of(&arena, rows[i].key, rows[i].param),
				 "%s: %s", rows[i].assertion, err.text);
		cr_assert_eq(assertion.where.at_key, rows[i].at_key, "%s", rows[i].assertion);
		cr_assert_eq(assertion.where.offset, rows[i].offset, "%s", rows[i].assertion);
	}
}

Test(assertion, check_finds_what_only_the_whole_can_show)
{
	static const struct {
		const char *assertion;
		const char *says; /* NULL: it is right */
		const char *key;
		const char *param;
	} rows[] = {
		{ "series='bpf:x' nondecreasing=true", NULL, "", "" },
		{ "series='bpf:x' nondecreasing={}", NULL, "", "" },
		{ "nondecreasing=true series='bpf:x'", NULL, "", "" },
		{ "series='bpf:x' must_progress=true", NULL, "", "" },
		{ "series='bpf:x' min_samples=2", NULL, "", "" },
		{ "series='bpf:x' always_true=true nondecreasing=true", NULL, "", "" },
		{ "nondecreasing=true", "series is missing", "", "" },
		{ "series={rate 'bpf:x'} always_true=true",
		  "reads the series as bool, but bpf:x per s is a number", "", "" },
		{ "series='bpf:x' any_of=[{nondecreasing true}; {series 'bpf:y', each {eq 0}}]",
		  NULL, "any_of", "" },
		{ "any_of=[{nondecreasing true}]", "series is missing", "any_of[0]", "" },
		{ "any_of=[{series 'bpf:x', each {between [2; 1]}}]", "between [2, 1] is empty",
		  "any_of[0].each", "between" },
		{ "all_of=[{any_of [{series 'bpf:x', each {between [2; 1]}}]}]",
		  "between [2, 1] is empty", "all_of[0].any_of[0].each", "between" },
		{ "series='bpf:x' nondecreasing=true any_of=[{min_samples 1}]",
		  "'nondecreasing' beside any_of: make it a branch, or an assertion of its own",
		  "nondecreasing", "" },
		{ "series='bpf:x' must_progress=true all_of=[{min_samples 1}]",
		  "'must_progress' beside all_of", "must_progress", "" },
		{ "series='bpf:x' any_of=[{over 'any', min_samples 1}]",
		  "'over' stands beside the group, not in a branch", "any_of[0]", "over" },
		{ "series='bpf:x' any_of=[{off true, min_samples 1}]",
		  "'off' stands beside the group", "any_of[0]", "off" },
		{ "off=true", "off needs a name", "", "" },
		{ "name='x' off=true", NULL, "", "" },
		{ "name='x' off=false", "series is missing", "", "" },
		{ "series='bpf:x'", "nothing is asked of the series", "", "" },
		{ "series='bpf:x' must_progress=false", "nothing is asked of the series", "", "" },
		{ "series='bpf:x' each=true", "each needs at least one of: at_least", "each", "" },
		{ "series='bpf:x' rate_within={lo 1, hi 2}", NULL, "", "" },
		{ "series='bpf:x' rate_within={lo 1, per 's'}", "rate_within needs hi: the fastest",
		  "rate_within", "" },
		{ "series='bpf:x' rate_within={lo 3, hi 2}", "lo 3 is above hi 2", "rate_within",
		  "lo" },
		{ "series='bpf:x' steady_within={tol 0.1}", NULL, "", "" },
		{ "series='bpf:x' steady_within={tol -1}", "tol must not be negative, it is -1",
		  "steady_within", "tol" },
		{ "series='bpf:x' steady_within={tol inf}", "tol must be a finite number",
		  "steady_within", "tol" },
		{ "series='bpf:x' converges_to={target 1, tol 0, deadline_ms 5}", NULL, "", "" },
		{ "series='bpf:x' converges_to={target 1, tol 0}",
		  "converges_to needs deadline_ms: when", "converges_to", "" },
		{ "series='bpf:x' converges_to={target inf, tol 0, deadline_ms 5}",
		  "target must be a finite number", "converges_to", "target" },
		{ "series='bpf:x' ratio_across_steps={early 0, late 1}",
		  "ratio_across_steps needs at_most", "ratio_across_steps", "" },
		{ "series='bpf:x' ratio_within={other 'bpf:y', lo 1, hi 2}", NULL, "", "" },
		{ "series='bpf:x' ratio_within={lo 1, hi 2}",
		  "ratio_within needs other: the series that is divided by", "ratio_within", "" },
		{ "series='bpf:x' always={at_most 3, from_ms 5, to_ms 5}", NULL, "", "" },
		{ "series='bpf:x' always={at_most 3, from_ms 6, to_ms 5}",
		  "from_ms 6 is after to_ms 5", "always", "from_ms" },
		{ "series='bpf:x' always={from_ms 6}", "always needs at least one of: at_least",
		  "always", "" },
		{ "series='bpf:x' eventually={at_most 3}", "eventually needs within_ms",
		  "eventually", "" },
		{ "series='bpf:x' eventually={between [5; 1], within_ms 3}",
		  "between [5, 1] is empty", "eventually", "between" },
		{ "series='bpf:x' eventually={within_ms 3}",
		  "eventually needs at least one of: at_least, at_most, between, eq, ne, gt, lt, "
		  "eventually, always, until, any_of",
		  "eventually", "" },
		{ "series='bpf:x' eventually={within_ms 3, always {from_ms 2, to_ms 1, lt 3}}",
		  "eventually: from_ms 2 is after to_ms 1", "eventually", "always.from_ms" },
		{ "series='bpf:x' until={hold {lt 3}, then {any_of [{lt 3}; {between [2; 1]}]}}",
		  "until: then: any_of: between [2, 1] is empty", "until",
		  "then.any_of[1].between" },
		{ "series='bpf:x' until={hold {}, then {lt 3}}",
		  "until: hold: condition needs at least one of: at_least", "until", "hold" },
		{ "series='bpf:x' each={between [5; 1]}", "between [5, 1] is empty", "each",
		  "between" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_assertion assertion;
		struct kt_err err = { 0 };
		int status;

		cr_assert(fixture_assertion(&arena, rows[i].assertion, &assertion, &err), "%s: %s",
			  rows[i].assertion, err.text);
		status = kt_assertion_check(&assertion, &err);
		cr_assert_eq(status, rows[i].says ? -EINVAL : 0, "%s: %s", rows[i].assertion,
			     err.text);
		if (rows[i].says)
			cr_assert(strstr(err.text, rows[i].says), "%s: %s", rows[i].assertion,
				  err.text);
		cr_assert_str_eq(assertion.where.path, path_of(&arena, rows[i].key, rows[i].param),
				 "%s: %s", rows[i].assertion, err.text);
	}
}

/* "any_of [{...}; {...}]" of n branches. */
static const char *branches(struct kt_arena *arena, size_t n, const char *branch)
{
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < n; i++)
		kt_buf_printf(&text, "%s{%s}", i ? "; " : "any_of [", branch);
	return kt_arena_printf(arena, "%s]", kt_buf_text(&text));
}

Test(assertion, a_pattern_has_so_many_conditions_and_no_more)
{
	static const struct {
		size_t outer;
		size_t inner;
		const char *says;
	} rows[] = { { 7, 8, NULL }, /* 1 + 7 + 56 */
		     { 8, 7, "always: 65 conditions in all; at most 64" },
		     { 8, 8, "always: 73 conditions in all" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_assertion assertion;
		struct kt_err err = { 0 };
		const char *inner = branches(&arena, rows[i].inner, "lt 3");

		cr_assert(fixture_assertion(&arena,
					    kt_arena_printf(&arena, "series='bpf:x' always={%s}",
							    branches(&arena, rows[i].outer, inner)),
					    &assertion, &err),
			  "%s", err.text);
		cr_assert_eq(kt_assertion_check(&assertion, &err), rows[i].says ? -EINVAL : 0);
		if (rows[i].says)
			cr_assert(strstr(err.text, rows[i].says), "%s", err.text);
	}
}

Test(assertion, leaves_are_found_in_the_order_in_which_they_stand)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	struct kt_assertion group;
	struct kt_err err = { 0 };
	static const char *const labels[] = { "bpf:x", "y", "bpf:x", "bpf:z" };

	cr_assert(fixture_assertion(
			  &arena,
			  "series='bpf:x' min_samples=2 over={fraction 0.5} "
			  "any_of=[{nondecreasing true}; {all_of [{name 'y', series 'bpf:y', "
			  "each {eq 0}, min_samples 1}; {must_progress true}]}; {series "
			  "'bpf:z'}]",
			  &group, &err),
		  "%s", err.text);
	cr_assert_eq(kt_assertion_check(&group, &err), 0, "%s", err.text);
	for (size_t i = 0; i < 4; i++)
		cr_assert_str_eq(kt_assertion_label(kt_assertion_leaf(&group, i)), labels[i]);
	cr_assert_null(kt_assertion_leaf(&group, 4));
	cr_assert_eq(kt_assertion_leaf(kt_assertion_leaf(&group, 0), 0),
		     kt_assertion_leaf(&group, 0));
	kt_assertion_print(&group, &text);
	cr_assert_str_eq(
		kt_buf_text(&text),
		"any_of (bpf:x: nondecreasing, min_samples 2) or (all_of (bpf:y: each eq 0, "
		"min_samples 1) and (bpf:x: must_progress, min_samples 2)) or (bpf:z: "
		"min_samples 2), over a fraction of 0.5 of the repeats");
	cr_assert_str_eq(kt_assertion_label(&group), "any_of");
}

Test(assertion, is_printed_as_it_will_be_judged)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	struct kt_assertion assertion;
	struct kt_err err = { 0 };

	cr_assert(fixture_assertion(&arena,
				    "series='bpf:x' name='my x' must_progress=true "
				    "each={at_most 1000000000000} nondecreasing=true min_samples=2 "
				    "min_coverage=0.75",
				    &assertion, &err),
		  "%s", err.text);
	kt_assertion_print(&assertion, &text);
	cr_assert_str_eq(kt_buf_text(&text),
			 "bpf:x: each at_most 1000000000000, nondecreasing, must_progress, "
			 "min_samples 2, min_coverage 0.75");
	cr_assert_str_eq(kt_assertion_label(&assertion), "my x");
	cr_assert(fixture_assertion(&arena, "series='bpf:x'", &assertion, &err));
	cr_assert_str_eq(kt_assertion_label(&assertion), "bpf:x");
}
