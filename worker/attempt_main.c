#include "worker/attempt_main.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/attempt.h"
#include "worker/boot.h"
#include "worker/drain.h"
#include "worker/hearing.h"
#include "worker/load.h"
#include "worker/sampling.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define START_S_MAX     30 /* until the agent says which guest, and a guest to be booted what to run */
#define HAND_OVER_S_MAX 30 /* for the last word to reach the agent */
#define SPARE_NS        (3600 * KT_NS_PER_S) /* one look at a guest that waits for its job */
#define TAIL_BYTES_MAX  (8u << 10)

/* ---- the result ---- */

static void add_evidence(struct kt_attempt *attempt)
{
	struct kt_buf *evidence = &attempt->evidence;
	const struct kt_vm *vm = &attempt->vm;

	if (vm->console.in_trouble) {
		kt_buf_printf(evidence, "%sconsole:\n", evidence->len ? "\n" : "");
		kt_buf_puts(evidence, kt_buf_text(&vm->console.evidence));
	} else if (attempt->cause != KT_CAUSE_ID_finished && vm->console.total > 0 &&
		   evidence->len == 0) {
		kt_buf_puts(evidence, "console, its end:\n");
		kt_console_tail(&vm->console, TAIL_BYTES_MAX, evidence);
	}
	if (vm->words.len > 0)
		kt_buf_printf(evidence, "%sQEMU:\n%s", evidence->len ? "\n" : "",
			      kt_buf_text(&vm->words));
	/* A 0 byte of QEMU or of the guest would end the text for some and not for others. */
	for (size_t i = 0; i < evidence->len; i++)
		if (evidence->data[i] == 0)
			evidence->data[i] = ' ';
}

/* Until the agent has read all. */
static void flush(struct kt_attempt *attempt)
{
	int64_t deadline_ns = kt_clock_now_ns() + HAND_OVER_S_MAX * KT_NS_PER_S;

	while (attempt->control.out.len > 0 && kt_clock_now_ns() < deadline_ns)
		kt_attempt_pump(attempt, deadline_ns);
}

static void add_outcome(const struct kt_attempt *attempt, struct kt_msg_result *result)
{
	const struct kt_msg_guest_finished *outcome = attempt->outcome;

	if (!outcome)
		return;
	result->reports = outcome->reports;
	result->n_reports = outcome->n_reports;
	result->wakes = outcome->wakes;
	result->n_wakes = outcome->n_wakes;
	result->latencies = outcome->latencies;
	result->n_latencies = outcome->n_latencies;
	result->payloads = outcome->payloads;
	result->n_payloads = outcome->n_payloads;
}

static void hand_over(struct kt_attempt *attempt)
{
	const struct kt_msg_run_guest *guest = attempt->guest;
	struct kt_msg_machine machine = {
		.runner = "qemu",
		.accel = guest->accel,
		.guest = guest->role,
		.qemu = guest->qemu_version,
		.cpu_model = guest->cpu_model,
		.kernel_release = attempt->kernel_release,
		.topology = attempt->topology_seen,
		.template = guest->template,
	};
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct kt_msg_result result = {
		.cause = kt_cause(attempt->cause)->name,
		.line = attempt->line,
		.samples_fired = attempt->sampling.samples_fired,
		.samples_total = attempt->sampling.samples_total,
		.series_digest = { digest, sizeof(digest) },
		.wall_ns = kt_clock_now_ns() - attempt->began_ns,
		.machine = &machine,
		.timeline = attempt->moments,
	};
	struct kt_msg_run_ended ended = { .result = &result };

	crypto_hash_sha256_final(&attempt->sampling.series, digest);
	kt_attempt_moment(attempt, "end", "%s", result.cause);
	result.n_timeline = attempt->n_moments;
	add_outcome(attempt, &result);
	result.monitor = kt_monitor_report(attempt);
	add_evidence(attempt);
	result.evidence = kt_buf_text(&attempt->evidence);
	if (attempt->n_events > KT_ATTEMPT_EVENTS_MAX)
		kt_attempt_note(attempt, "the timeline has the first %d of %zu events",
				KT_ATTEMPT_EVENTS_MAX, attempt->n_events);
	result.note = kt_buf_text(&attempt->note);
	kt_must(kt_framelink_push(&attempt->control, KT_TAG_run_ended, &ended));
	flush(attempt);
}

/* Nothing of a job has run: the agent finds another guest for it. */
static void tell_broke(struct kt_attempt *attempt)
{
	struct kt_msg_run_broke broke = { .cause = kt_cause(attempt->cause)->name,
					  .line = attempt->line,
					  .always = attempt->never_warm };

	kt_vm_kill(&attempt->vm);
	kt_framelink_push(&attempt->control, KT_TAG_run_broke, &broke);
	flush(attempt);
}

/* ---- the process ---- */

static void on_signal(int sig)
{
	kt_attempt_told_to_end = 1;
}

/* SIGTERM is only let in where the loop sleeps. */
static void take_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The other end of fd 3 was made by the agent: when that is not our parent, it died before prctl(). */
static bool die_with_agent(void)
{
	struct ucred agent;
	socklen_t len = sizeof(agent);

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return false;
	return getsockopt(KT_ATTEMPT_MAIN_FD, SOL_SOCKET, SO_PEERCRED, &agent, &len) == 0 &&
	       agent.pid == getppid();
}

static bool wait_for(struct kt_attempt *attempt, bool (*done)(const struct kt_attempt *attempt))
{
	return kt_attempt_wait_until(attempt, done, kt_clock_now_ns() + START_S_MAX * KT_NS_PER_S);
}

