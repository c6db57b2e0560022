#include "worker/guest/gsched.h"
#include "worker/guest/gtime.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCX          "/sys/kernel/sched_ext"
#define LOOK_LOAD_NS (5 * KT_NS_PER_MS) /* between two looks while something is awaited */
#define LOOK_RUN_NS  (100 * KT_NS_PER_MS) /* while it runs: the kernel's log tells sooner anyway */
#define GRACE_NS \
	(2 * KT_NS_PER_S) /* for a thrown-out scheduler's program to begin with its dump, */
#define GRACE_NS_MAX (45 * KT_NS_PER_S) /* and to go on; and for the kernel to write it */
#define READS_MAX    16 /* of output in one round */
#define FORCE_NS     (10 * KT_NS_PER_S) /* after SIGKILL and SysRq-S */
#define IDLE_NS      (10 * KT_NS_PER_S) /* a program that is to load and does nothing never will */
#define KMSG_BYTES   (16u << 10) /* of the evidence */

static const char refused_by_verifier[] = "BEGIN PROG LOAD LOG";

/* What a program prints when it cannot be loaded, and what that means: the first row of which a line speaks, and
 * the last one when no line speaks of any.
 */
static const struct kt_gsched_refusal {
	const char *text; /* in its output */
	enum kt_cause_id cause;
	const char *sentence;
} refusals[] = {
	{ "is not found in kernel", KT_CAUSE_ID_scheduler_missing_feature,
	  "the kernel lacks a function or type that the scheduler needs" },
	{ "failed to find BTF", KT_CAUSE_ID_scheduler_missing_feature,
	  "the kernel lacks a function or type that the scheduler needs" },
	{ "in kernel BTF", KT_CAUSE_ID_scheduler_missing_feature,
	  "the kernel lacks a function or type that the scheduler needs" },
	{ "not supported by the running kernel", KT_CAUSE_ID_scheduler_missing_feature,
	  "the kernel lacks something that the scheduler needs" },
	{ "error while loading shared libraries", KT_CAUSE_ID_scheduler_rejected,
	  "the scheduler's program lacks a library in the guest" },
	{ refused_by_verifier, KT_CAUSE_ID_scheduler_rejected,
	  "the BPF verifier refused the scheduler" },
	{ NULL, KT_CAUSE_ID_scheduler_rejected,
	  "the scheduler's program ended before it was enabled" },
};
#define N_REFUSALS (sizeof(refusals) / sizeof(refusals[0]))

bool kt_gsched_is_supported(void)
{
	return access(SCX "/state", F_OK) == 0;
}

/* ---- what its program says ---- */

/* libbpf: prog 'kt_init': -- BEGIN PROG LOAD LOG --
 * ...
 * invalid unbounded variable-offset read from stack R2
 * processed 21018 insns (limit 1000000) ...
 */
static void look_for_reason(struct kt_gsched_verifier *verifier, const char *line)
{
	const char *name = strstr(line, "prog '");

	if (name && strstr(line, refused_by_verifier))
		snprintf(verifier->program, sizeof(verifier->program), "%.*s",
			 (int)strcspn(name + 6, "'"), name + 6);
	if (verifier->program[0] && strncmp(line, "processed ", 10) == 0)
		memcpy(verifier->said, verifier->line, sizeof(verifier->said));
	snprintf(verifier->line, sizeof(verifier->line), "%s", line);
}

static void look_at_line(void *arg, const char *line)
{
	struct kt_gsched *sched = arg;

	look_for_reason(&sched->verifier, line);
	for (const struct kt_gsched_refusal *row = refusals; row < sched->refusal; row++)
		if (strstr(line, row->text))
			sched->refusal = row;
}

static void forget_output(struct kt_gsched *sched)
{
	kt_logtail_reset(&sched->output);
	sched->refusal = &refusals[N_REFUSALS - 1];
	sched->verifier = (struct kt_gsched_verifier){ 0 };
	sched->stirred_ns = 0;
}

void kt_gsched_init(struct kt_gsched *sched, struct kt_kmsg *kmsg)
{
	*sched = (struct kt_gsched){
		.kmsg = kmsg,
		.output_fd = -1,
	};
	kt_logtail_init(&sched->output);
	sched->output.look = look_at_line;
	sched->output.arg = sched;
	forget_output(sched);
}

