/* layer: worker */
/* ktattempt.c - runs attempts through the qemu runner, without a coordinator, and prints what comes back as
 * JSON lines: {"start"}, {"phase"}, {"log"}, {"sample"}, {"result"}. For tests, benchmarks and people.
 *
 *	ktattempt --kernel vmlinuz --ktguest ktguest [--scheduler scx_kt] [options] [-- scheduler args]
 *
 * The scheduler must be a static program. Exit status: 0 when the cause is --expect (default finished), else 1.
 * As ktworker does, it is its own attempt process: `ktattempt attempt`.
 */
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/duration.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/json/tojson.h"
#include "worker/attempt_main.h"
#include "worker/host.h"
#include "worker/runner.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct job;

struct tool {
	uv_loop_t loop;
	uv_timer_t cancel;
	uv_signal_t interrupt;
	struct kt_runner *runner;
	struct kt_run *run;
	bool logs; /* print logs as well */
	const struct job *job;
	uint64_t left; /* attempts, one after the other */
	uv_timer_t next;
	const char *expect;
	int status;
	int64_t began_ns;
};

static void print(struct tool *tool, const char *kind, struct json_object *object)
{
	struct json_object *line = json_object_new_object();
	double ms = (double)(kt_clock_now_ns() - tool->began_ns) / (double)KT_NS_PER_MS;

	json_object_object_add(line, "at_ms", json_object_new_double(ms));
	json_object_object_add(line, kind, object);
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
	json_object_put(line);
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text ? text : ""));
}

static void on_phase(void *arg, const struct kt_msg_run_phase *phase)
{
	print(arg, "phase", kt_tojson_struct(&kt_schema_run_phase, phase));
}

static void on_sample(void *arg, const void *body, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sample sample;
	struct kt_err err = { 0 };

	kt_must(kt_codec_decode(&kt_schema_sample, body, len, &arena, &sample, &err) == 0);
	print(arg, "sample", kt_tojson_struct(&kt_schema_sample, &sample));
}

static void on_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	struct tool *tool = arg;
	struct json_object *object;

	if (!tool->logs)
		return;
	object = json_object_new_object();
	add_text(object, "stream", stream);
	json_object_object_add(object, "text", kt_tojson_text(bytes, len));
	print(tool, "log", object);
}

static void on_next(uv_timer_t *timer);

static void on_ended(void *arg, const struct kt_msg_result *result)
{
	struct tool *tool = arg;

	print(tool, "result", kt_tojson_struct(&kt_schema_result, result));
	tool->status |= strcmp(result->cause, tool->expect) != 0;
	tool->run = NULL;
	if (--tool->left > 0)
		uv_timer_start(&tool->next, on_next, 0, 0);
	else
		uv_stop(&tool->loop);
}

static void on_cancel(uv_timer_t *timer)
{
	struct tool *tool = timer->data;

	if (tool->run)
		kt_runner_qemu.cancel(tool->run, "--cancel-after");
}

static void on_interrupt(uv_signal_t *handle, int sig)
{
	struct tool *tool = handle->data;

	if (tool->run)
		kt_runner_qemu.cancel(tool->run, "interrupted");
}

/* ---- the job ---- */

#define FILES_MAX       8
/* Enough for a few templates, too little for a guest that stands by. */
#define NO_SPARES_BYTES (480ull << 20)

struct job {
	struct kt_msg_job job;
	struct kt_msg_kernel kernel;
	struct kt_msg_scheduler scheduler;
	struct kt_msg_file shipped[FILES_MAX];
	struct kt_msg_arg args[KT_ARGS_MAX];
	struct kt_msg_topology topology;
	struct kt_msg_node nodes[KT_GUEST_NODES_MAX];
	struct kt_msg_distance distances[KT_GUEST_NODES_MAX][KT_GUEST_NODES_MAX];
	struct kt_msg_scenario scenario;
	struct kt_msg_step step;
	struct kt_msg_group group;
	struct kt_msg_cgroup cgroup;
	struct kt_digest digests[FILES_MAX + 1];
	struct kt_msg_local_file files[FILES_MAX + 1]; /* the kernel first */
	size_t n_files;
};

static struct kt_bin add_file(struct job *job, const char *path, uint64_t *bytes)
{
	struct kt_digest *digest = &job->digests[job->n_files];
	struct kt_err err = { 0 };
	struct kt_bin bin = { digest->bytes, sizeof(digest->bytes) };

	if (kt_digest_of_file(path, digest, bytes, &err) < 0) {
		fprintf(stderr, "ktattempt: %s\n", err.text);
		exit(2);
	}
	job->files[job->n_files++] = (struct kt_msg_local_file){ bin, path };
	return bin;
}

