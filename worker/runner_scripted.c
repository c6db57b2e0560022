#include "worker/runner_scripted.h"
#include "proto/base/clock.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/cause.h"
#include "worker/core/boundary.h"
#include "worker/scriptedops.h"
#include "worker/scriptedreport.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX    64
#define COMMANDS_MAX 1024
#define SCALE        1000 /* how much faster than the scenario the empty script plays */

enum verb {
	VERB_BOOT,
	VERB_LOAD,
	VERB_RUN,
	VERB_DRAIN,
	VERB_WAIT,
	VERB_SAMPLE,
	VERB_REPORT, /* any of scriptedreport.h */
	VERB_LOG,
	VERB_LOGS,
	VERB_FAIL,
	VERB_DIE,
	VERB_HANG,
	VERB_CRASH,
	VERB_END,
	VERB_N
};

static const struct {
	const char *name;
	size_t words_min, words_max; /* after the verb */
} verbs[VERB_N] = {
	[VERB_BOOT] = { "boot", 1, 1 }, [VERB_LOAD] = { "load", 1, 1 },
	[VERB_RUN] = { "run", 0, 0 },   [VERB_DRAIN] = { "drain", 1, 1 },
	[VERB_WAIT] = { "wait", 1, 1 }, [VERB_SAMPLE] = { "sample", 0, WORDS_MAX },
	[VERB_LOG] = { "log", 2, 2 },   [VERB_LOGS] = { "logs", 2, 2 },
	[VERB_FAIL] = { "fail", 1, 3 }, [VERB_DIE] = { "die", 1, 3 },
	[VERB_HANG] = { "hang", 0, 0 }, [VERB_CRASH] = { "crash", 0, 1 },
	[VERB_END] = { "end", 0, 0 },
};

struct word {
	char *text; /* without its quotes */
	bool quoted; /* the whole word was */
};

struct command {
	enum verb verb;
	struct word *words;
	size_t n_words;
	int64_t span_ns; /* boot, load, drain, wait */
	uint64_t bytes; /* logs */
	uint64_t times; /* fail, die, crash: only so many first attempts; 0: all */
	const char *text; /* fail, die: the first line, or NULL */
};

struct script {
	struct command *commands;
	size_t n;
	struct kt_scriptedreport report;
};

struct kt_runner {
	uv_loop_t *loop;
	struct kt_run *runs; /* linked */
};

struct kt_run {
	struct kt_runner *runner;
	struct kt_run *next, **link;
	struct kt_arena arena;
	struct kt_msg_job job;
	struct kt_run_events events;
	void *arg;
	struct script script;
	struct kt_err script_err;
	uv_timer_t timer;
	size_t at; /* next command */
	bool running; /* phase "run" was told */
	bool cancelled, closing;
	char cancel_line[256];
	uint64_t samples, periodic, fired;
	int64_t last_elapsed_ns;
	uint64_t counter;
	uint64_t random;
	int64_t began_ns;
	struct kt_buf series; /* every encoded sample, for the digest */
	struct kt_msg_moment timeline[16 + KT_SCRIPTEDOPS_MAX];
	size_t n_timeline;
};

/* ---- reading a script ---- */

static int bad(struct kt_err *err, size_t command, const char *what, const char *word)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "script: command %zu: %s: \"%s\"",
			  command + 1, what, word);
}

/* One word: quotes may open anywhere in it (placeholder="why"). Advances *at_p. */
static int read_word(struct kt_arena *arena, const char **at_p, struct word *word)
{
	const char *at = *at_p;
	char *out = kt_arena_alloc(arena, strlen(at) + 1, 1);
	size_t n = 0;
	bool in_quotes = false;

	word->text = out;
	word->quoted = *at == '"';
	for (; *at && (in_quotes || !strchr(" \t\r\n;#", *at)); at++) {
		if (*at == '"') {
			in_quotes = !in_quotes;
			continue;
		}
		if (in_quotes && *at == '\\' && at[1]) {
			at++;
			out[n++] = *at == 'n' ? '\n' : *at;
			continue;
		}
		out[n++] = *at;
	}
	*at_p = at;
	return in_quotes ? -EINVAL : 0;
}