static void read_state(char *state, size_t size)
{
	if (kt_sysfile_read(SCX "/state", state, size) < 0)
		snprintf(state, size, "unknown");
}

static bool is_state(const char *wanted)
{
	char state[64];

	read_state(state, sizeof(state));
	return strcmp(state, wanted) == 0;
}

/* ---- failures ---- */

static void describe_end(const struct kt_gsched *sched, char *text, size_t room)
{
	if (!sched->has_ended)
		snprintf(text, room, "its program still runs");
	else if (WIFSIGNALED(sched->wait_status))
		snprintf(text, room, "its program was ended by signal %d (%s)",
			 WTERMSIG(sched->wait_status), strsignal(WTERMSIG(sched->wait_status)));
	else
		snprintf(text, room, "its program ended with status %d",
			 WEXITSTATUS(sched->wait_status));
}

/* root/ops is there only while a scheduler is. */
static void put_files(struct kt_buf *evidence)
{
	static const char *const files[] = { "state", "root/ops", "nr_rejected", "enable_seq" };
	char path[sizeof(SCX) + 32];
	char text[256];

	kt_buf_puts(evidence, "--- " SCX ":");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), SCX "/%s", files[i]);
		if (kt_sysfile_read(path, text, sizeof(text)) >= 0)
			kt_buf_printf(evidence, " %s=%s", files[i], text);
	}
	kt_buf_puts(evidence, "\n");
}

static void put_log(struct kt_buf *evidence, const char *title, struct kt_logtail *log, size_t max)
{
	KT_AUTO_BUF text = { 0 };

	kt_logtail_collapse(log, max, &text);
	if (!text.len)
		return;
	kt_buf_puts(evidence, title);
	kt_buf_append(evidence, text.data, text.len);
}

void kt_gsched_put_evidence(struct kt_gsched *sched, size_t max, struct kt_buf *evidence)
{
	kt_kmsg_read(sched->kmsg);
	put_files(evidence);
	put_log(evidence, "--- kernel log\n", &sched->kmsg->tail, KMSG_BYTES);
	put_log(evidence, "--- scheduler's output\n", &sched->output, max);
}

__attribute__((format(printf, 3, 4))) static void fail(struct kt_gsched *sched,
						       enum kt_cause_id cause, const char *format,
						       ...)
{
	struct kt_gsched_failure *failure = &sched->failure;
	va_list args;

	failure->cause = cause;
	va_start(args, format);
	vsnprintf(failure->line, sizeof(failure->line), format, args);
	va_end(args);
	kt_buf_reset(&failure->evidence);
	kt_gsched_put_evidence(sched, KT_LOGTAIL_BYTES_MAX, &failure->evidence);
}

/* ---- load ---- */

