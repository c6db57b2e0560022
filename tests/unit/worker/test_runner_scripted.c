#include "worker/runner_scripted.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct heard {
	uv_loop_t loop;
	struct kt_arena arena;
	struct kt_msg_sample samples[16];
	size_t n_samples;
	char phases[128];
	struct kt_buf log;
	struct kt_buf series;
	unsigned int ends;
	char cause[64], line[256];
	uint64_t fired, total;
	uint64_t n_reports, work_units; /* of the last one */
	bool whole; /* the digest is that of the samples */
	struct kt_run *run;
};

static void on_phase(void *arg, const struct kt_msg_run_phase *phase)
{
	struct heard *heard = arg;

	strncat(heard->phases, phase->phase, 32);
	strncat(heard->phases, " ", 2);
}

static void on_sample(void *arg, const void *body, size_t len)
{
	struct heard *heard = arg;
	struct kt_err err = { 0 };

	kt_must(heard->n_samples < 16);
	cr_assert_eq(kt_codec_decode(&kt_schema_sample, body, len, &heard->arena,
				     &heard->samples[heard->n_samples++], &err),
		     0, "%s", err.text);
	kt_buf_append(&heard->series, body, len);
}

static void on_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	struct heard *heard = arg;

	kt_buf_append(&heard->log, bytes, len);
}

static void on_ended(void *arg, const struct kt_msg_result *result)
{
	struct heard *heard = arg;
	struct kt_digest digest;

	heard->ends++;
	heard->run = NULL;
	snprintf(heard->cause, sizeof(heard->cause), "%s", result->cause);
	snprintf(heard->line, sizeof(heard->line), "%s", result->line);
	heard->n_reports = result->n_reports;
	for (size_t i = 0; i < result->n_reports; i++)
		heard->work_units = result->reports[i].work_units;
	heard->fired = result->samples_fired;
	heard->total = result->samples_total;
	kt_digest_of(heard->series.data ? heard->series.data : (const uint8_t *)"",
		     heard->series.len, &digest);
	heard->whole = memcmp(digest.bytes, result->series_digest.data, KT_DIGEST_BYTES) == 0;
	cr_assert_str_eq(result->machine->runner, "scripted");
	cr_assert_str_eq(result->machine->accel, "none");
	cr_assert_str_eq(result->machine->guest, "none");
}

static const struct kt_run_events events = { on_phase, on_sample, on_log, on_ended, NULL };

static void play(struct heard *heard, const char *script, uint64_t seed, uint64_t attempt,
		 const char *cancel)
{
	struct kt_msg_kernel kernel = { .name = "none", .version = "" };
	struct kt_msg_scheduler scheduler = { .name = "scx_kt" };
	struct kt_msg_topology topology = {
		.name = "t", .numa_nodes = 1, .llcs = 1, .cores = 1, .threads = 1, .mem_bytes = 1
	};
	struct kt_msg_step step = { .hold_ns = 1 };
	struct kt_msg_scenario scenario = { .name = "s",
					    .duration_ns = 10 * KT_NS_PER_S,
					    .samples = 3,
					    .steps = &step,
					    .n_steps = 1 };
	struct kt_msg_job job = { .cell_name = "c",
				  .kernel = &kernel,
				  .scheduler = &scheduler,
				  .topology = &topology,
				  .scenario = &scenario,
				  .seed = seed,
				  .script = script,
				  .attempt = attempt };
	struct kt_runner_config config = { .slots = 1 };
	struct kt_runner *runner = NULL;
	struct kt_err err = { 0 };

	*heard = (struct heard){ 0 };
	uv_loop_init(&heard->loop);
	cr_assert_eq(kt_runner_scripted.open(&heard->loop, &config, &runner, &err), 0);
	cr_assert_eq(kt_runner_scripted.start(runner, &job, NULL, 0, &events, heard, &heard->run,
					      &err),
		     0);
	cr_assert_eq(heard->ends + heard->n_samples, 0, "no callback from inside start()");
	if (cancel) {
		uv_run(&heard->loop, UV_RUN_NOWAIT);
		kt_runner_scripted.cancel(heard->run, cancel);
		cr_assert_eq(heard->ends, 0, "no callback from inside cancel()");
	}
	uv_run(&heard->loop, UV_RUN_DEFAULT);
	kt_runner_scripted.destroy(&runner);
	cr_assert_eq(uv_loop_close(&heard->loop), 0);
	cr_assert_eq(heard->ends, 1);
	cr_assert(heard->whole);
}

static void drop(struct heard *heard)
{
	kt_arena_destroy(&heard->arena);
	kt_buf_destroy(&heard->log);
	kt_buf_destroy(&heard->series);
}

static const struct kt_value *axis(const struct kt_msg_sample *sample, const char *name)
{
	for (size_t i = 0; i < sample->n_axes; i++)
		if (strcmp(sample->axes[i].name, name) == 0)
			return &sample->axes[i].value;
	return NULL;
}

static uint64_t bss(const struct kt_msg_sample *sample, const char *variable)
{
	const struct kt_value *maps = kt_value_get(axis(sample, "bpf"), "maps");
	const struct kt_value *value =
		kt_value_get(kt_value_get(&maps->items[0], "vars"), variable);

	cr_assert_str_eq(kt_value_get(&maps->items[0], "name")->str, "scx_kt.bss");
	cr_assert(kt_value_get(&maps->items[0], "running")->boolean);
	cr_assert_not_null(value);
	return value->u64;
}

