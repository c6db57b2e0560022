/* [[payload]], read from TOML: coordinator/core/matrix/payloadkeys.c with a file around it. */
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char before[] = /* ten lines */
	"[sweep]\nname = \"s\"\n[[kernel]]\nname = \"k\"\npath = \"/k\"\n"
	"[[scheduler]]\nname = \"eevdf\"\n[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n";
static const char after[] =
	"[[scenario]]\nname = \"a\"\nduration = \"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
	"cgroup = [{ name = \"cg_0\", workers = 1, work = \"spin\" }]\n";

static void keep(void *arg, const char *line)
{
	kt_buf_printf(arg, "%s\n", line);
}

static struct kt_matrix *parse(const char *payload, const char *behind, struct kt_buf *problems)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };

	kt_buf_printf(&text, "%s[[payload]]\n%s\n%s%s", before, payload, after, behind);
	kt_matrixfile_parse("m", text.data, text.len, keep, problems, &matrix, &err);
	return matrix;
}

Test(payloadkeys, everything_that_a_payload_may_say_is_kept)
{
	static const char text[] =
		"name = \"stress\"\nprogram = \"stress-ng\"\nargs = [\"--cpu\", \"1\"]\n"
		"env = { LC_ALL = \"C\", A = \"b=c\" }\n"
		"files = [{ path = \"d.txt\", to = \"/kt/data/d.txt\" }, { path = \"/l.so\", to = "
		"\"/kt/lib/l.so\" }]\n"
		"deadline = \"20s\"\nexit = 3\n"
		"metric = [{ name = \"rate\", json = \"a.b[0]\", min = 100, max = 2e3, exists = "
		"true },\n"
		"          { name = \"ops\", pattern = \"([0-9]+) ops\", range = [1, 2] }]\n";
	KT_AUTO_BUF problems = { 0 };
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse(text, "", &problems);
	const struct kt_matrix_payload *payload;
	const struct kt_metric *metrics;

	cr_assert(matrix, "%s", kt_buf_text(&problems));
	cr_assert_eq(matrix->n_payloads, 1);
	payload = &matrix->payloads[0];
	metrics = payload->check.metrics;
	cr_assert_str_eq(payload->name, "stress");
	cr_assert_str_eq(payload->program, "stress-ng");
	cr_assert_eq(payload->program_pos.line, 13);
	cr_assert_eq(payload->n_args, 2);
	cr_assert_str_eq(payload->args[1], "1");
	cr_assert_eq(payload->n_env, 2);
	cr_assert_str_eq(payload->env[0], "A=b=c");
	cr_assert_str_eq(payload->env[1], "LC_ALL=C");
	cr_assert_eq(payload->n_files, 2);
	cr_assert_str_eq(payload->files[0].path, "d.txt");
	cr_assert_str_eq(payload->files[1].to, "/kt/lib/l.so");
	cr_assert_str_eq(payload->check.name, "stress");
	cr_assert_eq(payload->check.deadline_ns, 20000000000);
	cr_assert_eq(payload->check.exit, 3);
	cr_assert_not(payload->check.any_exit);
	cr_assert_eq(payload->check.n_metrics, 2);
	cr_assert_str_eq(metrics[0].json, "a.b[0]");
	cr_assert(metrics[0].has_min && metrics[0].min.type == KT_NUMBER_U64 &&
		  metrics[0].min.u64 == 100);
	cr_assert(metrics[0].has_max && metrics[0].max.type == KT_NUMBER_F64 &&
		  metrics[0].max.f64 == 2e3);
	cr_assert(metrics[0].has_exists && metrics[0].exists && !metrics[0].is_range);
	cr_assert(metrics[1].is_range && metrics[1].has_min && metrics[1].max.u64 == 2);
	cr_assert_null(metrics[1].json);
}

