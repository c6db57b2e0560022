#include "coordinator/plugin.h"
#include "coordinator/pluginhost.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "proto/schema_tables.h"
#include "coordinator/plugin.def"

#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message messages[] = {
#include "coordinator/plugin.def"
};

const struct kt_family kt_plugin_family = { "plugin", messages,
					    sizeof(messages) / sizeof(messages[0]),
					    KT_PLUGIN_SAID_BYTES_MAX };

#define GRACE_MS 1000 /* behind the end of the process, for what is still in its pipes */

/* A sanitized program reserves more address space than any limit allows. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

int kt_plugin_copy(int from, int *fd_p, struct kt_err *err)
{
	KT_AUTO_FD int fd = memfd_create("kt-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat info;
	off_t at = 0;

	if (fd < 0 || fstat(from, &info) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "copying a plug-in");
	if (!S_ISREG(info.st_mode) || info.st_size > KT_PLUGIN_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
				  "a plug-in is a file of at most %u bytes", KT_PLUGIN_BYTES_MAX);
	while (at < info.st_size) {
		ssize_t n = sendfile(fd, from, &at, (size_t)(info.st_size - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kt_err_sys(err, KT_FAULT_HOST, n ? errno : EIO, "copying a plug-in");
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "sealing a plug-in");
	*fd_p = kt_own_take_fd(&fd);
	return 0;
}

/* ---- the process ---- */

struct kt_plugin_process {
	uv_process_t process;
	uv_pipe_t in; /* the series, to it */
	uv_pipe_t printed;
	uv_pipe_t said;
	uv_timer_t timer;
	uv_write_t write;
	struct kt_buf series;
	struct kt_buf printed_bytes;
	struct kt_buf said_bytes;
	int64_t deadline_ns;
	unsigned int open; /* handles that are not closed yet */
	unsigned int reading; /* of printed and said: not at their end */
	bool started;
	bool exited;
	bool late;
	bool finished; /* done() was called, or must not be */
	int start_status; /* negative errno of the start */
	int64_t exit_status;
	int term_signal;
	kt_plugin_done_fn *done;
	void *arg;
};

static void on_closed(uv_handle_t *handle)
{
	struct kt_plugin_process *p = handle->data;

	if (--p->open > 0)
		return;
	kt_buf_destroy(&p->series);
	kt_buf_destroy(&p->printed_bytes);
	kt_buf_destroy(&p->said_bytes);
	free(p);
}

static void close_all(struct kt_plugin_process *p)
{
	uv_handle_t *handles[] = { (uv_handle_t *)&p->process, (uv_handle_t *)&p->in,
				   (uv_handle_t *)&p->printed, (uv_handle_t *)&p->said,
				   (uv_handle_t *)&p->timer };

	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
		if (!uv_is_closing(handles[i]))
			uv_close(handles[i], on_closed);
}

/* It has a group of its own. */
static void kill_it(struct kt_plugin_process *p)
{
	if (p->started && !p->exited)
		kill(-p->process.pid, SIGKILL);
}

