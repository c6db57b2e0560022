/* layer: worker */
/* ktsame.c - does the host read what the guest itself sees? Once nothing counts any more, scx_kt prints its
 * counters inside and lingers, so that its maps stay; the same maps are read out of the frozen guest's
 * memory, and every number must be the same.
 *
 *	ktsame KERNEL KTGUEST SCX_KT CACHE_DIR [kaslr]
 *
 * kaslr boots the image itself, which moves its kernel to a random place; else the vmlinux in it is
 * entered directly (PVH), where it was linked to. Prints a line per number. Exit status: 0 all are the same,
 * 1 some are not, 2 it did not come to that.
 */
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/patience.h"
#include "worker/introspect/introspect.h"
#include "worker/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define QEMU         "qemu-system-x86_64"
#define PROGRAM      "/kt/bin/scx_kt"
#define LINGER_S     "60" /* plenty: the second unload ends it */
#define UNLOAD_NS    (90 * KT_NS_PER_S) /* more than that */
#define LOOK_NS      (500 * KT_NS_PER_MS) /* it would be gone by then */
#define MEM_BYTES    (256u << 20)
#define NUMBERS_MIN  10 /* fewer were not read whole */
#define OUTPUT_BYTES (64u << 10)

struct tool {
	struct kt_vm vm;
	struct kt_introspect_kernel *kernel;
	struct kt_gmem *gmem;
	struct kt_introspect *introspect;
	struct kt_msg_topology topology;
	bool ready;
	bool done;
	bool finished;
	bool failed;
	struct kt_buf output; /* of the scheduler's program */
	struct kt_buf console; /* for people, when it fails */
	unsigned int numbers;
	unsigned int different;
};

static bool complain(const char *what, const struct kt_err *err)
{
	fprintf(stderr, "ktsame: %s: %s\n", what, err->text);
	return false;
}

/* ---- the guest ---- */

static void on_frame(void *arg, const struct kt_message *message, void *frame)
{
	struct tool *tool = arg;

	if (message->tag == KT_TAG_guest_ready) {
		tool->ready = true;
	} else if (message->tag == KT_TAG_guest_done) {
		tool->done = true;
	} else if (message->tag == KT_TAG_guest_finished) {
		tool->finished = true;
	} else if (message->tag == KT_TAG_guest_failed) {
		const struct kt_msg_guest_failed *failed = frame;

		tool->failed = true;
		fprintf(stderr, "ktsame: %s failed: %s: %s\n%s\n", failed->what, failed->cause,
			failed->line, failed->evidence);
	} else if (message->tag == KT_TAG_guest_log) {
		const struct kt_msg_guest_log *log = frame;

		if (strcmp(log->stream, "scheduler") == 0)
			kt_buf_append(&tool->output, log->body.data, log->body.len);
	}
}

static void on_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	struct tool *tool = arg;

	kt_buf_append(&tool->console, bytes, len);
}

static void pump(struct tool *tool, int64_t until_ns)
{
	int64_t left_ns = until_ns - kt_clock_now_ns();
	struct pollfd fds[KT_VM_POLL_FDS];
	size_t n = kt_vm_poll(&tool->vm, fds);

	if (left_ns < 0 || kt_vm_pending(&tool->vm))
		left_ns = 0;
	poll(fds, n, (int)(left_ns / KT_NS_PER_MS) + 1);
	kt_vm_digest(&tool->vm);
}

static bool await(struct tool *tool, const char *what, bool (*is_there)(const struct tool *tool),
		  enum kt_patience patience, int64_t extra_ns)
{
	int64_t until_ns = kt_clock_now_ns() + extra_ns +
			   kt_patience_ns(patience, false, kt_qemu_cpus(&tool->topology), 8);

	while (!is_there(tool)) {
		if (tool->failed || tool->vm.ended || tool->vm.channel_broken ||
		    kt_clock_now_ns() >= until_ns) {
			fprintf(stderr, "ktsame: waiting for %s: %s\n--- console\n%s\n", what,
				tool->vm.ended            ? "the guest is gone"
				: tool->failed            ? "it failed"
				: tool->vm.channel_broken ? tool->vm.channel_err.text
							  : "it takes too long",
				kt_buf_text(&tool->console));
			return false;
		}
		pump(tool, until_ns);
	}
	return true;
}

static bool is_ready(const struct tool *tool)
{
	return tool->ready;
}

static bool is_done(const struct tool *tool)
{
	return tool->done;
}

static bool is_finished(const struct tool *tool)
{
	return tool->finished;
}

