#include "worker/shellmain.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/cause.h"
#include "worker/runner.h"
#include "worker/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS            250 /* the status line; and libuv's own timers are looked at */
#define EVIDENCE_BYTES_MAX (16u << 10) /* of its end are shown */
#define SIGNALS            5

struct session {
	const struct kt_shellmain_config *config;
	struct kt_arena arena;
	struct kt_msg_run_start order;
	struct kt_terminal terminal;
	uv_loop_t loop;
	uv_signal_t signals[SIGNALS];
	struct kt_runner *runner;
	struct kt_run *run; /* NULL once it has ended */
	/* what goes on */
	char phase[33];
	char detail[160];
	int64_t since_ns;
	bool is_open; /* the program runs */
	/* bytes under way */
	struct kt_buf printed[2]; /* not yet written; the window bounds both together */
	size_t owed_bytes; /* written, and not yet told as shown */
	size_t typed_bytes; /* not yet taken in */
	bool has_eof; /* of what is typed */
	/* the end */
	bool has_result;
	bool over;
	int status;
};

static void end(struct session *session, int status)
{
	if (!session->over)
		session->status = status;
	session->over = true;
}

static bool all_is_written(const struct session *session)
{
	return session->printed[0].len == 0 && session->printed[1].len == 0;
}

/* ---- bytes ---- */

static void tell(struct session *session, uint32_t tag, const void *message)
{
	if (session->run)
		kt_runner_qemu.tell_shell(session->run, tag, message);
}

/* A reader that is gone ends us as it ends any program that writes to it. */
static void write_printed(struct session *session, int stream)
{
	struct kt_buf *printed = &session->printed[stream - 1];

	while (printed->len > 0) {
		ssize_t n =
			kt_terminal_write(&session->terminal, stream, printed->data, printed->len);

		if (n == 0)
			return;
		if (n < 0 && stream == 1 && n != -EPIPE)
			kt_terminal_say(&session->terminal, "writing to standard output: %s",
					strerror((int)-n));
		if (n < 0 && stream == 1) {
			end(session, n == -EPIPE ? 128 + SIGPIPE : KT_SHELLMAIN_EXIT_INFRA);
			return;
		}
		if (n < 0) /* nobody reads our standard error */
			n = (ssize_t)printed->len;
		kt_buf_consume(printed, (size_t)n);
		session->owed_bytes += (size_t)n;
	}
}

static void tell_showed(struct session *session)
{
	struct kt_msg_run_showed showed = { .bytes = session->owed_bytes };

	if (session->owed_bytes == 0 ||
	    (session->owed_bytes < KT_SHELL_WINDOW_BYTES / 4 && !all_is_written(session)))
		return;
	session->owed_bytes = 0;
	tell(session, KT_TAG_run_showed, &showed);
}

static bool may_type(const struct session *session)
{
	return session->is_open && session->run && !session->has_eof &&
	       session->typed_bytes + KT_SHELL_PIECE_BYTES_MAX <= KT_SHELL_WINDOW_BYTES;
}

static void read_typed(struct session *session)
{
	char bytes[KT_SHELL_PIECE_BYTES_MAX];
	ssize_t n = kt_terminal_read(&session->terminal, bytes, sizeof(bytes));
	const char *escape = NULL;
	struct kt_msg_run_typed typed = { 0 };

	if (n == -EAGAIN)
		return;
	if (n > 0 && session->terminal.is_raw)
		escape = memchr(bytes, KT_TERMINAL_ESCAPE, (size_t)n);
	typed.body = (struct kt_bin){ (const uint8_t *)bytes, escape  ? (size_t)(escape - bytes)
							      : n > 0 ? (size_t)n
								      : 0 };
	typed.eof = session->has_eof = n <= 0;
	session->typed_bytes += typed.body.len;
	if (typed.body.len > 0 || typed.eof)
		tell(session, KT_TAG_run_typed, &typed);
	if (escape || (typed.eof && session->order.shell->tty)) {
		kt_terminal_say(&session->terminal, "left; the guest is gone");
		end(session, 0);
	}
}

/* ---- the end ---- */

static int status_of(const struct kt_cause *cause)
{
	bool guests = cause && (cause->side == KT_CAUSE_GUEST || cause->side == KT_CAUSE_LACK);

	return guests ? KT_SHELLMAIN_EXIT_GUEST : KT_SHELLMAIN_EXIT_INFRA;
}

