#include "worker/guestproc.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/attempt_main.h"
#include "worker/cage.h"
#include "worker/framelink.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <utlist.h>

#define READ_BYTES_MAX (64u << 10)
#define DROP_MS_MAX    2000 /* from SIGTERM to SIGKILL, when nobody waits for it */
#define FDS_MAX        (KT_ATTEMPT_MAIN_FD + 2 + KT_QEMU_NODES_MAX)

struct kt_guestproc {
	struct kt_guestproc *prev, *next;
	struct kt_guestprocs *procs;
	const struct kt_guestproc_events *events; /* NULL: nobody listens */
	void *arg;
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t timer; /* then SIGKILL */
	unsigned int open_handles;
	struct kt_framelink frames; /* what comes in */
	char bytes[READ_BYTES_MAX];
	struct kt_err broken; /* it broke the format */
	bool exited;
	bool eof;
	int64_t exit_status;
	int exit_signal;
};

struct write {
	uv_write_t req;
	struct kt_buf frame;
};

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct kt_guestproc *proc = handle->data;

	if (--proc->open_handles > 0)
		return;
	kt_framelink_destroy(&proc->frames);
	free(proc);
}

static void close_handles(struct kt_guestproc *proc)
{
	uv_handle_t *handles[] = { (uv_handle_t *)&proc->process, (uv_handle_t *)&proc->pipe,
				   (uv_handle_t *)&proc->timer };

	proc->events = NULL;
	if (proc->procs)
		DL_DELETE(proc->procs->first, proc);
	proc->procs = NULL;
	for (size_t i = 0; i < 3; i++)
		if (!uv_is_closing(handles[i]))
			uv_close(handles[i], on_handle_closed);
}

static void describe(const struct kt_guestproc *proc, char *text, size_t size)
{
	if (proc->broken.code)
		snprintf(text, size, "said what cannot be: %s", proc->broken.text);
	else if (proc->exit_signal)
		snprintf(text, size, "was killed by signal %d (%s)", proc->exit_signal,
			 strsignal(proc->exit_signal));
	else
		snprintf(text, size, "exited with status %lld", (long long)proc->exit_status);
}

static void end_when_all_is_in(struct kt_guestproc *proc)
{
	char text[1024];
	struct kt_guestproc_end end = { .text = text, .broke_format = proc->broken.code != 0 };

	if (!proc->exited || !proc->eof || uv_is_closing((uv_handle_t *)&proc->process))
		return;
	kt_cage_sweep(); /* a killed attempt could not */
	describe(proc, text, sizeof(text));
	if (proc->events)
		proc->events->ended(proc->arg, &end);
	close_handles(proc);
}

static void kill_it(uv_timer_t *timer)
{
	struct kt_guestproc *proc = timer->data;

	if (!proc->exited)
		uv_process_kill(&proc->process, SIGKILL);
}

void kt_guestproc_kill_in(struct kt_guestproc *proc, uint64_t ms)
{
	if (!proc->exited && !uv_is_closing((uv_handle_t *)&proc->timer))
		uv_timer_start(&proc->timer, kill_it, ms, 0);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
	struct kt_guestproc *proc = process->data;

	proc->exited = true;
	proc->exit_status = status;
	proc->exit_signal = signal_number;
	uv_timer_stop(&proc->timer);
	end_when_all_is_in(proc);
}

/* ---- what it says ---- */

