/* runner_qemu.c - runs attempts as processes of their own: `ktworker attempt` (attempt_main.h).
 *
 *	start   spawn, run_start ->          <- run_phase, run_sample, run_log ... run_ended
 *	cancel  run_cancel ->, and SIGKILL after a grace
 *	ended   when the process has exited and all it said was read; without run_ended: runner_crashed
 *
 * This process never touches a guest. The attempt process and its QEMU die with it (PDEATHSIG).
 */
#include "worker/runner.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/cause.h"
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

#define CANCEL_MS_MAX  5000 /* from run_cancel to SIGKILL */
#define EXIT_MS_MAX    5000 /* from run_ended to SIGKILL */
#define DESTROY_MS_MAX 3000 /* from SIGTERM to SIGKILL, when the agent leaves */
#define READ_BYTES_MAX (64u << 10)

struct kt_runner {
	uv_loop_t *loop;
	struct kt_runner_config config; /* its texts are the agent's */
	struct kt_run *runs; /* linked */
	bool destroyed; /* freed with its last run */
};

struct kt_run {
	struct kt_runner *runner;
	struct kt_run *next;
	struct kt_run **link;
	struct kt_run_events events;
	void *arg;
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t timer; /* then SIGKILL */
	unsigned int open_handles;
	struct kt_framelink frames; /* what comes in */
	char bytes[READ_BYTES_MAX];
	struct kt_arena arena; /* of run_ended */
	const struct kt_msg_result *result;
	struct kt_err broken; /* the attempt process broke the format: a bug of ours */
	char cancel_reason[KT_TEXT_BYTES_MAX / 4];
	bool cancelled;
	bool exited;
	bool eof;
	bool told; /* `ended` was called */
	int64_t exit_status;
	int exit_signal;
	int64_t began_ns;
};

struct write {
	uv_write_t req;
	struct kt_buf frame;
};

/* ---- the end of a run ---- */

static void free_runner(struct kt_runner *runner)
{
	if (runner->destroyed && !runner->runs)
		free(runner);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct kt_run *run = handle->data;
	struct kt_runner *runner = run->runner;

	if (--run->open_handles > 0)
		return;
	*run->link = run->next;
	if (run->next)
		run->next->link = run->link;
	kt_framelink_destroy(&run->frames);
	kt_arena_destroy(&run->arena);
	free(run);
	free_runner(runner);
}

static void close_handles(struct kt_run *run)
{
	uv_handle_t *handles[] = { (uv_handle_t *)&run->process, (uv_handle_t *)&run->pipe,
				   (uv_handle_t *)&run->timer };

	for (size_t i = 0; i < 3; i++)
		if (!uv_is_closing(handles[i]))
			uv_close(handles[i], on_handle_closed);
}

static void describe_death(const struct kt_run *run, char *line, size_t size)
{
	if (run->broken.code)
		snprintf(line, size, "the attempt process said what cannot be: %s",
			 run->broken.text);
	else if (run->exit_signal)
		snprintf(line, size,
			 "the process that ran the attempt was killed by signal %d (%s)",
			 run->exit_signal, strsignal(run->exit_signal));
	else
		snprintf(line, size, "the process that ran the attempt exited with status %lld",
			 (long long)run->exit_status);
}

/* The attempt process did not say how it ended. */
static void tell_for_it(struct kt_run *run)
{
	struct kt_msg_machine machine = { .runner = "qemu",
					  .accel = run->runner->config.accel,
					  .guest = "cold",
					  .cpu_model = run->runner->config.cpu_model };
	char line[1024];
	struct kt_msg_result result = {
		.cause = kt_cause(run->cancelled ? KT_CAUSE_ID_cancelled
						 : KT_CAUSE_ID_runner_crashed)
				 ->name,
		.line = run->cancelled ? run->cancel_reason : line,
		.wall_ns = kt_clock_now_ns() - run->began_ns,
		.machine = &machine,
	};

	describe_death(run, line, sizeof(line));
	run->events.ended(run->arg, &result);
}

