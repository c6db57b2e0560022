#include "coordinator/metrics.h"
#include "coordinator/matrixfile.h"

#include <criterion/criterion.h>
#include <string.h>

static const char text[] =
	"[sweep]\nname = \"s\"\n[[kernel]]\nname = \"k\"\npath = \"/k\"\n"
	"[[scheduler]]\nname = \"eevdf\"\n[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
	"[[payload]]\nname = \"bench\"\nprogram = \"bench\"\n"
	"metric = [{ name = \"rate\", json = \"result.rate\", min = 100 },\n"
	"          { name = \"ops\", pattern = \"ops: ([0-9]+)\", max = 10, exists = true }]\n"
	"[[payload]]\nname = \"unused\"\nprogram = \"unused\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
	"cgroup = [{ name = \"cg_0\", workers = 1, work = \"spin\", payload = \"bench\" }]\n"
	"[[scenario]]\nname = \"none\"\nduration = \"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
	"cgroup = [{ name = \"cg_0\", workers = 1, work = \"spin\" }]\n"
	"[[scenario]]\nname = \"op\"\nduration = \"10s\"\n[[scenario.step]]\nhold = \"full\"\n"
	"ops = [{ run_payload = \"bench\" }]\n";

static void complain(void *arg, const char *line)
{
	cr_assert_fail("%s", line);
}

static struct kt_matrix *matrix_of(void)
{
	struct kt_matrix *matrix = NULL;
	struct kt_err err = { 0 };

	kt_matrixfile_parse("m", (const uint8_t *)text, strlen(text), complain, NULL, &matrix,
			    &err);
	cr_assert(matrix, "%s", err.text);
	return matrix;
}

static struct kt_msg_payload_report report(const char *name, const char *out, const char *errors)
{
	return (struct kt_msg_payload_report){
		.name = name,
		.cgroup = "cg_0",
		.ended = "exited",
		.wall_ns = 1500000000,
		.out = { (const uint8_t *)out, strlen(out) },
		.out_bytes = strlen(out),
		.errors = { (const uint8_t *)errors, strlen(errors) },
		.text = "",
	};
}

Test(metrics, a_scenario_s_payloads_are_those_that_it_starts)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of();
	static const size_t n[] = { 1, 0, 1 };

	for (size_t i = 0; i < 3; i++) {
		KT_AUTO_ARENA arena = { 0 };
		const struct kt_matrix_payload **payloads;

		cr_assert_eq(kt_matrix_payloads(matrix, &matrix->scenarios[i], &arena, &payloads),
			     n[i]);
		if (n[i])
			cr_assert_str_eq(payloads[0]->name, "bench");
	}
}

/* out, errors, and every detail that is said: "outcome: text" */
static const struct {
	const char *out;
	const char *errors;
	const char *said;
} outputs[] = {
	{ "{\"result\": {\"rate\": 150.5}}", "ops: 7",
	  "note: payload bench: exited with status 0 after 1.5s\n"
	  "note: payload bench, rate: 150.5\n"
	  "note: payload bench, ops: 7\n" },
	{ "hello\n{broken\n  {\"result\": {\"rate\": 15}}\nops: 70\n", "",
	  "note: payload bench: exited with status 0 after 1.5s\n"
	  "fail: payload bench, rate: 15 is less than 100 (min)\n"
	  "fail: payload bench, ops: 70 is more than 10 (max)\n" },
	{ "no numbers", "",
	  "note: payload bench: exited with status 0 after 1.5s\n"
	  "inconclusive: payload bench, rate: cannot be read: its output is no JSON: no line of it "
	  "begins with '{' or '['\n"
	  "fail: payload bench, ops: does not exist: nothing in its output matches \"ops: "
	  "([0-9]+)\"\n" },
	{ "[1, 2]\nops: 1", "",
	  "note: payload bench: exited with status 0 after 1.5s\n"
	  "inconclusive: payload bench, rate: cannot be read: there is no result.rate in its "
	  "output; the top of it has 2 "
	  "items\n"
	  "note: payload bench, ops: 1\n" },
	{ "{\"result\": \nops: 1", "",
	  "note: payload bench: exited with status 0 after 1.5s\n"
	  "inconclusive: payload bench, rate: cannot be read: its output is no JSON: not JSON: "
	  "unexpected character at "
	  "byte 12\n"
	  "note: payload bench, ops: 1\n" },
};