/* The whole line, in a buffer of strings; NULL while it is not there. */
static const char *counters_line(const struct tool *tool)
{
	const char *text = kt_buf_text(&tool->output);
	const char *line = *text == '{' ? text : strstr(text, "\n{");

	if (line && *line == '\n')
		line++;
	return line && strchr(line, '\n') ? line : NULL;
}

static bool has_printed(const struct tool *tool)
{
	return counters_line(tool);
}

static void send(struct tool *tool, uint32_t tag, const void *message)
{
	tool->done = false;
	while (!kt_vm_send(&tool->vm, tag, message) && !tool->vm.ended)
		pump(tool, kt_clock_now_ns() + KT_NS_PER_S);
}

static bool send_file(struct tool *tool, const char *path)
{
	KT_AUTO_FREE uint8_t *piece = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct kt_msg_guest_data data = { .body = { piece, 0 } };
	struct kt_msg_guest_file file = { .path = PROGRAM, .mode = 0755 };
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "ktsame: %s: %s\n", path, strerror(errno));
		return false;
	}
	file.bytes = (uint64_t)st.st_size;
	send(tool, KT_TAG_guest_file, &file);
	while ((n = read(fd, piece, KT_CHUNK_BYTES_MAX)) > 0) {
		data.body.len = (size_t)n;
		send(tool, KT_TAG_guest_data, &data);
	}
	return await(tool, "the file to arrive", is_done, KT_PATIENCE_FILES, 0);
}

/* ---- its life ---- */

static bool boot(struct tool *tool, const char *image, const char *ktguest, bool kaslr)
{
	struct kt_vm_config config = {
		.qemu = QEMU,
		.accel = "tcg",
		.topology = &tool->topology,
		.ktguest = ktguest,
		.kernel = kaslr ? image : kt_introspect_kernel_vmlinux(tool->kernel),
	};
	KT_AUTO_BUF notes = { 0 };
	enum kt_cause_id cause;
	struct kt_err err = { 0 };
	char text[64];

	if (kt_qemu_version(QEMU, &config.qemu_major, text, sizeof(text), &err) < 0 ||
	    kt_vm_start(&tool->vm, &config, &notes, &cause, &err) < 0 ||
	    kt_vm_greet(&tool->vm, &cause, &err) < 0)
		return complain("QEMU", &err);
	kt_buf_reset(&notes);
	if (kt_vm_open_memory(&tool->vm, &tool->gmem, &notes, &err) < 0)
		return complain("the guest's memory", &err);
	printf("%s\n", notes.len ? kt_buf_text(&notes) : "read through QEMU's memory");
	return await(tool, "the guest to come up", is_ready, KT_PATIENCE_BOOT, 0);
}

static bool load(struct tool *tool, const char *scheduler)
{
	struct kt_msg_arg args[] = { { PROGRAM }, { "--linger" }, { LINGER_S } };
	struct kt_msg_guest_prepare prepare = { .wall_ns = kt_clock_wall_ns() };
	struct kt_msg_guest_load message = { .args = args, .n_args = 3 };

	message.deadline_ns =
		kt_patience_ns(KT_PATIENCE_LOAD, false, kt_qemu_cpus(&tool->topology), 0);
	send(tool, KT_TAG_guest_prepare, &prepare);
	if (!await(tool, "the clock to be set", is_done, KT_PATIENCE_FILES, 0) ||
	    !send_file(tool, scheduler))
		return false;
	send(tool, KT_TAG_guest_load, &message);
	return await(tool, "the scheduler to be enabled", is_done, KT_PATIENCE_LOAD, KT_NS_PER_S);
}

static bool run(struct tool *tool)
{
	struct kt_msg_group group = { .workers = 2, .work = "spin" };
	struct kt_msg_cgroup cgroup = { .name = "cg_0", .groups = &group, .n_groups = 1 };
	struct kt_msg_step step = { .hold_ns = 2 * KT_NS_PER_S,
				    .cgroups = &cgroup,
				    .n_cgroups = 1 };
	struct kt_msg_scenario scenario = {
		.name = "same", .duration_ns = 2 * KT_NS_PER_S, .steps = &step, .n_steps = 1
	};
	struct kt_msg_guest_run message = { .scenario = &scenario };

	send(tool, KT_TAG_guest_run, &message);
	return await(tool, "the scenario's end", is_finished, KT_PATIENCE_RUN, 10 * KT_NS_PER_S);
}

/* The answer comes when the program has ended; the line before that, as its log. */
static bool begin_unload(struct tool *tool)
{
	struct kt_msg_guest_unload message = { .deadline_ns = UNLOAD_NS };

	send(tool, KT_TAG_guest_unload, &message);
	return await(tool, "the counters to be printed", has_printed, KT_PATIENCE_UNLOAD, 0);
}