static void end_when_all_is_in(struct kt_run *run)
{
	if (!run->exited || !run->eof || run->told)
		return;
	run->told = true;
	kt_cage_sweep(); /* a killed attempt could not */
	if (run->result)
		run->events.ended(run->arg, run->result);
	else
		tell_for_it(run);
	close_handles(run);
}

static void kill_it(uv_timer_t *timer)
{
	struct kt_run *run = timer->data;

	if (!run->exited)
		uv_process_kill(&run->process, SIGKILL);
}

static void kill_in(struct kt_run *run, uint64_t ms)
{
	if (!run->exited && !uv_is_closing((uv_handle_t *)&run->timer))
		uv_timer_start(&run->timer, kill_it, ms, 0);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
	struct kt_run *run = process->data;

	run->exited = true;
	run->exit_status = status;
	run->exit_signal = signal_number;
	uv_timer_stop(&run->timer);
	end_when_all_is_in(run);
}

/* ---- what it says ---- */

static void take_ended(struct kt_run *run, struct kt_arena *arena,
		       const struct kt_msg_run_ended *ended)
{
	if (run->result)
		return;
	run->result = ended->result;
	run->arena = *arena; /* lives on */
	*arena = (struct kt_arena){ 0 };
	kill_in(run, EXIT_MS_MAX);
}

static void take_frame(struct kt_run *run, struct kt_arena *arena, const struct kt_message *message,
		       void *frame)
{
	const struct kt_msg_run_sample *sample = frame;
	const struct kt_msg_run_log *piece = frame;

	switch (message->tag) {
	case KT_TAG_run_phase:
		run->events.phase(run->arg, frame);
		break;
	case KT_TAG_run_sample:
		run->events.sample(run->arg, sample->body.data, sample->body.len);
		break;
	case KT_TAG_run_log:
		run->events.log(run->arg, piece->stream, piece->body.data, piece->body.len);
		break;
	case KT_TAG_run_ended:
		take_ended(run, arena, frame);
		break;
	default:
		break; /* our own direction: nothing to us */
	}
}