Test(runner_scripted, the_empty_script_is_a_scenario_with_rising_counters)
{
	struct heard a, b;

	play(&a, "", 7, 1, NULL);
	cr_assert_str_eq(a.cause, "finished");
	cr_assert_str_eq(a.phases, "boot load run ");
	cr_assert_eq(a.n_samples, 3);
	cr_assert_eq(a.fired, 3);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(a.samples[i].offset_ns, (int64_t)(3 + 2 * i) * KT_NS_PER_S);
		cr_assert_geq(a.samples[i].elapsed_ns, a.samples[i].offset_ns);
		cr_assert_eq(a.samples[i].seq, i);
		if (i)
			cr_assert_gt(bss(&a.samples[i], "nr_dispatched"),
				     bss(&a.samples[i - 1], "nr_dispatched"));
		cr_assert_eq(kt_value_get(axis(&a.samples[i], "stats"), "nr_dispatched")->u64,
			     bss(&a.samples[i], "nr_dispatched"));
	}
	cr_assert_str_eq(a.samples[2].tag, "periodic_002");
	play(&b, "", 7, 1, NULL);
	cr_assert_eq(a.series.len, b.series.len, "the seed decides");
	cr_assert_eq(memcmp(a.series.data, b.series.data, a.series.len), 0);
	drop(&a);
	drop(&b);
}

Test(runner_scripted, a_script_is_played_word_for_word)
{
	struct heard heard;

	play(&heard,
	     "boot 2ms; load 1ms # comment ; end\n"
	     "sample bpf.nr_dispatched=18446744073709551615 stats.a.b=-5 stats.a.c=1.5; wait 1ms\n"
	     "log console \"say \\\"hi\\\"\"; sample stats!deadline tag=mine\n"
	     "sample placeholder=\"too slow\"; drain 1ms\n"
	     "fail scheduler_stalled \"for 5 s\"; sample",
	     1, 1, NULL);
	cr_assert_str_eq(heard.cause, "scheduler_stalled");
	cr_assert_str_eq(heard.line, "for 5 s");
	cr_assert_str_eq(heard.phases, "boot load run drain ");
	cr_assert_str_eq(kt_buf_text(&heard.log), "say \"hi\"\n");
	cr_assert_eq(heard.n_samples, 3);
	cr_assert_eq(heard.fired, 2);
	cr_assert_eq(heard.total, 3);
	cr_assert_eq(bss(&heard.samples[0], "nr_dispatched"), UINT64_MAX);
	cr_assert_eq(kt_value_get(kt_value_get(axis(&heard.samples[0], "stats"), "a"), "b")->i64,
		     -5);
	cr_assert_str_eq(heard.samples[1].tag, "mine");
	cr_assert_str_eq(heard.samples[1].axes[0].error, "deadline");
	cr_assert_str_eq(heard.samples[2].tag, "periodic_001");
	cr_assert_str_eq(heard.samples[2].placeholder, "too slow");
	drop(&heard);
}

Test(runner_scripted, only_the_first_attempts_die_when_the_script_says_so)
{
	for (uint64_t attempt = 1; attempt <= 3; attempt++) {
		struct heard heard;

		play(&heard, "boot 1ms; die qemu_died \"gone\" x2; end", 1, attempt, NULL);
		cr_assert_str_eq(heard.cause, attempt <= 2 ? "qemu_died" : "finished");
		drop(&heard);
	}
}

Test(runner_scripted, reports_arrive_however_it_ends)
{
	struct heard heard;

	play(&heard, "report a work_units=3; sample; report a work_units=4; fail kernel_panic", 1,
	     1, NULL);
	cr_assert_str_eq(heard.cause, "kernel_panic");
	cr_assert_eq(heard.n_reports, 2);
	cr_assert_eq(heard.work_units, 4);
	drop(&heard);
}

Test(runner_scripted, what_hangs_can_be_cancelled)
{
	struct heard heard;

	play(&heard, "hang", 1, 1, "enough");
	cr_assert_str_eq(heard.cause, "cancelled");
	cr_assert_str_eq(heard.line, "enough");
	drop(&heard);
}

Test(runner_scripted, a_bad_script_is_host_trouble_with_its_place)
{
	static const char *const scripts[] = {
		"boot",
		"wait 5",
		"end; dance",
		"fail no_such_cause",
		"log console",
		"log console \"x",
		"sample nothing",
		"die qemu_died x0",
		"crash 3",
		"wait 1ms 2ms",
		"fail finished hm",
		"report",
		"report cg units=1",
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		struct heard heard;
		struct kt_err err = { 0 };

		cr_assert_lt(kt_runner_scripted_check(scripts[i], &err), 0, "%s", scripts[i]);
		cr_assert_not_null(strstr(err.text, "command "));
		play(&heard, scripts[i], 1, 1, NULL);
		cr_assert_str_eq(heard.cause, "host_trouble");
		cr_assert_str_eq(heard.line, err.text);
		drop(&heard);
	}
}