static void on_ended(void *arg, const struct kt_msg_result *result)
{
	struct session *session = arg;
	const struct kt_cause *cause = kt_cause_by_name(result->cause);
	/* An attempt process that was killed left none. */
	const char *evidence = result->evidence ? result->evidence : "";
	size_t len = strlen(evidence);
	size_t shown = len < EVIDENCE_BYTES_MAX ? len : EVIDENCE_BYTES_MAX;

	session->run = NULL;
	session->has_result = true;
	if (session->over || (cause && cause->id == KT_CAUSE_ID_finished))
		return;
	write_printed(session, 1);
	write_printed(session, 2);
	kt_terminal_quote(&session->terminal, evidence + len - shown, shown);
	kt_terminal_say(&session->terminal, "%s: %s", result->cause, result->line);
	end(session, status_of(cause));
}

/* ---- what the guest says ---- */

static void on_phase(void *arg, const struct kt_msg_run_phase *phase)
{
	struct session *session = arg;
	struct kt_msg_run_window window;

	snprintf(session->phase, sizeof(session->phase), "%s", phase->phase);
	snprintf(session->detail, sizeof(session->detail), "%s", phase->detail);
	session->since_ns = kt_clock_now_ns();
	if (strcmp(phase->phase, "shell") != 0 || session->is_open)
		return;
	session->is_open = true;
	kt_terminal_clear_status(&session->terminal);
	if (!session->order.shell->tty)
		return;
	kt_terminal_say(&session->terminal, "%s; Ctrl-] leaves", phase->detail);
	kt_terminal_raw(&session->terminal);
	if (kt_terminal_size(&session->terminal, &window.rows, &window.cols))
		kt_runner_qemu.tell_shell(session->run, KT_TAG_run_window, &window);
}

static void on_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	struct session *session = arg;

	if (session->config->verbose)
		kt_terminal_quote(&session->terminal, bytes, len);
}

static void on_sample(void *arg, const void *body, size_t len)
{
}

static void on_shell_ended(struct session *session, const struct kt_msg_run_shell_ended *ended)
{
	/* Over when all that it printed is written and its guest is gone. */
	session->status = ended->signal ? 128 + (int)ended->signal : (int)ended->status;
}

static void on_shell(void *arg, uint32_t tag, const void *frame)
{
	struct session *session = arg;
	const struct kt_msg_run_printed *printed = frame;
	const struct kt_msg_run_took *took = frame;
	const struct kt_msg_run_told *told = frame;

	if (tag == KT_TAG_run_printed)
		kt_buf_append(&session->printed[printed->stream - 1], printed->body.data,
			      printed->body.len);
	else if (tag == KT_TAG_run_took)
		session->typed_bytes -=
			took->bytes < session->typed_bytes ? took->bytes : session->typed_bytes;
	else if (tag == KT_TAG_run_told)
		kt_terminal_say(&session->terminal, "%s", told->line);
	else if (tag == KT_TAG_run_shell_ended)
		on_shell_ended(session, frame);
}

/* ---- the loop ---- */

static void show_status(struct session *session)
{
	int64_t now_ns = kt_clock_now_ns();
	char line[256];

	if (session->is_open || session->over)
		return;
	snprintf(line, sizeof(line), "ktcoord: %s%s%s, %.1f s", session->phase,
		 session->detail[0] ? ": " : "", session->detail,
		 (double)(now_ns - session->since_ns) / (double)KT_NS_PER_S);
	kt_terminal_status(&session->terminal, line, now_ns);
}

/* The terminal's descriptors stay out of libuv: it would make them non-blocking for everybody who has them, and
 * cannot watch files. So its loop is turned by hand, whenever its own descriptor has something.
 */
static void turn(struct session *session)
{
	const struct kt_terminal *terminal = &session->terminal;
	struct pollfd fds[] = {
		{ .fd = uv_backend_fd(&session->loop), .events = POLLIN },
		{ .fd = may_type(session) ? terminal->in_fd : -1, .events = POLLIN },
		{ .fd = session->printed[0].len ? terminal->out_fds[0] : -1, .events = POLLOUT },
		{ .fd = session->printed[1].len ? terminal->out_fds[1] : -1, .events = POLLOUT },
	};
	int ms = uv_backend_timeout(&session->loop);

	poll(fds, 4, ms < 0 || ms > TICK_MS ? TICK_MS : ms);
	uv_run(&session->loop, UV_RUN_NOWAIT);
	if (fds[1].revents && !session->over && may_type(session))
		read_typed(session);
	write_printed(session, 1);
	write_printed(session, 2);
	tell_showed(session);
	show_status(session);
	if (session->has_result && all_is_written(session))
		session->over = true;
}