/* What it printed, as one line that may stand in a report. */
static const char *one_line(const struct kt_buf *bytes, struct kt_arena *arena)
{
	size_t len = bytes->len;
	char *line;

	while (len && strchr("\n\r\t ", bytes->data[len - 1]))
		len--;
	line = kt_arena_copy(arena, bytes->data ? (const char *)bytes->data : "", len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	return line;
}

static void read_said(const struct kt_plugin_process *p, struct kt_arena *arena,
		      struct kt_plugin_result *result)
{
	const struct kt_msg_plugin_said *said;
	const struct kt_msg_plugin_refused *refused;
	const struct kt_message *message;
	struct kt_err err = { 0 };
	void *body;

	result->end = KT_PLUGIN_NONSENSE;
	if (!p->said_bytes.len) {
		result->text = kt_arena_printf(arena, "exit status %" PRId64, p->exit_status);
	} else if (p->said_bytes.full ||
		   kt_codec_decode_frame(&kt_plugin_family, p->said_bytes.data, p->said_bytes.len,
					 arena, &message, &body, &err) < 0) {
		result->text =
			kt_arena_strdup(arena, p->said_bytes.full ? "it says too much" : err.text);
	} else if (message->tag == KT_TAG_plugin_refused) {
		refused = body;
		result->end = KT_PLUGIN_REFUSED;
		result->text = refused->text;
	} else {
		said = body;
		result->verdict = said->verdict;
		result->end = said->returned ? KT_PLUGIN_GAVE_UP : KT_PLUGIN_JUDGED;
		if (said->returned)
			result->text = kt_arena_printf(arena, "its function returned %" PRId64,
						       said->returned);
	}
}

/* Only what a process says that then ends well is believed. */
static void make_result(const struct kt_plugin_process *p, struct kt_arena *arena,
			struct kt_plugin_result *result)
{
	*result = (struct kt_plugin_result){ .text = "",
					     .printed = one_line(&p->printed_bytes, arena) };
	if (p->start_status < 0) {
		result->end = KT_PLUGIN_UNSTARTED;
		result->text = kt_arena_strdup(arena, uv_strerror(p->start_status));
	} else if (p->late) {
		result->end = KT_PLUGIN_LATE;
		result->text =
			kt_arena_printf(arena, "killed after %.3g s", (double)p->deadline_ns / 1e9);
	} else if (p->term_signal) {
		result->end = p->term_signal == SIGXCPU ? KT_PLUGIN_LATE : KT_PLUGIN_CRASHED;
		result->text =
			kt_arena_printf(arena, "signal %d, %s; it may use %llu MiB of memory",
					p->term_signal, strsignal(p->term_signal),
					KT_PLUGIN_MEMORY_BYTES >> 20);
	} else {
		read_said(p, arena, result);
		if (p->exit_status) {
			result->end = KT_PLUGIN_NONSENSE;
			result->verdict = NULL;
			result->text =
				kt_arena_printf(arena, "exit status %" PRId64, p->exit_status);
		}
	}
}

static void finish(struct kt_plugin_process *p)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_plugin_result result;

	if (p->finished)
		return;
	p->finished = true;
	make_result(p, &arena, &result);
	p->done(p->arg, &result);
	close_all(p);
}

static void on_timer(uv_timer_t *timer)
{
	struct kt_plugin_process *p = timer->data;

	if (p->exited || p->start_status < 0) {
		finish(p);
		return;
	}
	p->late = true;
	kill_it(p); /* on_end() goes on */
}

static void on_end(uv_process_t *process, int64_t exit_status, int term_signal)
{
	struct kt_plugin_process *p = process->data;

	p->exited = true;
	p->exit_status = exit_status;
	p->term_signal = term_signal;
	if (p->finished)
		return;
	if (p->reading == 0)
		finish(p);
	else
		uv_timer_start(&p->timer, on_timer, GRACE_MS, 0);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
	*room = uv_buf_init(kt_must_calloc(1, suggested), (unsigned int)suggested);
}