/* It is still there, so the maps were its own when they were read; and being told again ends it at once, long
 * before its time.
 */
static bool end_unload(struct tool *tool)
{
	struct kt_msg_guest_unload message = { .deadline_ns = UNLOAD_NS };
	int64_t until_ns = kt_clock_now_ns() + LOOK_NS;

	while (!tool->done && !tool->vm.ended && kt_clock_now_ns() < until_ns)
		pump(tool, until_ns);
	if (tool->done) {
		fprintf(stderr, "ktsame: scx_kt did not linger\n");
		return false;
	}
	send(tool, KT_TAG_guest_unload, &message);
	return await(tool, "the scheduler's program to end", is_done, KT_PATIENCE_UNLOAD, 0);
}

/* ---- the comparison ---- */

/* A number of the guest against what the host read in its place; either may be missing. */
static void compare_number(struct tool *tool, const char *name, struct json_object *guest,
			   const struct kt_value *host)
{
	KT_AUTO_BUF text = { 0 };
	bool same = guest && host && json_object_is_type(guest, json_type_int) &&
		    host->type == KT_VALUE_U64 && json_object_get_uint64(guest) == host->u64;

	if (host)
		kt_value_print(host, 256, &text);
	printf("%-16s guest %-12s host %-12s %s\n", name,
	       guest ? json_object_get_string(guest) : "(none)",
	       host ? kt_buf_text(&text) : "(none)", same ? "same" : "DIFFERENT");
	tool->numbers++;
	tool->different += !same;
}

static void compare_vars(struct tool *tool, struct json_object *guest, const struct kt_value *vars)
{
	struct json_object *number;

	json_object_object_foreach(guest, name, value)
	{
		if (strcmp(name, "stats") != 0)
			compare_number(tool, name, value, kt_value_get(vars, name));
	}
	/* and nothing that the guest did not print */
	for (uint32_t i = 0; i < vars->n; i++)
		if (strncmp(vars->pairs[i].key, "nr_", strlen("nr_")) == 0 &&
		    !json_object_object_get_ex(guest, vars->pairs[i].key, &number))
			compare_number(tool, vars->pairs[i].key, NULL, &vars->pairs[i].value);
}