/* line 11 is [[payload]], 12 its name, 13 its program, 14 what is wrong */
static const struct {
	const char *text;
	const char *problem;
} refusals[] = {
	{ "exit = 256", "m:14:8: 'exit' in [[payload]] is 256; it goes from 0 to 255" },
	{ "exit = \"none\"", "m:14:8: 'exit' in [[payload]] is a status, 0 to 255, or \"any\"" },
	{ "deadline = \"0s\"",
	  "m:14:12: 'deadline' in [[payload]] is \"0s\"; it goes from 1ms to 24h00m" },
	{ "env = { A = 1 }", "m:14:13: 'env' in [[payload]] takes strings, not an integer; e.g. "
			     "env = { LC_ALL = \"C\" }" },
	{ "env = { \"A=B\" = \"1\" }",
	  "m:14:9: 'env' in [[payload]]: a name is not empty and has no '='" },
	{ "env = { \"\" = \"1\" }",
	  "m:14:9: 'env' in [[payload]]: a name is not empty and has no '='" },
	{ "env = { A = \"b\\u0000\" }", "m:14:13: 'env' in [[payload]] has a 0 byte in it" },
	{ "files = [{ path = \"a\" }]", "m:14:10: files of [[payload]] needs 'to': where the guest "
					"finds it: below /kt, /kt/lib for a library that is "
					"opened by name; e.g. to = \"/kt/data/data.txt\"" },
	{ "files = [{ path = \"a\", to = \"/etc/a\" }]",
	  "m:14:29: 'to' in files of [[payload]]: '/etc/a' is no plain path below /kt/; e.g. to = "
	  "\"/kt/data/data.txt\"" },
	{ "files = [{ path = \"a\", to = \"/kt/../a\" }]",
	  "m:14:29: 'to' in files of [[payload]]: '/kt/../a' is no plain path below /kt/; e.g. to "
	  "= "
	  "\"/kt/data/data.txt\"" },
	{ "files = [{ path = \"a\", to = \"/kt/a//b\" }]",
	  "m:14:29: 'to' in files of [[payload]]: '/kt/a//b' is no plain path below /kt/; e.g. to "
	  "= "
	  "\"/kt/data/data.txt\"" },
	{ "files = [{ path = \"a\", to = \"/kt/program/x/lib/y\" }]",
	  "m:14:29: 'to' in files of [[payload]]: '/kt/program/x/lib/y' is where ktcoord puts "
	  "programs; e.g. "
	  "to = "
	  "\"/kt/data/data.txt\"" },
	{ "files = [{ path = \"a\", to = \"/kt/bin\" }]",
	  "m:14:29: 'to' in files of [[payload]]: '/kt/bin' is where ktcoord puts programs; e.g. "
	  "to = "
	  "\"/kt/data/data.txt\"" },
	{ "files = [{ path = \"a\", to = \"/kt/a\" }, { path = \"b\", to = \"/kt/a\" }]",
	  "m:14:40: two files of one payload go to /kt/a" },
	{ "metric = [{ name = \"m\" }]",
	  "m:14:11: metric of [[payload]] needs 'json' or 'pattern': where its number is; e.g. "
	  "json = "
	  "\"stressors[0].rate\", or pattern = \"total: ([0-9.]+) ops\"" },
	{ "metric = [{ name = \"m\", json = \"a\", pattern = \"b\" }]",
	  "m:14:37: metric of [[payload]] has both 'json' and 'pattern'; keep one" },
	{ "metric = [{ name = \"m\", json = \"a..b\" }]",
	  "m:14:32: 'json' in metric of [[payload]]: 'a..b': members with one '.' between; e.g. "
	  "\"stressors[0].rate\"" },
	{ "metric = [{ name = \"m\", pattern = \"(a\" }]",
	  "m:14:35: 'pattern' in metric of [[payload]]: '(a': Unmatched ( or \\(" },
	{ "metric = [{ name = \"m\", pattern = \"(a)\\\\1\" }]",
	  "m:14:35: 'pattern' in metric of [[payload]]: '(a)\\1': no back-references (\\1)" },
	{ "metric = [{ name = \"m\", json = \"a\", min = nan }]",
	  "m:14:43: 'min' in metric of [[payload]] takes finite numbers; e.g. min = 100" },
	{ "metric = [{ name = \"m\", json = \"a\", min = 2, max = 1.5 }]",
	  "m:14:11: metric of [[payload]]: its least is more than its most" },
	{ "metric = [{ name = \"m\", json = \"a\", range = [1] }]",
	  "m:14:45: 'range' in metric of [[payload]] takes two numbers; e.g. range = [1, 2.5]" },
	{ "metric = [{ name = \"m\", json = \"a\", range = [1, \"2\"] }]",
	  "m:14:49: 'range' in metric of [[payload]] takes finite numbers; e.g. range = [1, 2.5]" },
	{ "metric = [{ name = \"m\", json = \"a\", range = [1, 2], max = 3 }]",
	  "m:14:37: 'range' in metric of [[payload]] is min and max at once; keep one form" },
	{ "metric = [{ name = \"m\", json = \"a\", exists = false, max = 3 }]",
	  "m:14:11: metric of [[payload]]: what must not exist has no bounds" },
	{ "metric = [{ name = \"m\", json = \"a\" }, { name = \"m\", json = \"b\" }]",
	  "m:14:39: a second metric named 'm' in one payload" },
	{ "argz = []", "m:14:1: unknown key 'argz' in [[payload]]; did you mean 'args'?" },
	{ "[[payload]]\nname = \"p\"\nprogram = \"x\"",
	  "m:15:8: a second payload named 'p'; the first is in line 12" },
};

Test(payloadkeys, what_is_wrong_is_said_where_it_stands)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		KT_AUTO_BUF problems = { 0 };
		char text[512];
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;

		snprintf(text, sizeof(text), "name = \"p\"\nprogram = \"x\"\n%s", refusals[i].text);
		matrix = parse(text, "", &problems);
		cr_assert_null(matrix, "%s", refusals[i].text);
		cr_assert_gt(problems.len, 0);
		problems.data[problems.len - 1] = 0;
		cr_expect_str_eq((const char *)problems.data, refusals[i].problem);
	}
}

Test(payloadkeys, a_name_that_no_payload_has_is_refused_where_it_is_used)
{
	static const char text[] = "[[scenario]]\nname = \"b\"\nduration = "
				   "\"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
				   "cgroup = [{ name = \"c\", payload = \"q\" }]\n"
				   "ops = [{ run_payload = \"q\" }, { wait_payload = \"pp\", "
				   "deadline = \"1s\" }, { kill_payload = \"q\" }]\n";
	KT_AUTO_BUF problems = { 0 };
	KT_AUTO(kt_matrix_destroy)
	struct kt_matrix *matrix = parse("name = \"p\"\nprogram = \"x\"", text, &problems);

	cr_assert_null(matrix);
	cr_assert_str_eq(kt_buf_text(&problems),
			 "m:25:35: unknown payload 'q' in cgroup; known: p\n"
			 "m:26:24: unknown payload 'q' in op run_payload; known: p\n"
			 "m:26:48: unknown payload 'pp' in op wait_payload; did you mean 'p'?\n"
			 "m:26:90: unknown payload 'q' in op kill_payload; known: p\n");
}