static bool has_guest(const struct kt_attempt *attempt)
{
	return attempt->guest != NULL;
}

static bool has_start(const struct kt_attempt *attempt)
{
	return attempt->start != NULL;
}

static void take_guest(struct kt_attempt *attempt)
{
	const struct kt_msg_run_guest *guest = attempt->guest;

	attempt->kvm = strcmp(guest->accel, "kvm") == 0;
	attempt->cpus = kt_qemu_cpus(guest->topology);
	attempt->capture.vm = &attempt->vm;
	attempt->capture.freeze_ns_max = kt_attempt_patience(attempt, KT_PATIENCE_FREEZE, 0);
	attempt->has_template = strcmp(guest->role, "cold") != 0;
	attempt->template_state_fd = KT_ATTEMPT_MAIN_FD + 1;
	for (size_t i = 0; i < guest->topology->numa_nodes && i < KT_QEMU_NODES_MAX; i++)
		attempt->template_ram_fds[i] = KT_ATTEMPT_MAIN_FD + 2 + (int)i;
}

/* The job's own time begins: what came before was the guest's. */
static void take_start(struct kt_attempt *attempt)
{
	attempt->job = attempt->start->job;
	attempt->has_scheduler = attempt->job->scheduler->n_args > 0;
	if (attempt->start->note[0])
		kt_attempt_note(attempt, "%s", attempt->start->note);
}

/* ---- the roles ---- */

static void check_memory(struct kt_attempt *attempt)
{
	struct kt_err err = { 0 };

	if (kt_vm_check_memory(attempt->guest->topology, &err) < 0)
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_no_memory, "%s", err.text);
}

static void run_it(struct kt_attempt *attempt)
{
	if (kt_shell_is_wanted(attempt))
		kt_shell_run(attempt);
	else
		kt_sampling_run(attempt);
}

/* Each leaves `ending` unset when the next one may begin. Whatever happens, drain and result follow. */
static void run_job(struct kt_attempt *attempt)
{
	static void (*const phases[])(struct kt_attempt * attempt) = { kt_load, run_it };

	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]) && !attempt->ending; i++)
		phases[i](attempt);
	kt_drain(attempt);
	hand_over(attempt);
}

static int be_cold(struct kt_attempt *attempt)
{
	if (!wait_for(attempt, has_start))
		return 1;
	take_start(attempt);
	kt_boot(attempt);
	run_job(attempt);
	return 0;
}

/* A guest that nobody needs yet stands still: it costs no CPU, and no time passes in it. */
static void stand_by(struct kt_attempt *attempt)
{
	int64_t freeze_ns = attempt->capture.freeze_ns_max;
	struct kt_err err = { 0 };

	if (kt_vm_freeze(&attempt->vm, kt_clock_now_ns() + freeze_ns, &err) < 0)
		kt_attempt_end(attempt, KT_CAUSE_ID_qemu_died, "%s", err.text);
	while (!attempt->start && !attempt->ending)
		kt_attempt_pump(attempt, kt_clock_now_ns() + SPARE_NS);
	if (attempt->ending)
		return;
	attempt->began_ns = kt_clock_now_ns();
	attempt->n_moments = 0;
	attempt->prepared = false; /* its clock stood still as well */
	kt_attempt_enter(attempt, KT_ATTEMPT_BOOT, 0, "restored ahead");
	if (kt_vm_cont(&attempt->vm, kt_clock_now_ns() + freeze_ns, &err) < 0)
		kt_attempt_end(attempt, KT_CAUSE_ID_qemu_died, "%s", err.text);
	else
		kt_attempt_moment(attempt, "ready", "%s", attempt->kernel_release);
}

static int be_warm(struct kt_attempt *attempt)
{
	struct kt_msg_run_up up = { 0 };

	kt_boot_restore(attempt);
	if (!attempt->ending) {
		up.took_ns = kt_clock_now_ns() - attempt->began_ns;
		kt_framelink_push(&attempt->control, KT_TAG_run_up, &up);
	}
	if (!attempt->ending && !attempt->start)
		stand_by(attempt);
	if (attempt->ending) {
		tell_broke(attempt);
		return 1;
	}
	take_start(attempt);
	check_memory(attempt);
	run_job(attempt);
	return 0;
}

static int be_template(struct kt_attempt *attempt)
{
	kt_boot(attempt);
	if (!attempt->ending)
		kt_boot_save(attempt);
	if (attempt->ending)
		tell_broke(attempt);
	else
		flush(attempt);
	return attempt->ending;
}

static const struct {
	const char *name; /* run_guest.role */
	int (*be)(struct kt_attempt *attempt);
} roles[] = {
	{ "cold", be_cold },
	{ "warm", be_warm },
	{ "template", be_template },
};

int kt_attempt_main(void)
{
	static struct kt_attempt attempt; /* large, and there is one */
	const struct kt_vm_events events = { kt_hearing_frame, kt_hearing_log, &attempt };
	int status = 1;

	if (!die_with_agent()) {
		fprintf(stderr, "ktworker attempt: is only started by ktworker itself\n");
		return 2;
	}
	take_signals();
	kt_attempt_init(&attempt, KT_ATTEMPT_MAIN_FD, &events);
	if (!wait_for(&attempt, has_guest))
		return 1;
	take_guest(&attempt);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, attempt.guest->role) == 0)
			status = roles[i].be(&attempt);
	kt_attempt_destroy(&attempt);
	return status;
}