static bool read_u64(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 0);
	return errno == 0 && *end == 0;
}

static int finish_end(struct command *command, size_t index, size_t first, struct kt_err *err)
{
	for (size_t i = first; i < command->n_words; i++) {
		const struct word *word = &command->words[i];

		if (!word->quoted && word->text[0] == 'x' &&
		    read_u64(word->text + 1, &command->times) && command->times > 0)
			continue;
		if (command->verb == VERB_CRASH || !word->quoted)
			return bad(err, index, "expected \"TEXT\" or xN", word->text);
		command->text = word->text;
	}
	return 0;
}

/* Turns the words of a command into what playing it needs. */
static bool is_epoch_right(const char *word)
{
	uint64_t epoch;

	return strncmp(word, "epoch=", 6) != 0 ||
	       (read_u64(word + 6, &epoch) && epoch <= KT_EPOCHS_MAX);
}

static int finish_command(struct command *command, size_t index, struct kt_err *err)
{
	const char *name = verbs[command->verb].name;

	if (command->n_words < verbs[command->verb].words_min ||
	    command->n_words > verbs[command->verb].words_max)
		return bad(err, index, "wrong number of words after", name);
	switch (command->verb) {
	case VERB_BOOT:
	case VERB_LOAD:
	case VERB_DRAIN:
	case VERB_WAIT:
		if (!kt_duration_parse(command->words[0].text, &command->span_ns))
			return bad(err, index, "not a duration", command->words[0].text);
		return 0;
	case VERB_LOGS:
		if (!read_u64(command->words[1].text, &command->bytes) ||
		    command->bytes > 64 * KT_LOG_BYTES_MAX)
			return bad(err, index, "not a number of bytes", command->words[1].text);
		return 0;
	case VERB_FAIL:
	case VERB_DIE:
		if (!kt_cause_by_name(command->words[0].text))
			return bad(err, index, "no such cause", command->words[0].text);
		return finish_end(command, index, 1, err);
	case VERB_CRASH:
		return finish_end(command, index, 0, err);
	case VERB_SAMPLE:
		for (size_t i = 0; i < command->n_words; i++)
			if (!strpbrk(command->words[i].text, "=!"))
				return bad(err, index, "expected AXIS.PATH=VALUE or AXIS!ERROR",
					   command->words[i].text);
			else if (!is_epoch_right(command->words[i].text))
				return bad(err, index, "expected epoch=N, 0 to 65535",
					   command->words[i].text);
		return 0;
	default:
		return 0;
	}
}

static int read_report(struct script *script, const char *name, struct kt_arena *arena,
		       struct kt_err *err)
{
	const struct command *command = &script->commands[script->n];
	const char *words[WORDS_MAX];
	const char *wrong;
	int status;

	for (size_t i = 0; i < command->n_words; i++)
		words[i] = command->words[i].text;
	status = kt_scriptedreport_add(&script->report, name, words, command->n_words, arena,
				       &wrong);
	if (status == -E2BIG)
		return bad(err, script->n, "too many of them", wrong);
	return status < 0 ? bad(err, script->n, "no such field, or not a value of it", wrong) : 0;
}

static const char *skip_blank(const char *at, bool over_ends)
{
	for (;; at++) {
		if (*at == '#')
			at += strcspn(at, "\n");
		if (!*at || !strchr(over_ends ? " \t\r\n;" : " \t\r", *at))
			return at;
	}
}

/* VERB_N when there is none. */
static enum verb verb_of(const char *name)
{
	enum verb verb = 0;

	while (verb < VERB_N && (!verbs[verb].name || strcmp(verbs[verb].name, name) != 0))
		verb++;
	return verb;
}