Test(metrics, what_was_printed_is_judged)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of();

	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		struct kt_msg_payload_report msg =
			report("bench", outputs[i].out, outputs[i].errors);
		struct kt_msg_result result = { .cause = "finished",
						.payloads = &msg,
						.n_payloads = 1 };
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF said = { 0 };
		struct kt_metrics metrics;
		struct kt_verdict verdict;

		kt_verdict_init(&verdict, &arena);
		kt_metrics_read(matrix, &matrix->scenarios[0], &result, &arena, &metrics);
		kt_metrics_judge(&metrics, &verdict);
		for (const struct kt_verdict_detail *d = verdict.first; d; d = d->next)
			kt_buf_printf(&said, "%s: %s\n", kt_verdict_outcome_name(d->outcome),
				      d->text);
		cr_expect_str_eq(kt_buf_text(&said), outputs[i].said);
	}
}

Test(metrics, a_report_that_is_missing_is_told_only_when_it_should_be_there)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of();
	static const struct {
		const char *cause;
		size_t n;
	} causes[] = { { "finished", 1 }, { "kernel_panic", 0 } };

	for (size_t i = 0; i < 2; i++) {
		struct kt_msg_result result = { .cause = causes[i].cause };
		KT_AUTO_ARENA arena = { 0 };
		struct kt_metrics metrics;
		struct kt_verdict verdict;

		kt_verdict_init(&verdict, &arena);
		kt_metrics_read(matrix, &matrix->scenarios[0], &result, &arena, &metrics);
		kt_metrics_judge(&metrics, &verdict);
		cr_assert_eq(verdict.n, causes[i].n, "%s", causes[i].cause);
	}
}

Test(metrics, they_are_shown_and_no_byte_moves_a_cursor)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = matrix_of();
	struct kt_msg_payload_report msgs[] = {
		report("bench", "\x1b[2Jops: 7\r\nmore", "oh\n"),
		report("bench", "", ""),
		report("other", "x", ""),
	};
	struct kt_msg_result result = { .cause = "finished", .payloads = msgs, .n_payloads = 3 };
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_FREE char *printed = NULL;
	struct kt_metrics metrics;
	struct json_object *json;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	msgs[0].out_bytes = 1000;
	msgs[1].ended = "signaled";
	msgs[1].status = 9;
	kt_metrics_read(matrix, &matrix->scenarios[0], &result, &arena, &metrics);
	kt_metrics_print(&metrics, true, out);
	fclose(out);
	cr_assert_str_eq(
		printed,
		"payloads:\n"
		"  bench in cg_0, step 0: exited with status 0 after 1.5s; 1000 bytes of output, "
		"of which 16 are kept\n"
		"    rate                 its output is no JSON: no line of it begins with '{' or "
		"'[' (16 of its 1000 bytes "
		"were kept)\n"
		"    ops                  7\n"
		"  bench| ops: 7\n"
		"  bench| more\n"
		"  bench (errors)| oh\n"
		"  bench in cg_0, step 0: was ended by signal 9 (SIGKILL) after 1.5s; 0 bytes of "
		"output\n"
		"    rate                 its output is no JSON: no line of it begins with '{' or "
		"'['\n"
		"    ops                  nothing in its output matches \"ops: ([0-9]+)\"\n"
		"  other in cg_0, step 0: exited with status 0 after 1.5s; 1 byte of output\n"
		"  other| x\n");
	json = kt_metrics_json(&metrics, false);
	cr_assert_str_eq(json_object_to_json_string_ext(json_object_array_get_idx(json, 0), 0),
			 "{\"name\":\"bench\",\"cgroup\":\"cg_0\",\"step\":0,\"ended\":\"exited\","
			 "\"status\":0,"
			 "\"wall_ns\":1500000000,\"out_bytes\":1000,\"text\":\"\",\"metrics\":{"
			 "\"rate\":null,\"ops\":7},"
			 "\"missing\":{\"rate\":\"its output is no JSON: no line of it begins with "
			 "'{' or '[' (16 of its "
			 "1000 bytes were kept)\"}}");
	json_object_put(json);
}