static void init_job(struct job *job)
{
	memset(job, 0, sizeof(*job));
	job->kernel = (struct kt_msg_kernel){ .name = "kernel", .version = "" };
	job->scheduler = (struct kt_msg_scheduler){ .name = "eevdf" };
	job->topology = (struct kt_msg_topology){ .name = "small",
						  .numa_nodes = 1,
						  .llcs = 1,
						  .cores = 2,
						  .threads = 1,
						  .mem_bytes = 256u << 20 };
	job->group = (struct kt_msg_group){ .workers = 2, .work = "spin" };
	job->cgroup =
		(struct kt_msg_cgroup){ .name = "cg_0", .groups = &job->group, .n_groups = 1 };
	job->step = (struct kt_msg_step){ .cgroups = &job->cgroup, .n_cgroups = 1 };
	job->scenario = (struct kt_msg_scenario){ .name = "temporal",
						  .duration_ns = 10 * KT_NS_PER_S,
						  .samples = 3,
						  .steps = &job->step,
						  .n_steps = 1 };
	job->job = (struct kt_msg_job){ .cell_name = "temporal/kernel/scheduler/small#0",
					.kernel = &job->kernel,
					.scheduler = &job->scheduler,
					.topology = &job->topology,
					.scenario = &job->scenario,
					.script = "",
					.attempt = 1 };
}

/* Below /kt/bin in the guest, by its own name. */
static const char *ship(struct job *job, const char *path)
{
	struct kt_msg_file *file = &job->shipped[job->scheduler.n_files];
	const char *slash = strrchr(path, '/');

	kt_must(job->scheduler.n_files < FILES_MAX);
	file->path = kt_must_asprintf("/kt/bin/%s", slash ? slash + 1 : path);
	file->mode = 0755;
	file->digest = add_file(job, path, &file->bytes);
	job->scheduler.files = job->shipped;
	job->scheduler.n_files++;
	return file->path;
}

static void set_scheduler(struct job *job, const char *path, char **args)
{
	job->scheduler.name = "scheduler";
	job->scheduler.args = job->args;
	job->args[job->scheduler.n_args++].text = ship(job, path);
	for (; *args && job->scheduler.n_args < KT_ARGS_MAX; args++)
		job->args[job->scheduler.n_args++].text = *args;
}

/* ---- the job as JSON: any part of it over what the options say, in the words of proto/job.def ---- */

static struct kt_arena job_arena; /* lives as long as the program */

static void no_job(const char *format, const char *what)
{
	fprintf(stderr, format, what);
	exit(2);
}

static void fill(const struct kt_schema *schema, struct json_object *json, void *into);

static void fill_list(const struct kt_field *field, struct json_object *json, uint8_t *into)
{
	size_t n = json_object_array_length(json);
	uint8_t *items = kt_arena_alloc(&job_arena, n + 1, field->of->size);

	for (size_t i = 0; i < n; i++)
		fill(field->of, json_object_array_get_idx(json, i), items + i * field->of->size);
	memcpy(into + field->offset, &items, sizeof(items));
	memcpy(into + field->count_offset, &n, sizeof(n));
}

static void fill_field(const struct kt_field *field, struct json_object *json, uint8_t *into)
{
	void *at = into + field->offset;

	switch (field->type) {
	case KT_FIELD_BOOL:
		*(bool *)at = json_object_get_boolean(json);
		break;
	case KT_FIELD_U64:
		*(uint64_t *)at = json_object_get_uint64(json);
		break;
	case KT_FIELD_I64:
		*(int64_t *)at = json_object_get_int64(json);
		break;
	case KT_FIELD_STR:
		*(const char **)at = kt_arena_strdup(&job_arena, json_object_get_string(json));
		break;
	case KT_FIELD_ONE:
		*(void **)at = kt_arena_alloc(&job_arena, 1, field->of->size);
		fill(field->of, json, *(void **)at);
		break;
	case KT_FIELD_LIST:
		fill_list(field, json, into);
		break;
	default:
		no_job("ktattempt: --job: %s cannot be given\n", field->name);
	}
}

static void fill(const struct kt_schema *schema, struct json_object *json, void *into)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];
		const char **text = (const char **)((uint8_t *)into + field->offset);
		struct json_object *value;

		if (json_object_object_get_ex(json, field->name, &value))
			fill_field(field, value, into);
		else if (field->type == KT_FIELD_STR && !*text)
			*text = "";
	}
	json_object_object_foreach(json, key, ignored)
	{
		size_t i = 0;

		(void)ignored;
		while (i < schema->n_fields && strcmp(schema->fields[i].name, key) != 0)
			i++;
		if (i == schema->n_fields)
			no_job("ktattempt: --job: there is no key %s\n", key);
	}
}