/* In the child. Only what is safe after fork; the program sees a plain environment. */
__attribute__((noreturn)) static void become(char **argv, int output_fd)
{
	static char *const environment[] = { (char *)"PATH=/kt/bin:/usr/bin:/bin", (char *)"HOME=/",
					     (char *)"LD_LIBRARY_PATH=/kt/lib", NULL };
	sigset_t none;

	setpgid(0, 0);
	dup2(output_fd, STDOUT_FILENO);
	dup2(output_fd, STDERR_FILENO);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	kt_sysfile_write("/proc/self/oom_score_adj", "0"); /* ktguest's is its own */
	execve(argv[0], argv, environment);
	dprintf(STDERR_FILENO, "ktguest: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int start_program(struct kt_gsched *sched, const struct kt_msg_guest_load *load)
{
	KT_AUTO_FREE char **argv = kt_must_calloc(load->n_args + 1, sizeof(*argv));
	int ends[2];

	for (size_t i = 0; i < load->n_args; i++)
		argv[i] = (char *)load->args[i].text;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	sched->pid = fork();
	if (sched->pid == 0)
		become(argv, ends[1]);
	close(ends[1]);
	if (sched->pid < 0) {
		close(ends[0]);
		sched->pid = 0;
		return -EAGAIN;
	}
	setpgid(sched->pid, sched->pid); /* both sides: whoever is first */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	sched->output_fd = ends[0];
	return 0;
}

__attribute__((format(printf, 2, 3))) static void put_output(struct kt_gsched *sched,
							     const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	kt_logtail_append(&sched->output, text, strlen(text));
}

enum kt_gsched_event kt_gsched_load(struct kt_gsched *sched, const struct kt_msg_guest_load *load)
{
	int status;

	kt_must(sched->state == KT_GSCHED_IDLE);
	kt_kmsg_restart(sched->kmsg);
	forget_output(sched);
	sched->idle = (struct kt_gidle){ 0 };
	sched->begun_ns = kt_gtime_now_ns();
	sched->load_ns = load->deadline_ns;
	sched->deadline_ns = sched->begun_ns + load->deadline_ns;
	sched->looked_ns = 0;
	sched->broken_ns = 0;
	sched->has_ended = false;
	sched->was_killed = false;
	sched->pid = 0;
	if (load->n_args == 0)
		return KT_GSCHED_LOADED;
	if (!kt_gsched_is_supported()) {
		fail(sched, KT_CAUSE_ID_scheduler_missing_feature,
		     "this kernel has no sched_ext: there is no " SCX);
		return KT_GSCHED_REFUSED;
	}
	sched->state = KT_GSCHED_LOADING;
	status = start_program(sched, load);
	if (status < 0) {
		put_output(sched, "ktguest: starting %s: %s\n", load->args[0].text,
			   strerror(-status));
		sched->has_ended = true;
		sched->wait_status = 127 << 8; /* as a shell says it */
	}
	return KT_GSCHED_NOTHING;
}

static void refuse(struct kt_gsched *sched)
{
	const struct kt_gsched_verifier *verifier = &sched->verifier;
	char end[128];
	char last[512];

	if (sched->kmsg->disabled && !sched->kmsg->enabled) {
		fail(sched, KT_CAUSE_ID_scheduler_rejected,
		     "the kernel could not enable the scheduler: %s", sched->kmsg->message);
		return;
	}
	if (sched->kmsg->disabled) { /* it was enabled for a moment */
		fail(sched, sched->kmsg->disabled->cause, "%s, right after it was enabled: %s",
		     sched->kmsg->disabled->sentence, sched->kmsg->message);
		return;
	}
	describe_end(sched, end, sizeof(end));
	kt_logtail_last_line(&sched->output, last, sizeof(last));
	if (verifier->said[0] && sched->refusal->text == refused_by_verifier)
		fail(sched, sched->refusal->cause, "%s, in %s: %s", sched->refusal->sentence,
		     verifier->program, verifier->said);
	else
		fail(sched, sched->refusal->cause, "%s: %s; its last line: %s",
		     sched->refusal->sentence, end, last[0] ? last : "(none)");
}

static void kill_program(struct kt_gsched *sched, int signal)
{
	if (sched->pid && !sched->has_ended)
		kill(-sched->pid, signal);
}

static void reset_kernel(void)
{
	if (kt_gsched_is_supported() && !is_state("disabled"))
		kt_sysfile_write("/proc/sysrq-trigger", "S");
}

static bool output_is_drained(const struct kt_gsched *sched)
{
	return sched->output_fd < 0;
}

/* For the kernel's reason and for what its program still prints. The kernel is "disabling" while it writes the dump:
 * with hundreds of tasks that takes seconds.
 */
static bool grace_is_over(struct kt_gsched *sched, int64_t now_ns)
{
	int64_t since_ns;

	if (is_state("disabling"))
		sched->stirred_ns = now_ns;
	since_ns = sched->stirred_ns > sched->broken_ns ? sched->stirred_ns : sched->broken_ns;
	return now_ns - since_ns >= GRACE_NS || now_ns - sched->broken_ns >= GRACE_NS_MAX;
}

/* While the kernel enables or disables a scheduler, its program rightly waits. */
static bool is_idle(struct kt_gsched *sched, int64_t now_ns)
{
	return is_state("disabled") && kt_gidle_look(&sched->idle, sched->pid, now_ns) >= IDLE_NS;
}

static enum kt_gsched_event step_loading(struct kt_gsched *sched, int64_t now_ns)
{
	char end[128];
	char last[512];

	if (!sched->has_ended && !sched->kmsg->disabled && is_state("enabled")) {
		sched->state = KT_GSCHED_ENABLED;
		return KT_GSCHED_LOADED;
	}
	/* Enabled and thrown out between two looks is an end too. */
	if (sched->has_ended || sched->kmsg->disabled) {
		/* its last words may still be in the pipe; a grandchild may hold it open for ever */
		if (!sched->broken_ns)
			sched->broken_ns = now_ns;
		if (!(sched->has_ended && output_is_drained(sched)) &&
		    !grace_is_over(sched, now_ns))
			return KT_GSCHED_NOTHING;
		sched->state = KT_GSCHED_BROKEN;
		refuse(sched);
		return KT_GSCHED_REFUSED;
	}
	if (now_ns < sched->deadline_ns && !is_idle(sched, now_ns))
		return KT_GSCHED_NOTHING;
	describe_end(sched, end, sizeof(end));
	kt_logtail_last_line(&sched->output, last, sizeof(last));
	sched->state = KT_GSCHED_BROKEN;
	fail(sched, KT_CAUSE_ID_scheduler_load_timeout,
	     "the scheduler hangs while it is loaded: not enabled after %.1f s, %s%s; its last "
	     "line: %s",
	     (double)(now_ns - sched->begun_ns) / 1e9, end,
	     sched->idle.idle_ns >= IDLE_NS ? " and sleeps" : "", last[0] ? last : "(none)");
	return KT_GSCHED_REFUSED;
}

/* ---- while it should be enabled ---- */

/* The kernel gave no reason: without a link a scheduler outlives its program. */
static void lose_program(struct kt_gsched *sched)
{
	bool was_killed = sched->has_ended && WIFSIGNALED(sched->wait_status);
	char state[64];
	char end[128];

	describe_end(sched, end, sizeof(end));
	read_state(state, sizeof(state));
	if (was_killed && WTERMSIG(sched->wait_status) == SIGKILL && sched->kmsg->oom[0])
		fail(sched, KT_CAUSE_ID_guest_oom,
		     "the guest's kernel killed the scheduler's program: %s", sched->kmsg->oom);
	else
		fail(sched,
		     was_killed ? KT_CAUSE_ID_scheduler_crashed : KT_CAUSE_ID_scheduler_exited,
		     "the scheduler is lost: %s, sched_ext is %s", end, state);
}

/* The kernel takes out a scheduler that does not know about CPUs that come and go, and asks its program to load it
 * again, as those of the kernel's tools do (UEI_ECODE_RESTART in tools/sched_ext). It says so before the state leaves
 * "disabling": enabled after that is enabled again.
 */
static bool may_restart(const struct kt_gsched *sched)
{
	return sched->kmsg->disabled && sched->kmsg->disabled->asks_for_restart &&
	       !sched->has_ended;
}

static enum kt_gsched_event forget_loss(struct kt_gsched *sched)
{
	sched->broken_ns = 0;
	sched->kmsg->disabled = NULL;
	sched->kmsg->message[0] = 0;
	return KT_GSCHED_RELOADED;
}

static enum kt_gsched_event step_enabled(struct kt_gsched *sched, int64_t now_ns)
{
	char end[128];

	if (!sched->broken_ns) {
		if (!sched->has_ended && !sched->kmsg->disabled &&
		    now_ns - sched->looked_ns < LOOK_RUN_NS)
			return KT_GSCHED_NOTHING;
		sched->looked_ns = now_ns;
		if (!sched->has_ended && !sched->kmsg->disabled && is_state("enabled"))
			return KT_GSCHED_NOTHING;
		sched->broken_ns = now_ns;
	}
	if (may_restart(sched)) {
		if (is_state("enabled"))
			return forget_loss(sched);
		if (now_ns - sched->broken_ns < sched->load_ns)
			return KT_GSCHED_NOTHING;
	}
	/* Wait for the rest of the story: the kernel's reason, and the dump that its program prints. */
	if (!grace_is_over(sched, now_ns) &&
	    !(sched->kmsg->disabled && sched->has_ended && output_is_drained(sched)))
		return KT_GSCHED_NOTHING;
	sched->state = KT_GSCHED_BROKEN;
	describe_end(sched, end, sizeof(end));
	if (sched->kmsg->disabled) {
		fail(sched, sched->kmsg->disabled->cause, "%s%s%s; %s",
		     sched->kmsg->disabled->sentence, sched->kmsg->message[0] ? ": " : "",
		     sched->kmsg->message, end);
		return KT_GSCHED_LOST;
	}
	lose_program(sched);
	return KT_GSCHED_LOST;
}

/* ---- unload ---- */

void kt_gsched_unload(struct kt_gsched *sched, int64_t deadline_ns)
{
	int64_t now_ns = kt_gtime_now_ns();

	sched->begun_ns = now_ns;
	sched->deadline_ns = now_ns + deadline_ns;
	sched->was_killed = false;
	sched->state = KT_GSCHED_UNLOADING;
	kill_program(sched, SIGTERM);
	/* Nobody is left to take its BPF side out. */
	if (!sched->pid || sched->has_ended)
		reset_kernel();
}

static enum kt_gsched_event step_unloading(struct kt_gsched *sched, int64_t now_ns)
{
	bool is_gone = (!sched->pid || sched->has_ended) &&
		       (!kt_gsched_is_supported() || is_state("disabled"));
	char state[64];
	char end[128];

	if (is_gone && (output_is_drained(sched) || now_ns >= sched->deadline_ns)) {
		kt_own_close(&sched->output_fd);
		sched->state = KT_GSCHED_IDLE;
		sched->pid = 0;
		return sched->was_killed ? KT_GSCHED_FORCED : KT_GSCHED_UNLOADED;
	}
	if (now_ns < sched->deadline_ns)
		return KT_GSCHED_NOTHING;
	if (sched->was_killed) {
		sched->state = KT_GSCHED_BROKEN;
		fail(sched, KT_CAUSE_ID_guest_hung,
		     "SIGKILL and SysRq-S did not get the scheduler out");
		return KT_GSCHED_FORCED;
	}
	describe_end(sched, end, sizeof(end));
	read_state(state, sizeof(state));
	fail(sched, KT_CAUSE_ID_scheduler_unload_timeout,
	     "the scheduler hangs while it is unloaded: %.1f s after SIGTERM sched_ext is %s and "
	     "%s; ended by SIGKILL and SysRq-S",
	     (double)(now_ns - sched->begun_ns) / 1e9, state, end);
	sched->was_killed = true;
	sched->deadline_ns = now_ns + FORCE_NS;
	kill_program(sched, SIGKILL);
	/* Without a link a scheduler outlives its program; and a program that the scheduler starves
	 * does not even die before the scheduler is out.
	 */
	reset_kernel();
	return KT_GSCHED_NOTHING;
}

/* ---- what happens around it ---- */

void kt_gsched_look(struct kt_gsched *sched)
{
	sched->looked_ns = 0;
}

void kt_gsched_reaped(struct kt_gsched *sched, pid_t pid, int wait_status)
{
	if (!sched->pid || pid != sched->pid)
		return;
	sched->has_ended = true;
	sched->wait_status = wait_status;
}

void kt_gsched_read(struct kt_gsched *sched, void (*sink)(void *arg, const void *bytes, size_t len),
		    void *arg)
{
	char piece[8192];
	ssize_t n = 1;

	if (sched->output_fd < 0)
		return;
	/* Bounded: a program that prints without pause must not keep ktguest from the rest. */
	for (int i = 0; i < READS_MAX; i++) {
		n = read(sched->output_fd, piece, sizeof(piece));
		if (n <= 0)
			break;
		sched->stirred_ns = kt_gtime_now_ns();
		kt_logtail_append(&sched->output, piece, (size_t)n);
		sink(arg, piece, (size_t)n);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		kt_own_close(&sched->output_fd);
}

enum kt_gsched_event kt_gsched_step(struct kt_gsched *sched, int64_t now_ns)
{
	switch (sched->state) {
	case KT_GSCHED_LOADING:
		return step_loading(sched, now_ns);
	case KT_GSCHED_ENABLED:
		return step_enabled(sched, now_ns);
	case KT_GSCHED_UNLOADING:
		return step_unloading(sched, now_ns);
	case KT_GSCHED_IDLE:
	case KT_GSCHED_BROKEN:
		break;
	}
	return KT_GSCHED_NOTHING;
}

int64_t kt_gsched_due_ns(const struct kt_gsched *sched, int64_t now_ns)
{
	switch (sched->state) {
	case KT_GSCHED_LOADING:
	case KT_GSCHED_UNLOADING:
		return now_ns + LOOK_LOAD_NS;
	case KT_GSCHED_ENABLED:
		return now_ns + (sched->broken_ns ? LOOK_LOAD_NS : LOOK_RUN_NS);
	case KT_GSCHED_IDLE:
	case KT_GSCHED_BROKEN:
		break;
	}
	return INT64_MAX;
}