/* ---- signals ---- */

static void on_winch(struct session *session)
{
	struct kt_msg_run_window window;

	if (session->is_open && session->order.shell->tty &&
	    kt_terminal_size(&session->terminal, &window.rows, &window.cols))
		tell(session, KT_TAG_run_window, &window);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct session *session = handle->data;

	if (number == SIGWINCH) {
		on_winch(session);
		return;
	}
	if (!session->over)
		kt_terminal_say(&session->terminal, "ended by signal %d (%s)", number,
				strsignal(number));
	end(session, 128 + number);
}

static void watch_signals(struct session *session)
{
	static const int numbers[SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };

	for (size_t i = 0; i < SIGNALS; i++) {
		uv_signal_init(&session->loop, &session->signals[i]);
		session->signals[i].data = session;
		uv_signal_start(&session->signals[i], on_signal, numbers[i]);
	}
	signal(SIGPIPE, SIG_IGN);
}

/* ---- begin and end ---- */

static int read_order(struct session *session, struct kt_err *err)
{
	KT_AUTO_BUF bytes = { .max = KT_FRAME_BYTES_MAX };
	KT_AUTO_FD int fd = KT_SHELLMAIN_FD;
	struct stat what;
	uint8_t *room;
	int status;

	if (fstat(fd, &what) < 0 || !S_ISREG(what.st_mode) || what.st_size == 0 ||
	    !(room = kt_buf_reserve(&bytes, (size_t)what.st_size)) ||
	    pread(fd, room, (size_t)what.st_size, 0) != what.st_size)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "ktworker shell is only started by `ktcoord shell`");
	status = kt_codec_decode(&kt_schema_run_start, room, (size_t)what.st_size, &session->arena,
				 &session->order, err);
	if (status == 0 && !session->order.shell)
		status = kt_err_set(err, KT_FAULT_BUG, EINVAL, "an order without a shell");
	return status;
}

static int open_runner(struct session *session, struct kt_err *err)
{
	static const struct kt_run_events events = { on_phase, on_sample, on_log, on_ended,
						     on_shell };
	const struct kt_shellmain_config *config = session->config;
	KT_AUTO_FREE char *cache = kt_must_asprintf("%s/cache", config->state_dir);
	struct kt_runner_config runner = {
		.cache_dir = kt_arena_strdup(&session->arena, cache),
		.accel = config->accel,
		.qemu = config->qemu,
		.ktguest = config->ktguest,
		.cpu_model = config->cpu_model,
		.slots = 1,
		.single = true,
		.mem_bytes = config->mem_bytes,
		.cache_bytes_max = config->cache_bytes_max,
	};
	const struct kt_msg_run_start *order = &session->order;

	mkdir(config->state_dir, 0755);
	if (mkdir(cache, 0755) < 0 && errno != EEXIST)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", cache);
	if (kt_runner_qemu.open(&session->loop, &runner, &session->runner, err) < 0)
		return -err->code;
	return kt_runner_qemu.start_shell(session->runner, order->job, order->shell, order->files,
					  order->n_files, &events, session, &session->run, err);
}

static void close_all(struct session *session)
{
	if (session->runner)
		kt_runner_qemu.destroy(&session->runner);
	for (size_t i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&session->signals[i], NULL);
	uv_run(&session->loop, UV_RUN_DEFAULT);
	uv_loop_close(&session->loop);
	kt_terminal_close(&session->terminal);
	kt_buf_destroy(&session->printed[0]);
	kt_buf_destroy(&session->printed[1]);
	kt_arena_destroy(&session->arena);
}

int kt_shellmain_run(const struct kt_shellmain_config *config)
{
	static struct session session; /* there is one */
	struct kt_err err = { 0 };

	session.config = config;
	session.since_ns = kt_clock_now_ns();
	snprintf(session.phase, sizeof(session.phase), "start");
	session.printed[0].max = session.printed[1].max = KT_SHELL_WINDOW_BYTES;
	kt_terminal_open(&session.terminal);
	uv_loop_init(&session.loop);
	watch_signals(&session);
	if (read_order(&session, &err) < 0 || open_runner(&session, &err) < 0) {
		kt_terminal_say(&session.terminal, "%s", err.text);
		end(&session, KT_SHELLMAIN_EXIT_INFRA);
	}
	while (!session.over)
		turn(&session);
	close_all(&session);
	return session.status;
}