static void read_job(struct job *job, const char *path)
{
	struct json_object *json = json_object_from_file(path);

	if (!json)
		no_job("ktattempt: %s\n", json_util_get_last_err());
	fill(&kt_schema_job, json, &job->job);
	json_object_put(json);
}

static void on_next(uv_timer_t *timer)
{
	static const struct kt_run_events events = { on_phase, on_sample, on_log, on_ended, NULL };
	struct tool *tool = timer->data;
	struct kt_err err = { 0 };

	print(tool, "start", json_object_new_int64((int64_t)tool->left));
	if (kt_runner_qemu.start(tool->runner, &tool->job->job, tool->job->files,
				 tool->job->n_files, &events, tool, &tool->run, &err) == 0)
		return;
	fprintf(stderr, "ktattempt: %s\n", err.text);
	tool->status = 2;
	uv_stop(&tool->loop);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: ktattempt --kernel FILE --ktguest FILE [--scheduler FILE] [--file "
		"FILE]...\n"
		"	[--qemu PROGRAM] [--accel tcg|kvm] [--cpus NnNlNcNt] [--mem MIB]\n"
		"	[--node MIB[:DISTANCE,DISTANCE...]]...\n"
		"	[--duration SPAN] [--hold SPAN] [--watchdog SPAN] [--samples N] [--workers "
		"N]\n"
		"	[--cache DIR] [--cold] [--repeat N] [--spares] [--cancel-after SPAN] "
		"[--expect "
		"CAUSE]\n"
		"	[--job JSON] [--logs] [-- ARGS]\n");
	exit(2);
}

static int64_t span(const char *text)
{
	int64_t ns;

	if (!kt_duration_parse(text, &ns))
		usage();
	return ns;
}

enum {
	KERNEL = 256,
	KTGUEST,
	SCHEDULER,
	SHIP,
	QEMU,
	ACCEL,
	CPUS,
	MEM,
	NODE,
	DURATION,
	HOLD,
	WATCHDOG,
	SAMPLES,
	WORKERS,
	CACHE,
	CANCEL_AFTER,
	EXPECT,
	COLD,
	REPEAT,
	SPARES,
	JOB,
	LOGS
};

static const struct option options[] = {
	{ "kernel", required_argument, NULL, KERNEL },
	{ "ktguest", required_argument, NULL, KTGUEST },
	{ "scheduler", required_argument, NULL, SCHEDULER },
	{ "file", required_argument, NULL, SHIP },
	{ "qemu", required_argument, NULL, QEMU },
	{ "accel", required_argument, NULL, ACCEL },
	{ "cpus", required_argument, NULL, CPUS },
	{ "mem", required_argument, NULL, MEM },
	{ "node", required_argument, NULL, NODE },
	{ "duration", required_argument, NULL, DURATION },
	{ "hold", required_argument, NULL, HOLD },
	{ "watchdog", required_argument, NULL, WATCHDOG },
	{ "samples", required_argument, NULL, SAMPLES },
	{ "workers", required_argument, NULL, WORKERS },
	{ "cache", required_argument, NULL, CACHE },
	{ "cancel-after", required_argument, NULL, CANCEL_AFTER },
	{ "expect", required_argument, NULL, EXPECT },
	{ "cold", no_argument, NULL, COLD },
	{ "repeat", required_argument, NULL, REPEAT },
	{ "spares", no_argument, NULL, SPARES },
	{ "job", required_argument, NULL, JOB },
	{ "logs", no_argument, NULL, LOGS },
	{ 0 },
};

static void set_cpus(struct kt_msg_topology *topology, const char *text)
{
	unsigned long long n, l, c, t;

	if (sscanf(text, "%llun%llul%lluc%llut", &n, &l, &c, &t) != 4)
		usage();
	topology->numa_nodes = n;
	topology->llcs = l;
	topology->cores = c;
	topology->threads = t;
}

/* The next node of the topology; the memory is what they have together. */
static void add_node(struct job *job, const char *text)
{
	size_t n = job->topology.n_nodes;
	struct kt_msg_node *node = &job->nodes[n];
	char *at;

	if (n == KT_GUEST_NODES_MAX)
		usage();
	node->mem_bytes = strtoull(text, &at, 10) << 20;
	node->distances = job->distances[n];
	while (*at == ':' || *at == ',') {
		if (node->n_distances == KT_GUEST_NODES_MAX)
			usage();
		node->distances[node->n_distances++].value = strtoull(at + 1, &at, 10);
	}
	if (*at)
		usage();
	job->topology.mem_bytes = (n ? job->topology.mem_bytes : 0) + node->mem_bytes;
	job->topology.nodes = job->nodes;
	job->topology.n_nodes = n + 1;
}