static void take_frames(struct kt_run *run)
{
	for (;;) {
		KT_AUTO_ARENA arena = { 0 };
		const struct kt_message *message;
		void *frame;
		int rc = kt_framelink_next(&run->frames, &arena, &message, &frame, &run->broken);

		if (rc < 0)
			uv_process_kill(&run->process, SIGKILL);
		if (rc <= 0)
			return;
		take_frame(run, &arena, message, frame);
	}
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct kt_run *run = handle->data;

	*buf = uv_buf_init(run->bytes, sizeof(run->bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct kt_run *run = stream->data;

	if (n > 0 && !run->broken.code) {
		if (kt_framelink_feed(&run->frames, buf->base, (size_t)n, &run->broken) == 0)
			take_frames(run);
	} else if (n < 0) {
		uv_read_stop(stream);
		run->eof = true;
		end_when_all_is_in(run);
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

static void tell(struct kt_run *run, uint32_t tag, const void *message)
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
	if (uv_write(&write->req, (uv_stream_t *)&run->pipe, &buf, 1, on_written) < 0)
		on_written(&write->req, 0);
}

/* ---- the operations ---- */

static int runner_open(uv_loop_t *loop, const struct kt_runner_config *config,
		       struct kt_runner **runner, struct kt_err *err)
{
	*runner = kt_must_calloc(1, sizeof(**runner));
	(*runner)->loop = loop;
	(*runner)->config = *config;
	kt_cage_sweep();
	return 0;
}

static int spawn(struct kt_run *run)
{
	char *argv[] = { "ktworker", "attempt", NULL };
	uv_stdio_container_t stdio[] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_IGNORE },
		{ .flags = UV_INHERIT_FD, .data.fd = 2 },
		[KT_ATTEMPT_MAIN_FD] = { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE |
						  UV_WRITABLE_PIPE,
					 .data.stream = (uv_stream_t *)&run->pipe },
	};
	/* A session of its own: ^C on the agent's terminal is the agent's to handle. */
	uv_process_options_t options = {
		.exit_cb = on_process_exit,
		.file = "/proc/self/exe",
		.args = argv,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = 4,
		.stdio = stdio,
	};

	return uv_spawn(run->runner->loop, &run->process, &options);
}

static int runner_start(struct kt_runner *runner, const struct kt_msg_job *job,
			const struct kt_msg_local_file *files, size_t n_files,
			const struct kt_run_events *events, void *arg, struct kt_run **run_p,
			struct kt_err *err)
{
	const struct kt_runner_config *config = &runner->config;
	struct kt_msg_run_start message = {
		.job = (struct kt_msg_job *)job,
		.files = (struct kt_msg_local_file *)files,
		.n_files = n_files,
		.dir = config->run_dir,
		.cache_dir = config->cache_dir,
		.accel = config->accel,
		.qemu = config->qemu,
		.ktguest = config->ktguest,
		.cpu_model = config->cpu_model,
	};
	struct kt_run *run = kt_must_calloc(1, sizeof(*run));
	int rc;

	run->runner = runner;
	run->events = *events;
	run->arg = arg;
	run->began_ns = kt_clock_now_ns();
	kt_framelink_init(&run->frames, &kt_schema_runner, -1, 0);
	run->next = runner->runs;
	run->link = &runner->runs;
	if (run->next)
		run->next->link = &run->next;
	runner->runs = run;
	run->open_handles = 3;
	uv_timer_init(runner->loop, &run->timer);
	uv_pipe_init(runner->loop, &run->pipe, 0);
	rc = spawn(run);
	run->process.data = run->pipe.data = run->timer.data = run;
	if (rc < 0) {
		run->told = true;
		close_handles(run);
		return kt_err_sys(err, KT_FAULT_HOST, -rc, "starting the attempt process");
	}
	tell(run, KT_TAG_run_start, &message);
	uv_read_start((uv_stream_t *)&run->pipe, on_alloc, on_read);
	*run_p = run;
	return 0;
}

static void runner_cancel(struct kt_run *run, const char *reason)
{
	struct kt_msg_run_cancel message = { .reason = run->cancel_reason };

	if (run->cancelled || run->exited)
		return;
	run->cancelled = true;
	snprintf(run->cancel_reason, sizeof(run->cancel_reason), "%s",
		 reason && *reason ? reason : "cancelled");
	tell(run, KT_TAG_run_cancel, &message);
	kill_in(run, CANCEL_MS_MAX);
}

/* Blocks until the process is gone, and with it its guest; it reaps its QEMU on SIGTERM. The loop does
 * not run meanwhile, so libuv cannot reap it: we do.
 */
static void end_now(struct kt_run *run, int64_t deadline_ns)
{
	struct pollfd fd = { .fd = -1, .events = POLLIN };
	int64_t left_ms;

	if (run->exited)
		return;
	fd.fd = pidfd_open(run->process.pid, 0);
	left_ms = (deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS;
	if (fd.fd < 0 || poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0) <= 0)
		uv_process_kill(&run->process, SIGKILL);
	waitpid(run->process.pid, NULL, 0);
	kt_own_close(&fd.fd);
	run->exited = true;
}

static void runner_destroy(struct kt_runner **runner_p)
{
	struct kt_runner *runner = *runner_p;
	int64_t deadline_ns = kt_clock_now_ns() + DESTROY_MS_MAX * KT_NS_PER_MS;

	if (!runner)
		return;
	*runner_p = NULL;
	for (struct kt_run *run = runner->runs; run; run = run->next)
		if (!run->exited)
			uv_process_kill(&run->process, SIGTERM);
	for (struct kt_run *run = runner->runs; run; run = run->next) {
		end_now(run, deadline_ns);
		run->told = true;
		close_handles(run);
	}
	kt_cage_sweep();
	runner->destroyed = true;
	free_runner(runner);
}

const struct kt_runner_ops kt_runner_qemu = {
	.name = "qemu",
	.open = runner_open,
	.start = runner_start,
	.cancel = runner_cancel,
	.destroy = runner_destroy,
};
