#include "worker/guest/gpayload.h"
#include "proto/base/must.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX \
	65536 /* open at once: hackbench and its like need more than the kernel gives PID 1 */
#define READ_BYTES 16384

size_t kt_gpayload_cgroup_len(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *last = slash ? slash + 1 : name;

	if (strncmp(last, KT_GPAYLOAD_OWN, strlen(KT_GPAYLOAD_OWN)) != 0)
		return strlen(name);
	return slash ? (size_t)(slash - name) : 0;
}

/* ---- start ---- */

/* In the child. A byte opens its gate: closing it would not, workers have copies of ktguest's descriptors. */
__attribute__((noreturn)) static void become(char **argv, char **envp, const int ends[2], int gate,
					     int failure)
{
	struct rlimit files = { FILES_MAX, FILES_MAX };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigset_t none;
	ssize_t n;
	char byte;
	int code;

	setsid();
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(ends[0], STDOUT_FILENO);
	dup2(ends[1], STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setrlimit(RLIMIT_NOFILE, &files);
	kt_sysfile_write("/proc/self/oom_score_adj", "0"); /* ktguest's is its own */
	while ((n = read(gate, &byte, 1)) < 0 && errno == EINTR)
		;
	if (n == 0)
		_exit(127); /* nobody will let it go any more */
	if (chdir("/") == 0)
		execve(argv[0], argv, envp);
	code = errno;
	if (write(failure, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static char **texts_of(const struct kt_msg_arg *args, size_t n)
{
	char **texts = kt_must_calloc(n + 1, sizeof(*texts));

	for (size_t i = 0; i < n; i++)
		texts[i] = (char *)args[i].text;
	return texts;
}

static int open_pipe(int *ours, int *theirs, bool we_read)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	*ours = pair[we_read ? 0 : 1];
	*theirs = pair[we_read ? 1 : 0];
	return we_read && fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

struct ends { /* the child's */
	int outs[2];
	int gate;
	int failure;
};

static void close_ends(struct ends *ends)
{
	kt_own_close(&ends->outs[0]);
	kt_own_close(&ends->outs[1]);
	kt_own_close(&ends->gate);
	kt_own_close(&ends->failure);
}

static int open_pipes(struct kt_gpayload *payload, struct ends *ends)
{
	int status = open_pipe(&payload->fds[0], &ends->outs[0], true);

	if (status == 0)
		status = open_pipe(&payload->fds[1], &ends->outs[1], true);
	if (status == 0)
		status = open_pipe(&payload->gate_fd, &ends->gate, false);
	if (status == 0)
		status = open_pipe(&payload->failure_fd, &ends->failure, true);
	return status;
}

static int fork_it(struct kt_gpayload *payload, struct kt_err *err)
{
	const struct kt_msg_payload *what = payload->spec.what;
	KT_AUTO_FREE char **argv = texts_of(what->args, what->n_args);
	KT_AUTO_FREE char **envp = texts_of(what->env, what->n_env);
	struct ends ends = { { -1, -1 }, -1, -1 };
	int status = open_pipes(payload, &ends);

	if (status == 0) {
		payload->pid = fork();
		if (payload->pid == 0) {
			kt_own_close(&payload->gate_fd); /* or it would wait for itself */
			become(argv, envp, ends.outs, ends.gate, ends.failure);
		}
		if (payload->pid < 0) {
			status = -errno;
			payload->pid = 0;
		}
	}
	close_ends(&ends);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "starting %s", what->name);
	payload->session = payload->pid;
	return 0;
}

/* Where its own cgroup is when it runs in that one. */
static char *own_cgroup(const struct kt_gpayload *payload, const char *cgroup)
{
	return kt_must_asprintf("%s%s" KT_GPAYLOAD_OWN "%u", cgroup, cgroup[0] ? "/" : "",
				payload->spec.number);
}

static int make_own(struct kt_gpayload *payload, const char *cgroup, struct kt_err *err)
{
	char *own = own_cgroup(payload, cgroup);
	int status;

	if (!kt_gcgroup_name_ok(own)) {
		free(own);
		return kt_err_set(err, KT_FAULT_GUEST, ENAMETOOLONG,
				  "%s is too long a name, or too deep, for a payload in it",
				  cgroup);
	}
	status = kt_gcgroup_make(own, err);
	if (status < 0) {
		free(own);
		return status;
	}
	free(payload->own);
	payload->own = own;
	return 0;
}

static void poll_outputs(struct kt_gpayload *payload, int what)
{
	struct epoll_event event = { .events = EPOLLIN };

	for (int i = 0; i < 2; i++)
		if (payload->fds[i] >= 0)
			epoll_ctl(payload->spec.poll_fd, what, payload->fds[i], &event);
}

/* A worker that was forked meanwhile may have it open as well: then epoll does not forget it by itself. */
static void close_output(struct kt_gpayload *payload, int i)
{
	if (payload->fds[i] >= 0)
		epoll_ctl(payload->spec.poll_fd, EPOLL_CTL_DEL, payload->fds[i], NULL);
	kt_own_close(&payload->fds[i]);
}

int kt_gpayload_start(const struct kt_gpayload_spec *spec, struct kt_gpayload **payload_p,
		      struct kt_err *err)
{
	KT_AUTO(kt_gpayload_destroy)
	struct kt_gpayload *payload = kt_must_calloc(1, sizeof(*payload));
	int status;

	*payload = (struct kt_gpayload){
		.spec = *spec, .gate_fd = -1, .failure_fd = -1, .fds = { -1, -1 }
	};
	kt_gkeep_init(&payload->kept[0], KT_PAYLOAD_OUT_BYTES_MAX / 2,
		      KT_PAYLOAD_OUT_BYTES_MAX / 2);
	kt_gkeep_init(&payload->kept[1], 0, KT_PAYLOAD_ERRORS_BYTES_MAX);
	if (spec->what->n_args == 0)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "payload %s has no program",
				  spec->what->name);
	status = make_own(payload, spec->cgroup, err);
	if (status == 0)
		status = fork_it(payload, err);
	if (status == 0)
		status = kt_gcgroup_move(payload->own, payload->pid, err);
	if (status < 0)
		return status;
	poll_outputs(payload, EPOLL_CTL_ADD);
	*payload_p = kt_take(&payload);
	return 0;
}

void kt_gpayload_go(struct kt_gpayload *payload, int64_t now_ns)
{
	if (payload->state != KT_GPAYLOAD_WAITING)
		return;
	payload->state = KT_GPAYLOAD_RUNNING;
	payload->begun_ns = now_ns;
	if (write(payload->gate_fd, "", 1) < 0) /* it died at the gate: SIGCHLD is on its way */
		payload->end = KT_GPAYLOAD_FAILED;
	kt_own_close(&payload->gate_fd);
}

int kt_gpayload_move(struct kt_gpayload *payload, const char *cgroup, struct kt_err *err)
{
	KT_AUTO_FREE char *before = kt_must_strdup(payload->own);
	size_t n;
	int status;

	if (payload->state >= KT_GPAYLOAD_CLEARING)
		return 0;
	status = make_own(payload, cgroup, err);
	if (status == 0)
		status = kt_gcgroup_move_all(before, payload->own, &n, err);
	if (status == 0)
		kt_gcgroup_remove(before);
	return status;
}

/* ---- end ---- */

static void stop(struct kt_gpayload *payload, enum kt_gpayload_end end, int64_t now_ns)
{
	if (payload->state >= KT_GPAYLOAD_STOPPING || !payload->pid)
		return;
	payload->end = end;
	payload->told_ns = now_ns;
	if (payload->state == KT_GPAYLOAD_WAITING) { /* it has nothing to say yet */
		kt_gcgroup_kill(payload->own);
		payload->state = KT_GPAYLOAD_KILLED;
		return;
	}
	kill(-payload->session, SIGTERM);
	payload->state = KT_GPAYLOAD_STOPPING;
}

void kt_gpayload_stop(struct kt_gpayload *payload, int64_t now_ns)
{
	stop(payload, KT_GPAYLOAD_TOLD, now_ns);
}

bool kt_gpayload_reaped(struct kt_gpayload *payload, pid_t pid, int wait_status)
{
	if (!payload->pid || pid != payload->pid)
		return false;
	payload->pid = 0;
	payload->wait_status = wait_status;
	return true;
}

static void read_failure(struct kt_gpayload *payload)
{
	if (read(payload->failure_fd, &payload->failure, sizeof(payload->failure)) ==
	    sizeof(payload->failure))
		payload->end = KT_GPAYLOAD_FAILED;
	kt_own_close(&payload->failure_fd);
}

/* ---- outputs ---- */

static void read_output(struct kt_gpayload *payload, int i)
{
	char piece[READ_BYTES];
	ssize_t n = -1;

	while (payload->fds[i] >= 0 && payload->window_bytes < KT_GPAYLOAD_WINDOW_BYTES) {
		n = read(payload->fds[i], piece, sizeof(piece));
		if (n <= 0)
			break;
		kt_gkeep_put(&payload->kept[i], piece, (size_t)n);
		payload->window_bytes += (size_t)n;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR &&
		       payload->window_bytes < KT_GPAYLOAD_WINDOW_BYTES))
		close_output(payload, i);
}

static void read_outputs(struct kt_gpayload *payload, int64_t now_ns)
{
	bool is_paused;

	if (now_ns - payload->window_ns >= KT_GPAYLOAD_WINDOW_NS) {
		payload->window_ns = now_ns;
		payload->window_bytes = 0;
	}
	for (int i = 0; i < 2; i++)
		read_output(payload, i);
	is_paused = payload->window_bytes >= KT_GPAYLOAD_WINDOW_BYTES;
	if (is_paused != payload->is_paused)
		poll_outputs(payload, is_paused ? EPOLL_CTL_DEL : EPOLL_CTL_ADD);
	payload->is_paused = is_paused;
}

/* ---- what happens by itself ---- */

static void clear(struct kt_gpayload *payload, int64_t now_ns)
{
	int status;

	if (!payload->is_removed) {
		status = kt_gcgroup_remove(payload->own);
		payload->is_removed = status == 0 || status == -ENOENT;
		if (!payload->is_removed) {
			kt_gcgroup_kill(payload->own);
			return;
		}
	}
	if ((payload->fds[0] < 0 && payload->fds[1] < 0) ||
	    now_ns - payload->ended_ns >= KT_GPAYLOAD_DRAIN_NS) {
		close_output(payload, 0);
		close_output(payload, 1);
		payload->state = KT_GPAYLOAD_OVER;
	}
}

void kt_gpayload_step(struct kt_gpayload *payload, int64_t now_ns)
{
	int64_t deadline_ns = payload->spec.what->deadline_ns;

	if (payload->state == KT_GPAYLOAD_OVER)
		return;
	read_outputs(payload, now_ns);
	if (payload->state == KT_GPAYLOAD_RUNNING && payload->pid && deadline_ns &&
	    now_ns - payload->begun_ns >= deadline_ns)
		stop(payload, KT_GPAYLOAD_DEADLINE, now_ns);
	if (payload->state == KT_GPAYLOAD_STOPPING &&
	    now_ns - payload->told_ns >= KT_GPAYLOAD_TERM_NS) {
		kt_gcgroup_kill(payload->own);
		payload->state = KT_GPAYLOAD_KILLED;
	}
	if (payload->state < KT_GPAYLOAD_CLEARING && !payload->pid) {
		read_failure(payload);
		payload->ended_ns = now_ns;
		payload->state = KT_GPAYLOAD_CLEARING;
	}
	if (payload->state == KT_GPAYLOAD_CLEARING)
		clear(payload, now_ns);
}

int64_t kt_gpayload_due_ns(const struct kt_gpayload *payload, int64_t now_ns)
{
	int64_t deadline_ns = payload->spec.what->deadline_ns;
	int64_t due_ns = INT64_MAX;

	if (payload->state == KT_GPAYLOAD_RUNNING && deadline_ns)
		due_ns = payload->begun_ns + deadline_ns;
	else if (payload->state == KT_GPAYLOAD_STOPPING)
		due_ns = payload->told_ns + KT_GPAYLOAD_TERM_NS;
	else if (payload->state == KT_GPAYLOAD_CLEARING)
		due_ns = now_ns + KT_GPAYLOAD_LOOK_NS;
	if (payload->is_paused && payload->window_ns + KT_GPAYLOAD_WINDOW_NS < due_ns)
		due_ns = payload->window_ns + KT_GPAYLOAD_WINDOW_NS;
	return due_ns;
}

/* ---- what it was ---- */

int kt_gpayload_trouble(const struct kt_gpayload *payload, struct kt_err *err)
{
	if (payload->end != KT_GPAYLOAD_FAILED)
		return 0;
	return kt_err_set(err, KT_FAULT_GUEST, ECHILD, "payload %s could not be started: %s: %s",
			  payload->spec.what->name, payload->spec.what->args[0].text,
			  strerror(payload->failure));
}

static void fill_end(const struct kt_gpayload *payload, struct kt_msg_payload_report *report)
{
	static const char *const words[] = {
		[KT_GPAYLOAD_TOLD] = "killed",
		[KT_GPAYLOAD_DEADLINE] = "deadline",
		[KT_GPAYLOAD_FAILED] = "failed",
	};
	int wait_status = payload->wait_status;

	report->status =
		WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	if (payload->end != KT_GPAYLOAD_BY_ITSELF)
		report->ended = words[payload->end];
	else
		report->ended = WIFSIGNALED(wait_status) ? "signaled" : "exited";
}

void kt_gpayload_describe(const struct kt_gpayload *payload, struct kt_buf *text)
{
	struct kt_msg_payload_report report;

	if (payload->state < KT_GPAYLOAD_CLEARING) {
		kt_buf_puts(text, payload->state == KT_GPAYLOAD_WAITING ? "waits for its gate"
									: "still runs");
		return;
	}
	fill_end(payload, &report);
	if (payload->end == KT_GPAYLOAD_BY_ITSELF && !WIFSIGNALED(payload->wait_status))
		kt_buf_printf(text, "exited with status %lld", (long long)report.status);
	else if (payload->end == KT_GPAYLOAD_BY_ITSELF)
		kt_buf_printf(text, "ended by signal %lld", (long long)report.status);
	else
		kt_buf_puts(text, report.ended);
}

void kt_gpayload_report(const struct kt_gpayload *payload, size_t out_most, size_t errors_most,
			struct kt_arena *arena, struct kt_msg_payload_report *report)
{
	*report = (struct kt_msg_payload_report){
		.name = payload->spec.what->name,
		.cgroup = payload->spec.cgroup,
		.step = payload->spec.step,
		.wall_ns = payload->begun_ns ? payload->ended_ns - payload->begun_ns : 0,
		.out_bytes = payload->kept[0].total,
		.text = "",
	};
	fill_end(payload, report);
	if (payload->end == KT_GPAYLOAD_FAILED)
		report->text = kt_arena_printf(arena, "%s: %s", payload->spec.what->args[0].text,
					       strerror(payload->failure));
	kt_gkeep_take(&payload->kept[0], out_most, arena, &report->out);
	kt_gkeep_take(&payload->kept[1], errors_most, arena, &report->errors);
}

void kt_gpayload_destroy(struct kt_gpayload **payload_p)
{
	struct kt_gpayload *payload = *payload_p;

	if (!payload)
		return;
	if (payload->own && !payload->is_removed) {
		kt_gcgroup_kill(payload->own);
		kt_gcgroup_remove(
			payload->own); /* while it dies it stays: its parent's end sees to it */
	}
	kt_own_close(&payload->gate_fd);
	kt_own_close(&payload->failure_fd);
	close_output(payload, 0);
	close_output(payload, 1);
	kt_gkeep_destroy(&payload->kept[0]);
	kt_gkeep_destroy(&payload->kept[1]);
	free(payload->own);
	free(payload);
	*payload_p = NULL;
}