int main(int argc, char **argv)
{
	static struct job job;
	static char qemu[KT_PATH_BYTES_MAX];
	static struct tool tool;
	struct kt_runner_config config = { .cache_dir = "/tmp/ktattempt-cache",
					   .accel = "tcg",
					   .qemu = "qemu-system-x86_64",
					   .cpu_model = "",
					   .slots = 1,
					   .mem_bytes = NO_SPARES_BYTES,
					   .cache_bytes_max = KT_CACHE_BYTES_MAX };
	const char *kernel = NULL;
	const char *scheduler = NULL;
	const char *job_file = NULL;
	const char *files[FILES_MAX];
	size_t n_files = 0;
	int64_t cancel_ns = 0;
	struct kt_err err = { 0 };
	int option;

	if (argc == 2 && strcmp(argv[1], "attempt") == 0)
		return kt_attempt_main();
	init_job(&job);
	tool.expect = "finished";
	tool.left = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case KERNEL:
			kernel = optarg;
			break;
		case KTGUEST:
			config.ktguest = optarg;
			break;
		case SCHEDULER:
			scheduler = optarg;
			break;
		case SHIP:
			files[n_files++ % FILES_MAX] = optarg;
			break;
		case QEMU:
			config.qemu = optarg;
			break;
		case ACCEL:
			config.accel = optarg;
			break;
		case CPUS:
			set_cpus(&job.topology, optarg);
			break;
		case MEM:
			job.topology.mem_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case NODE:
			add_node(&job, optarg);
			break;
		case DURATION:
			job.scenario.duration_ns = span(optarg);
			break;
		case HOLD:
			job.step.hold_ns = span(optarg);
			break;
		case WATCHDOG:
			job.scenario.watchdog_ns = span(optarg);
			break;
		case SAMPLES:
			job.scenario.samples = strtoull(optarg, NULL, 10);
			break;
		case WORKERS:
			job.group.workers = strtoull(optarg, NULL, 10);
			break;
		case CACHE:
			config.cache_dir = optarg;
			break;
		case CANCEL_AFTER:
			cancel_ns = span(optarg);
			break;
		case EXPECT:
			tool.expect = optarg;
			break;
		case COLD:
			job.job.guest = "cold";
			break;
		case REPEAT:
			tool.left = strtoull(optarg, NULL, 10);
			break;
		case SPARES:
			config.mem_bytes = kt_host_mem_bytes();
			break;
		case JOB:
			job_file = optarg;
			break;
		case LOGS:
			tool.logs = true;
			break;
		default:
			usage();
		}
	}
	if (!kernel || !config.ktguest)
		usage();
	if (job.step.hold_ns == 0)
		job.step.hold_ns = job.scenario.duration_ns;
	mkdir(config.cache_dir, 0755);
	job.kernel.digest = add_file(&job, kernel, &job.kernel.bytes);
	if (scheduler)
		set_scheduler(&job, scheduler, argv + optind);
	for (size_t i = 0; i < n_files && i < FILES_MAX; i++)
		ship(&job, files[i]);
	if (job_file)
		read_job(&job, job_file);

	kt_host_program(config.qemu, qemu, sizeof(qemu));
	config.qemu = qemu;
	tool.began_ns = kt_clock_now_ns();
	tool.job = &job;
	uv_loop_init(&tool.loop);
	uv_timer_init(&tool.loop, &tool.next);
	tool.next.data = &tool;
	uv_signal_init(&tool.loop, &tool.interrupt);
	tool.interrupt.data = &tool;
	uv_signal_start(&tool.interrupt, on_interrupt, SIGINT);
	uv_timer_init(&tool.loop, &tool.cancel);
	tool.cancel.data = &tool;
	if (kt_runner_qemu.open(&tool.loop, &config, &tool.runner, &err) < 0) {
		fprintf(stderr, "ktattempt: %s\n", err.text);
		return 2;
	}
	if (cancel_ns)
		uv_timer_start(&tool.cancel, on_cancel, (uint64_t)(cancel_ns / KT_NS_PER_MS), 0);
	uv_timer_start(&tool.next, on_next, 0, 0);
	uv_run(&tool.loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&tool.next, NULL);
	uv_close((uv_handle_t *)&tool.cancel, NULL);
	uv_close((uv_handle_t *)&tool.interrupt, NULL);
	kt_runner_qemu.destroy(&tool.runner);
	uv_run(&tool.loop, UV_RUN_DEFAULT);
	uv_loop_close(&tool.loop);
	return tool.status;
}