static int read_script(struct kt_arena *arena, const char *text, struct script *script,
		       struct kt_err *err)
{
	const char *at = skip_blank(text, true);

	*script = (struct script){
		.commands = kt_arena_alloc(arena, COMMANDS_MAX, sizeof(*script->commands)),
	};
	for (; *at; at = skip_blank(at, true)) {
		struct command *command = &script->commands[script->n];
		struct word word;
		int ret;

		if (script->n == COMMANDS_MAX)
			return bad(err, script->n, "too many commands", "");
		if (read_word(arena, &at, &word) < 0)
			return bad(err, script->n, "a quote is not closed", word.text);
		if (kt_scriptedreport_is(word.text))
			command->verb = VERB_REPORT;
		else
			command->verb = verb_of(word.text);
		if (command->verb == VERB_N)
			return bad(err, script->n, "no such command", word.text);
		command->words = kt_arena_alloc(arena, WORDS_MAX, sizeof(*command->words));
		for (at = skip_blank(at, false); *at && *at != ';' && *at != '\n';
		     at = skip_blank(at, false)) {
			if (command->n_words == WORDS_MAX)
				return bad(err, script->n, "too many words", word.text);
			if (read_word(arena, &at, &command->words[command->n_words]) < 0)
				return bad(err, script->n, "a quote is not closed", word.text);
			command->n_words++;
		}
		ret = command->verb == VERB_REPORT ? read_report(script, word.text, arena, err)
						   : finish_command(command, script->n, err);
		if (ret < 0)
			return ret;
		script->n++;
	}
	return 0;
}

int kt_runner_scripted_check(const char *script, struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	struct script read;

	return read_script(&arena, script, &read, err);
}

/* The empty script, written out. */
static const char *default_script(struct kt_run *run)
{
	const struct kt_msg_scenario *scenario = run->job.scenario;
	size_t n = kt_boundary_count(0, scenario->duration_ns, scenario->samples);
	struct kt_buf text = { 0 };
	const char *copy;
	int64_t last_ns = 0;

	kt_buf_puts(&text, "boot 1ms; load 1ms; run;");
	for (size_t i = 0; i < n; i++) {
		int64_t at_ns = kt_boundary_at_ns(0, scenario->duration_ns, n, i);

		kt_buf_printf(&text, "wait %" PRId64 "ns; sample;", (at_ns - last_ns) / SCALE);
		last_ns = at_ns;
	}
	kt_buf_printf(&text, "wait %" PRId64 "ns; end", (scenario->duration_ns - last_ns) / SCALE);
	copy = kt_arena_strdup(&run->arena, kt_buf_text(&text));
	kt_buf_destroy(&text);
	return copy;
}

/* ---- samples ---- */