static size_t items_of(struct json_object *list)
{
	return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static const struct kt_value *item_of(const struct kt_value *list, size_t i)
{
	return list && list->type == KT_VALUE_LIST && i < list->n ? &list->items[i] : NULL;
}

/* [entry][CPU] on both sides; of CPUs that are not possible the guest knows nothing and the host nil. */
static void compare_stats(struct tool *tool, struct json_object *guest,
			  const struct kt_value *entries)
{
	size_t n = items_of(guest);
	char name[64];

	for (size_t i = 0; i < n || item_of(entries, i); i++) {
		struct json_object *cells = i < n ? json_object_array_get_idx(guest, i) : NULL;
		const struct kt_value *values = item_of(entries, i);

		for (size_t cpu = 0; cpu < items_of(cells) || item_of(values, cpu); cpu++) {
			snprintf(name, sizeof(name), "stats[%zu] cpu %zu", i, cpu);
			compare_number(tool, name,
				       cpu < items_of(cells) ? json_object_array_get_idx(cells, cpu)
							     : NULL,
				       item_of(values, cpu));
		}
	}
}

/* The one map that has it; NULL when there is none, or more than one. */
static const struct kt_value *find_map(const struct kt_value *tree,
				       bool (*is_it)(const struct kt_value *map))
{
	const struct kt_value *maps = kt_value_get(tree, "maps");
	const struct kt_value *found = NULL;

	for (uint32_t i = 0; maps && i < maps->n; i++) {
		if (!is_it(&maps->items[i]))
			continue;
		if (found)
			return NULL;
		found = &maps->items[i];
	}
	return found;
}

static bool has_counters(const struct kt_value *map)
{
	const struct kt_value *vars = kt_value_get(map, "vars");

	return vars && kt_value_get(vars, "nr_dispatched");
}

static bool is_stats(const struct kt_value *map)
{
	const struct kt_value *name = kt_value_get(map, "name");
	const struct kt_value *type = kt_value_get(map, "type");

	return name && strcmp(name->str, "stats") == 0 && type &&
	       strcmp(type->str, "percpu_array") == 0;
}

static bool compare(struct tool *tool, struct json_object *guest, const struct kt_value *tree)
{
	const struct kt_value *bss = find_map(tree, has_counters);
	const struct kt_value *stats = find_map(tree, is_stats);
	const struct kt_value *dispatched;
	struct json_object *cells = NULL;

	if (!bss || !stats) {
		KT_AUTO_BUF text = { 0 };

		kt_value_print(tree, 64 << 10, &text);
		fprintf(stderr, "ktsame: scx_kt's maps are not there, or twice: %s\n",
			kt_buf_text(&text));
		return false;
	}
	json_object_object_get_ex(guest, "stats", &cells);
	compare_vars(tool, guest, kt_value_get(bss, "vars"));
	compare_stats(tool, cells, kt_value_get(stats, "entries"));
	dispatched = kt_value_get(kt_value_get(bss, "vars"), "nr_dispatched");
	/* Zeroes would be the same whoever reads them. */
	if (tool->numbers < NUMBERS_MIN || dispatched->type != KT_VALUE_U64 || !dispatched->u64) {
		fprintf(stderr, "ktsame: that proves nothing: nothing was counted\n");
		return false;
	}
	printf("%u numbers, %u different\n", tool->numbers, tool->different);
	return true;
}

static bool read_and_compare(struct tool *tool)
{
	int64_t patience_ns = kt_patience_ns(KT_PATIENCE_FREEZE, false, 2, 0);
	struct json_object *guest = json_tokener_parse(counters_line(tool));
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_axis axis = { 0 };
	struct kt_introspect_place place;
	int64_t stop_ns = kt_clock_now_ns();
	int64_t frozen_ns;
	bool enabled = true;
	bool compared = false;
	struct kt_err err = { 0 };

	/* As the worker does: what is needed is learnt from the running guest, then read at once. */
	if (kt_introspect_attach(tool->kernel, tool->gmem, &tool->introspect, &err) == 0)
		kt_introspect_all_maps(tool->introspect, &arena, &axis);
	if (!tool->introspect || kt_vm_freeze(&tool->vm, stop_ns + patience_ns, &err) < 0 ||
	    kt_introspect_refresh(tool->introspect, &err) < 0 ||
	    kt_introspect_scx_enabled(tool->introspect, &enabled, &err) < 0) {
		json_object_put(guest);
		return complain("reading the guest", &err);
	}
	kt_introspect_all_maps(tool->introspect, &arena, &axis);
	kt_introspect_where(tool->introspect, &place);
	printf("kernel %s, moved by %#" PRIx64 " (virtual) and %#" PRIx64 " (physical)\n",
	       kt_introspect_kernel_release(tool->kernel), place.va_slide, place.pa_slide);
	if (kt_vm_thaw(&tool->vm, stop_ns, kt_clock_now_ns() + patience_ns, &frozen_ns, &err) < 0)
		complain("thawing", &err);
	else if (axis.error[0])
		fprintf(stderr, "ktsame: %s: %s\n", axis.error, axis.text);
	else if (enabled || !guest)
		fprintf(stderr, "ktsame: %s\n",
			enabled ? "the scheduler is still enabled"
				: "what the guest printed is no JSON");
	else
		compared = compare(tool, guest, &axis.value);
	json_object_put(guest);
	return compared;
}

static void destroy(struct tool *tool)
{
	kt_vm_kill(&tool->vm);
	kt_introspect_destroy(&tool->introspect);
	kt_gmem_destroy(&tool->gmem);
	kt_introspect_kernel_destroy(&tool->kernel);
	kt_vm_destroy(&tool->vm);
	kt_buf_destroy(&tool->output);
	kt_buf_destroy(&tool->console);
}

int main(int argc, char **argv)
{
	static struct tool tool;
	struct kt_vm_events events = { on_frame, on_log, &tool };
	bool kaslr = argc == 6 && strcmp(argv[5], "kaslr") == 0;
	struct kt_err err = { 0 };
	bool compared;

	if (argc != 5 && !kaslr) {
		fprintf(stderr, "usage: ktsame KERNEL KTGUEST SCX_KT CACHE_DIR [kaslr]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	tool.topology = (struct kt_msg_topology){ .name = "small",
						  .numa_nodes = 1,
						  .llcs = 1,
						  .cores = 2,
						  .threads = 1,
						  .mem_bytes = MEM_BYTES };
	tool.output.max = OUTPUT_BYTES;
	tool.console.max = OUTPUT_BYTES;
	kt_vm_init(&tool.vm, &events);
	if (kt_introspect_kernel_open(argv[1], NULL, argv[4], &tool.kernel, &err) < 0) {
		complain(argv[1], &err);
		return 2;
	}
	compared = boot(&tool, argv[1], argv[2], kaslr) && load(&tool, argv[3]) && run(&tool) &&
		   begin_unload(&tool) && read_and_compare(&tool) && end_unload(&tool);
	destroy(&tool);
	return !compared ? 2 : tool.different > 0;
}