/* The end tells more than the beginning. */
static void keep_printed(struct kt_buf *printed, const char *bytes, size_t len)
{
	kt_buf_append(printed, bytes, len);
	if (printed->len > KT_PLUGIN_PRINTED_MAX)
		kt_buf_consume(printed, printed->len - KT_PLUGIN_PRINTED_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *room)
{
	struct kt_plugin_process *p = stream->data;
	bool is_said = stream == (uv_stream_t *)&p->said;

	if (n > 0 && is_said)
		kt_buf_append(&p->said_bytes, room->base, (size_t)n);
	else if (n > 0)
		keep_printed(&p->printed_bytes, room->base, (size_t)n);
	free(room->base);
	if (n >= 0)
		return;
	uv_read_stop(stream);
	if (--p->reading == 0 && p->exited)
		finish(p);
}

/* A plug-in need not read all of it: how it ends tells the rest. */
static void on_written(uv_write_t *write, int status)
{
	struct kt_plugin_process *p = write->data;

	if (!uv_is_closing((uv_handle_t *)&p->in))
		uv_close((uv_handle_t *)&p->in, on_closed);
}

static int spawn(struct kt_plugin_process *p, const struct kt_plugin_ask *ask, bool check)
{
	char memory[24];
	char seconds[24];
	char *args[] = { "ktcoord",
			 KT_PLUGINHOST_OPTION,
			 check ? KT_PLUGINHOST_CHECK : KT_PLUGINHOST_JUDGE,
			 memory,
			 seconds,
			 NULL };
	char *env[] = { "PATH=/usr/bin:/bin", "LC_ALL=C", NULL };
	uv_stdio_container_t stdio[] = {
		{ .flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
		  .data.stream = (uv_stream_t *)&p->in },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		  .data.stream = (uv_stream_t *)&p->printed },
		{ .flags = UV_IGNORE }, /* it makes its stderr the same as its stdout */
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		  .data.stream = (uv_stream_t *)&p->said },
		{ .flags = UV_INHERIT_FD, .data.fd = ask->fd },
	};
	uv_process_options_t options = { .exit_cb = on_end,
					 .file = "/proc/self/exe",
					 .args = args,
					 .env = env,
					 .flags = UV_PROCESS_DETACHED,
					 .stdio = stdio,
					 .stdio_count = 5 };
	/* A decoded series is a small multiple of its file (series.h). */
	uint64_t bytes = KT_PLUGIN_MEMORY_BYTES + 64ull * p->series.len;

	snprintf(memory, sizeof(memory), "%" PRIu64, SANITIZED ? 0 : bytes);
	snprintf(seconds, sizeof(seconds), "%lld", ask->deadline_ns / KT_NS_PER_S + 2);
	return uv_spawn(p->process.loop, &p->process, &options);
}

static struct kt_plugin_process *start(uv_loop_t *loop, const struct kt_plugin_ask *ask,
				       struct kt_buf *series, bool check, kt_plugin_done_fn *done,
				       void *arg)
{
	struct kt_plugin_process *p = kt_must_calloc(1, sizeof(*p));
	uv_buf_t bytes;

	p->done = done;
	p->arg = arg;
	p->deadline_ns = ask->deadline_ns;
	p->said_bytes = KT_BUF_MAX(KT_PLUGIN_SAID_BYTES_MAX);
	if (series) {
		p->series = *series;
		*series = (struct kt_buf){ 0 };
	}
	uv_pipe_init(loop, &p->in, 0);
	uv_pipe_init(loop, &p->printed, 0);
	uv_pipe_init(loop, &p->said, 0);
	uv_timer_init(loop, &p->timer);
	p->process.loop = loop;
	p->in.data = p->printed.data = p->said.data = p->timer.data = p->process.data =
		p->write.data = p;
	p->open = 5;
	p->start_status = spawn(p, ask, check);
	p->process.data = p;
	if (p->start_status < 0) {
		uv_timer_start(&p->timer, on_timer, 0, 0);
		return p;
	}
	p->started = true;
	p->reading = 2;
	uv_read_start((uv_stream_t *)&p->printed, on_room, on_read);
	uv_read_start((uv_stream_t *)&p->said, on_room, on_read);
	bytes = uv_buf_init((char *)p->series.data, (unsigned int)p->series.len);
	if (check || uv_write(&p->write, (uv_stream_t *)&p->in, &bytes, 1, on_written) < 0)
		uv_close((uv_handle_t *)&p->in, on_closed);
	uv_timer_start(&p->timer, on_timer, (uint64_t)(ask->deadline_ns / KT_NS_PER_MS), 0);
	return p;
}

struct kt_plugin_process *kt_plugin_start(uv_loop_t *loop, const struct kt_plugin_ask *ask,
					  struct kt_buf *series, kt_plugin_done_fn *done, void *arg)
{
	return start(loop, ask, series, false, done, arg);
}

void kt_plugin_cancel(struct kt_plugin_process **process_p)
{
	struct kt_plugin_process *p = kt_take(process_p);

	if (!p || p->finished)
		return;
	p->finished = true;
	kill_it(p);
	close_all(p);
}

/* ---- one at a time ---- */

struct waiting {
	const struct kt_plugin_ask *ask;
	struct kt_verdict *verdict; /* of a run */
	struct kt_err *err; /* of a check */
	int status;
};