static void take_frames(struct kt_guestproc *proc)
{
	while (proc->events) {
		KT_AUTO_ARENA arena = { 0 };
		const struct kt_message *message;
		void *frame;
		int rc = kt_framelink_next(&proc->frames, &arena, &message, &frame, &proc->broken);

		if (rc < 0 && !proc->exited)
			uv_process_kill(&proc->process, SIGKILL);
		if (rc <= 0)
			return;
		proc->events->frame(proc->arg, &arena, message, frame);
	}
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct kt_guestproc *proc = handle->data;

	*buf = uv_buf_init(proc->bytes, sizeof(proc->bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct kt_guestproc *proc = stream->data;

	if (n > 0 && !proc->broken.code) {
		if (kt_framelink_feed(&proc->frames, buf->base, (size_t)n, &proc->broken) == 0)
			take_frames(proc);
	} else if (n < 0) {
		uv_read_stop(stream);
		proc->eof = true;
		end_when_all_is_in(proc);
	}
}

/* ---- what it is told ---- */

static void on_written(uv_write_t *req, int status)
{
	struct write *write = req->data;

	/* When it cannot be written the process is dying: on_process_exit() tells. */
	kt_buf_destroy(&write->frame);
	free(write);
}

void kt_guestproc_tell(struct kt_guestproc *proc, uint32_t tag, const void *message)
{
	struct write *write = kt_must_calloc(1, sizeof(*write));
	struct kt_framelink out;
	uv_buf_t buf;

	kt_framelink_init(&out, &kt_schema_runner, -1, 0);
	kt_framelink_push(&out, tag, message);
	write->frame = out.out;
	out.out = (struct kt_buf){ 0 };
	kt_framelink_destroy(&out);
	write->req.data = write;
	buf = uv_buf_init((char *)write->frame.data, (unsigned int)write->frame.len);
	if (uv_write(&write->req, (uv_stream_t *)&proc->pipe, &buf, 1, on_written) < 0)
		on_written(&write->req, 0);
}

void kt_guestproc_hand_over(struct kt_guestproc *proc, const struct kt_guestproc_events *events,
			    void *arg)
{
	proc->events = events;
	proc->arg = arg;
}

/* ---- begin and end ---- */

static int spawn(uv_loop_t *loop, struct kt_guestproc *proc, const int *fds, size_t n_fds)
{
	char *argv[] = { "ktworker", "attempt", NULL };
	uv_stdio_container_t stdio[FDS_MAX] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
		[KT_ATTEMPT_MAIN_FD] = { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE |
						  UV_WRITABLE_PIPE,
					 .data.stream = (uv_stream_t *)&proc->pipe },
	};
	/* A session of its own: ^C on the agent's terminal is the agent's to handle. */
	uv_process_options_t options = {
		.exit_cb = on_process_exit,
		.file = "/proc/self/exe",
		.args = argv,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = KT_ATTEMPT_MAIN_FD + 1 + (int)n_fds,
		.stdio = stdio,
	};

	kt_must(KT_ATTEMPT_MAIN_FD + 1 + n_fds <= FDS_MAX);
	for (size_t i = 0; i < n_fds; i++) {
		stdio[KT_ATTEMPT_MAIN_FD + 1 + i].flags = UV_INHERIT_FD;
		stdio[KT_ATTEMPT_MAIN_FD + 1 + i].data.fd = fds[i];
	}
	return uv_spawn(loop, &proc->process, &options);
}

int kt_guestproc_spawn(uv_loop_t *loop, struct kt_guestprocs *procs, const int *fds, size_t n_fds,
		       const struct kt_guestproc_events *events, void *arg,
		       struct kt_guestproc **proc_p, struct kt_err *err)
{
	struct kt_guestproc *proc = kt_must_calloc(1, sizeof(*proc));
	int rc;

	proc->events = events;
	proc->arg = arg;
	kt_framelink_init(&proc->frames, &kt_schema_runner, -1, 0);
	proc->open_handles = 3;
	uv_timer_init(loop, &proc->timer);
	uv_pipe_init(loop, &proc->pipe, 0);
	rc = spawn(loop, proc, fds, n_fds);
	proc->process.data = proc->pipe.data = proc->timer.data = proc;
	if (rc < 0) {
		close_handles(proc);
		return kt_err_sys(err, KT_FAULT_HOST, -rc, "starting the attempt process");
	}
	proc->procs = procs;
	DL_APPEND(procs->first, proc);
	uv_read_start((uv_stream_t *)&proc->pipe, on_alloc, on_read);
	*proc_p = proc;
	return 0;
}

static void stop(struct kt_guestproc *proc)
{
	proc->events = NULL;
	if (!proc->exited)
		uv_process_kill(&proc->process, SIGTERM);
}

void kt_guestproc_drop(struct kt_guestproc **proc_p)
{
	struct kt_guestproc *proc = kt_take(proc_p);

	if (!proc)
		return;
	stop(proc);
	kt_guestproc_kill_in(proc, DROP_MS_MAX);
}

/* True when it has exited by itself. */
static bool wait_for_exit(pid_t pid, int64_t deadline_ns)
{
	KT_AUTO_FD int fd = pidfd_open(pid, 0);
	struct pollfd exited = { .fd = fd, .events = POLLIN };
	int64_t left_ms;
	int n;

	if (fd < 0)
		return false;
	do {
		left_ms = (deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS;
		n = poll(&exited, 1, left_ms > 0 ? (int)left_ms : 0);
	} while (n < 0 && errno == EINTR); /* SIGCHLD: another one was faster */
	return n > 0;
}

/* The loop does not run meanwhile, so libuv cannot reap it: we do. */
static void end_now(struct kt_guestproc *proc, int64_t deadline_ns)
{
	if (proc->exited)
		return;
	if (!wait_for_exit(proc->process.pid, deadline_ns))
		uv_process_kill(&proc->process, SIGKILL);
	waitpid(proc->process.pid, NULL, 0);
	proc->exited = true;
}

void kt_guestproc_end_all(struct kt_guestprocs *procs, int64_t deadline_ns)
{
	struct kt_guestproc *proc;
	struct kt_guestproc *next;

	DL_FOREACH (procs->first, proc)
		stop(proc);
	DL_FOREACH_SAFE (procs->first, proc, next) {
		end_now(proc, deadline_ns);
		close_handles(proc);
	}
	kt_cage_sweep();
}