static uint64_t draw(struct kt_run *run)
{
	uint64_t z = (run->random += 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static struct kt_value read_value(struct kt_arena *arena, const char *text, bool quoted)
{
	char *end;

	if (quoted)
		return kt_value_str(arena, text);
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return kt_value_bool(*text == 't');
	errno = 0;
	if (*text == '-') {
		long long number = strtoll(text, &end, 0);

		if (errno == 0 && end != text && !*end)
			return kt_value_i64(number);
	} else {
		unsigned long long number = strtoull(text, &end, 0);

		if (errno == 0 && end != text && !*end)
			return kt_value_u64(number);
	}
	if (*text) {
		double number = strtod(text, &end);

		if (!*end)
			return kt_value_f64(number);
	}
	return kt_value_str(arena, text);
}

/* Puts value at a dotted path below map, making maps on the way; an earlier value there is replaced. */
static void put(struct kt_arena *arena, struct kt_value *map, char *path, struct kt_value value)
{
	for (char *part = path; part;) {
		char *dot = strchr(part, '.');
		struct kt_value_pair *pair = NULL;

		if (dot)
			*dot = 0;
		if (map->type != KT_VALUE_MAP)
			*map = kt_value_map(arena, 0);
		for (uint32_t i = 0; i < map->n && !pair; i++)
			if (strcmp(map->pairs[i].key, part) == 0)
				pair = &map->pairs[i];
		if (!pair) {
			struct kt_value bigger = kt_value_map(arena, map->n + 1);

			for (uint32_t i = 0; i < map->n; i++)
				bigger.pairs[i] = map->pairs[i];
			*map = bigger;
			pair = &map->pairs[map->n - 1];
			pair->key = kt_arena_strdup(arena, part);
		}
		if (!dot)
			pair->value = value;
		map = &pair->value;
		part = dot ? dot + 1 : NULL;
	}
}

/* What introspect.h documents: one map, the running scheduler's .bss. */
static struct kt_value wrap_bpf(struct kt_run *run, struct kt_arena *arena, struct kt_value vars)
{
	const char *scheduler = run->job.scheduler->name;
	struct kt_value bpf = kt_value_map(arena, 2);
	struct kt_value maps = kt_value_list(arena, 1);
	struct kt_value map = kt_value_map(arena, 5);

	map.pairs[0] = (struct kt_value_pair){
		"name",
		kt_value_str(arena, kt_arena_printf(arena, "%s.bss", scheduler)),
	};
	map.pairs[1] = (struct kt_value_pair){ "id", kt_value_u64(1) };
	map.pairs[2] = (struct kt_value_pair){ "type", kt_value_str(arena, "array") };
	map.pairs[3] = (struct kt_value_pair){ "running", kt_value_bool(true) };
	map.pairs[4] = (struct kt_value_pair){ "vars", vars };
	maps.items[0] = map;
	bpf.pairs[0] = (struct kt_value_pair){ "scheduler", kt_value_str(arena, scheduler) };
	bpf.pairs[1] = (struct kt_value_pair){ "maps", maps };
	return bpf;
}

static struct kt_msg_axis *axis_of(struct kt_arena *arena, struct kt_msg_sample *sample,
				   const char *name)
{
	for (size_t i = 0; i < sample->n_axes; i++)
		if (strcmp(sample->axes[i].name, name) == 0)
			return &sample->axes[i];
	if (sample->n_axes == KT_AXES_MAX)
		return NULL;
	sample->axes[sample->n_axes] = (struct kt_msg_axis){
		.name = kt_arena_strdup(arena, name),
		.error = "",
		.text = "",
		.value = kt_value_map(arena, 0),
	};
	return &sample->axes[sample->n_axes++];
}

static void fill_given(struct kt_arena *arena, const struct command *command,
		       struct kt_msg_sample *sample)
{
	for (size_t i = 0; i < command->n_words; i++) {
		char *word = kt_arena_strdup(arena, command->words[i].text);
		char *cut = word + strcspn(word, "=!");
		bool is_error = *cut == '!';
		struct kt_msg_axis *axis;
		char *dot;

		*cut++ = 0;
		if (!is_error && strcmp(word, "tag") == 0) {
			sample->tag = cut;
			continue;
		}
		if (!is_error && strcmp(word, "placeholder") == 0) {
			sample->placeholder = cut;
			continue;
		}
		if (!is_error && strcmp(word, "epoch") == 0) {
			read_u64(cut, &sample->epoch);
			continue;
		}
		dot = strchr(word, '.');
		if (dot)
			*dot = 0;
		if (strlen(word) > 32)
			word[32] = 0;
		axis = axis_of(arena, sample, word);
		if (!axis)
			continue;
		if (is_error) {
			axis->error = cut;
			axis->text = "as the script says";
		} else if (dot) {
			put(arena, &axis->value, dot + 1, read_value(arena, cut, false));
		}
	}
}

static void fill_default(struct kt_run *run, struct kt_arena *arena, struct kt_msg_sample *sample)
{
	static const char *const axes[] = { "bpf", "stats" };
	char path[32];

	run->counter += 1000 + draw(run) % 1000;
	for (size_t i = 0; i < sizeof(axes) / sizeof(axes[0]); i++) {
		struct kt_msg_axis *axis = axis_of(arena, sample, axes[i]);

		snprintf(path, sizeof(path), "nr_dispatched");
		put(arena, &axis->value, path, kt_value_u64(run->counter));
		snprintf(path, sizeof(path), "nr_enqueued");
		put(arena, &axis->value, path, kt_value_u64(run->counter + draw(run) % 8));
	}
}

/* The step that runs at that time: each holds from the end of the one before. */
static uint64_t step_at(const struct kt_msg_scenario *scenario, int64_t elapsed_ns)
{
	int64_t end_ns = 0;

	for (uint64_t i = 0; i + 1 < scenario->n_steps; i++) {
		end_ns += scenario->steps[i].hold_ns;
		if (elapsed_ns < end_ns)
			return i;
	}
	return scenario->n_steps ? scenario->n_steps - 1 : 0;
}

static void play_sample(struct kt_run *run, const struct command *command)
{
	const struct kt_msg_scenario *scenario = run->job.scenario;
	size_t n_periodic = kt_boundary_count(0, scenario->duration_ns, scenario->samples);
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF body = { 0 };
	struct kt_msg_sample sample = { .tag = "", .placeholder = "", .seq = run->samples };

	sample.axes = kt_arena_alloc(&arena, KT_AXES_MAX, sizeof(*sample.axes));
	fill_given(&arena, command, &sample);
	if (sample.n_axes == 0 && !*sample.placeholder)
		fill_default(run, &arena, &sample);
	if (!*sample.tag && run->periodic < n_periodic) {
		sample.tag = kt_arena_printf(&arena, "periodic_%03" PRIu64, run->periodic);
		sample.offset_ns =
			kt_boundary_at_ns(0, scenario->duration_ns, n_periodic, run->periodic);
		sample.elapsed_ns = sample.offset_ns + (int64_t)(draw(run) % (2 * KT_NS_PER_MS));
		run->periodic++;
		run->fired++;
	} else {
		if (!*sample.tag)
			sample.tag = kt_arena_printf(&arena, "extra_%03" PRIu64, run->samples);
		sample.elapsed_ns = run->last_elapsed_ns + KT_NS_PER_MS;
	}
	if (sample.elapsed_ns < run->last_elapsed_ns)
		sample.elapsed_ns = run->last_elapsed_ns;
	run->last_elapsed_ns = sample.elapsed_ns;
	sample.step = step_at(scenario, sample.elapsed_ns);
	sample.frozen_ns = (int64_t)(draw(run) % KT_NS_PER_MS);
	for (size_t i = 0; i < sample.n_axes; i++) {
		struct kt_msg_axis *axis = &sample.axes[i];

		if (*axis->error)
			axis->value = kt_value_nil();
		else if (strcmp(axis->name, "bpf") == 0)
			axis->value = wrap_bpf(run, &arena, axis->value);
	}
	kt_codec_encode(&kt_schema_sample, &sample, &body);
	kt_buf_append(&run->series, body.data, body.len);
	run->samples++;
	run->events.sample(run->arg, body.data, body.len);
}

/* ---- playing ---- */

static void on_closed(uv_handle_t *handle)
{
	struct kt_run *run = handle->data;

	kt_buf_destroy(&run->series);
	kt_arena_destroy(&run->arena);
	free(run);
}

static void drop_run(struct kt_run *run)
{
	*run->link = run->next;
	if (run->next)
		run->next->link = run->link;
	run->closing = true;
	uv_close((uv_handle_t *)&run->timer, on_closed);
}

static void finish(struct kt_run *run, const char *cause, const char *line)
{
	int64_t wall_ns = kt_clock_now_ns() - run->began_ns;
	struct kt_digest digest;
	struct kt_msg_machine machine = {
		.runner = "scripted",
		.accel = "none",
		.guest = "none",
		.qemu = "",
		.cpu_model = "",
		.kernel_release = run->job.kernel->version,
	};
	struct kt_msg_result result = {
		.cause = cause,
		.line = line ? line : "",
		.evidence = "",
		.note = "",
		.samples_fired = run->fired,
		.samples_total = run->samples,
		.series_digest = { digest.bytes, KT_DIGEST_BYTES },
		.wall_ns = wall_ns,
		.machine = &machine,
		.timeline = run->timeline,
		.n_timeline = run->n_timeline,
	};

	kt_scriptedreport_fill(&run->script.report, &result);
	kt_digest_of(run->series.data ? run->series.data : (const uint8_t *)"", run->series.len,
		     &digest);
	drop_run(run);
	run->events.ended(run->arg, &result);
}

static void tell_phase(struct kt_run *run, const char *name, int64_t left_ns)
{
	struct kt_msg_run_phase phase = { .phase = name, .left_ns = left_ns, .detail = "" };

	if (run->n_timeline < sizeof(run->timeline) / sizeof(run->timeline[0]))
		run->timeline[run->n_timeline++] = (struct kt_msg_moment){
			.name = name,
			.at_ns = kt_clock_now_ns() - run->began_ns,
			.detail = "",
		};
	run->events.phase(run->arg, &phase);
}

/* What a guest would do meanwhile stands on the timeline behind the phase that it is done in. */
static void add_ops(struct kt_run *run)
{
	run->n_timeline += kt_scriptedops_fill(run->job.scenario, kt_clock_now_ns() - run->began_ns,
					       &run->arena, run->timeline + run->n_timeline,
					       sizeof(run->timeline) / sizeof(run->timeline[0]) -
						       run->n_timeline);
}

static void tell_logs(struct kt_run *run, const char *stream, uint64_t bytes)
{
	static const char line[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc\n";
	KT_AUTO_BUF piece = { 0 };

	while (bytes > 0) {
		size_t want =
			bytes < KT_LOG_PIECE_BYTES_MAX ? (size_t)bytes : KT_LOG_PIECE_BYTES_MAX;

		kt_buf_reset(&piece);
		while (piece.len < want)
			kt_buf_append(&piece, line,
				      want - piece.len < sizeof(line) - 1 ? want - piece.len
									  : sizeof(line) - 1);
		run->events.log(run->arg, stream, piece.data, piece.len);
		bytes -= want;
	}
}

static bool is_for_this_attempt(const struct kt_run *run, const struct command *command)
{
	uint64_t attempt = run->job.attempt ? run->job.attempt : 1;

	return command->times == 0 || attempt <= command->times;
}

/* Plays until something has to be waited for: the wait in ms, or -1 when the run is over or hangs. */
static int64_t play(struct kt_run *run)
{
	while (run->at < run->script.n) {
		const struct command *command = &run->script.commands[run->at++];

		if (!run->running && (command->verb == VERB_WAIT || command->verb == VERB_SAMPLE ||
				      command->verb == VERB_RUN)) {
			run->running = true;
			tell_phase(run, "run", run->job.scenario->duration_ns);
			add_ops(run);
		}
		switch (command->verb) {
		case VERB_BOOT:
		case VERB_LOAD:
		case VERB_DRAIN:
			tell_phase(run, verbs[command->verb].name, command->span_ns);
			/* fall through */
		case VERB_WAIT:
			return command->span_ns / KT_NS_PER_MS;
		case VERB_SAMPLE:
			play_sample(run, command);
			break;
		case VERB_LOG: {
			const char *text =
				kt_arena_printf(&run->arena, "%s\n", command->words[1].text);
			size_t len = strlen(text);

			run->events.log(run->arg, command->words[0].text, text,
					len < KT_LOG_PIECE_BYTES_MAX ? len
								     : KT_LOG_PIECE_BYTES_MAX);
			break;
		}
		case VERB_LOGS:
			tell_logs(run, command->words[0].text, command->bytes);
			break;
		case VERB_FAIL:
		case VERB_DIE:
			if (!is_for_this_attempt(run, command))
				break;
			finish(run, command->words[0].text,
			       command->text ? command->text
					     : kt_cause_by_name(command->words[0].text)->advice);
			return -1;
		case VERB_CRASH:
			if (is_for_this_attempt(run, command))
				abort();
			break;
		case VERB_HANG:
			return -1;
		case VERB_END:
			run->at = run->script.n;
			break;
		case VERB_RUN:
		case VERB_REPORT: /* it was read already */
		case VERB_N:
			break;
		}
		if (run->cancelled)
			return 0;
	}
	finish(run, "finished", "");
	return -1;
}

static void on_timer(uv_timer_t *timer)
{
	struct kt_run *run = timer->data;
	int64_t wait_ms;

	if (run->cancelled) {
		finish(run, "cancelled", run->cancel_line);
		return;
	}
	if (run->script_err.code) {
		finish(run, "host_trouble", run->script_err.text);
		return;
	}
	wait_ms = play(run);
	if (wait_ms >= 0)
		uv_timer_start(timer, on_timer, (uint64_t)wait_ms, 0);
}

/* ---- the runner ---- */

static int scripted_open(uv_loop_t *loop, const struct kt_runner_config *config,
			 struct kt_runner **runner_p, struct kt_err *err)
{
	struct kt_runner *runner = kt_must_calloc(1, sizeof(*runner));

	runner->loop = loop;
	*runner_p = runner;
	return 0;
}

/* Of its own: the job is only borrowed. */
static void copy_job(struct kt_run *run, const struct kt_msg_job *job)
{
	KT_AUTO_BUF bytes = { 0 };
	int ret;

	kt_codec_encode(&kt_schema_job, job, &bytes);
	ret = kt_codec_decode(&kt_schema_job, bytes.data, bytes.len, &run->arena, &run->job, NULL);
	kt_must(ret == 0);
}

static int scripted_start(struct kt_runner *runner, const struct kt_msg_job *job,
			  const struct kt_msg_local_file *files, size_t n_files,
			  const struct kt_run_events *events, void *arg, struct kt_run **run_p,
			  struct kt_err *err)
{
	struct kt_run *run = kt_must_calloc(1, sizeof(*run));

	run->runner = runner;
	run->events = *events;
	run->arg = arg;
	run->began_ns = kt_clock_now_ns();
	copy_job(run, job);
	run->random = run->job.seed;
	if (read_script(&run->arena, *run->job.script ? run->job.script : default_script(run),
			&run->script, &run->script_err) < 0)
		run->at = 0;
	run->next = runner->runs;
	run->link = &runner->runs;
	if (run->next)
		run->next->link = &run->next;
	runner->runs = run;
	uv_timer_init(runner->loop, &run->timer);
	run->timer.data = run;
	uv_timer_start(&run->timer, on_timer, 0, 0);
	*run_p = run;
	return 0;
}

static void scripted_cancel(struct kt_run *run, const char *reason)
{
	if (run->cancelled || run->closing)
		return;
	run->cancelled = true;
	snprintf(run->cancel_line, sizeof(run->cancel_line), "%s", reason ? reason : "");
	uv_timer_start(&run->timer, on_timer, 0, 0);
}

static void scripted_destroy(struct kt_runner **runner_p)
{
	struct kt_runner *runner = kt_take(runner_p);

	if (!runner)
		return;
	while (runner->runs)
		drop_run(runner->runs);
	free(runner);
}

const struct kt_runner_ops kt_runner_scripted = {
	.name = "scripted",
	.open = scripted_open,
	.start = scripted_start,
	.cancel = scripted_cancel,
	.destroy = scripted_destroy,
};