static void on_ran(void *arg, const struct kt_plugin_result *result)
{
	struct waiting *waiting = arg;

	kt_plugin_tell(waiting->ask, result, waiting->verdict);
}

static void print_end(const struct kt_plugin_result *result, struct kt_buf *out)
{
	static const char *const words[] = {
#define X(id_, words_) words_,
		KT_PLUGIN_ENDS(X)
#undef X
	};

	kt_buf_puts(out, words[result->end]);
	if (*result->text)
		kt_buf_printf(out, " (%s)", result->text);
	if (*result->printed)
		kt_buf_printf(out, "; it printed: %s", result->printed);
}

static void on_checked(void *arg, const struct kt_plugin_result *result)
{
	struct waiting *waiting = arg;
	KT_AUTO_BUF text = { 0 };

	if (result->end == KT_PLUGIN_JUDGED)
		return;
	print_end(result, &text);
	if (result->end == KT_PLUGIN_REFUSED) /* in words of its own */
		waiting->status =
			kt_err_set(waiting->err, KT_FAULT_INPUT, EINVAL, "%s", result->text);
	else
		waiting->status = kt_err_set(waiting->err, KT_FAULT_INPUT, EINVAL,
					     "it %s while it was loaded", kt_buf_text(&text));
}

static void run_alone(const struct kt_plugin_ask *ask, struct kt_buf *series, bool check,
		      struct waiting *waiting)
{
	uv_loop_t loop;

	kt_must(uv_loop_init(&loop) == 0);
	start(&loop, ask, series, check, check ? on_checked : on_ran, waiting);
	uv_run(&loop, UV_RUN_DEFAULT);
	kt_must(uv_loop_close(&loop) == 0);
}

void kt_plugin_run(const struct kt_plugin_ask *ask, struct kt_buf *series,
		   struct kt_verdict *verdict)
{
	struct waiting waiting = { .ask = ask, .verdict = verdict };

	run_alone(ask, series, false, &waiting);
}

int kt_plugin_check(const struct kt_plugin_ask *ask, struct kt_err *err)
{
	struct waiting waiting = { .ask = ask, .err = err };

	run_alone(ask, NULL, true, &waiting);
	return waiting.status;
}

/* ---- what is made of it ---- */

static void take_details(const struct kt_msg_verdict *msg, bool notes, struct kt_verdict *verdict)
{
	for (size_t i = 0; msg && i < msg->n_details; i++) {
		const struct kt_msg_detail *detail = &msg->details[i];
		enum kt_verdict_outcome outcome = kt_verdict_outcome_by_name(detail->outcome);
		enum kt_verdict_kind kind = 0;

		while (kind < KT_VERDICT_KIND_PLUGIN &&
		       strcmp(kt_verdict_kind_name(kind), detail->kind) != 0)
			kind++;
		if (outcome == KT_VERDICT_OUTCOME_N || notes)
			outcome = KT_VERDICT_NOTE;
		/* What the library found begins with its label already; the plug-in's own words do not. */
		if (kind == KT_VERDICT_KIND_PLUGIN && *detail->assertion)
			kt_verdict_say(verdict, outcome, kind, detail->assertion, "%s (plugin): %s",
				       detail->assertion, detail->text);
		else
			kt_verdict_say(verdict, outcome, kind, detail->assertion, "%s",
				       detail->text);
	}
}

void kt_plugin_tell(const struct kt_plugin_ask *ask, const struct kt_plugin_result *result,
		    struct kt_verdict *verdict)
{
	KT_AUTO_BUF text = { 0 };

	if (result->end == KT_PLUGIN_JUDGED) {
		take_details(result->verdict, false, verdict);
		if (*result->printed)
			kt_verdict_say(verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_PLUGIN, ask->name,
				       "plug-in %s printed: %s", ask->name, result->printed);
		return;
	}
	print_end(result, &text);
	kt_verdict_say(verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_PLUGIN, ask->name,
		       "plug-in %s %s: it has not judged this cell; mend it, then: ktcoord judge "
		       "SWEEP MATRIX",
		       ask->name, kt_buf_text(&text));
	take_details(result->verdict, true, verdict);
}
