#include "worker/attempt_main.h"
#include "proto/base/clock.h"
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

#define START_S_MAX     30 /* until the agent says what to run */
#define HAND_OVER_S_MAX 30 /* for the result to reach the agent */
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

static void hand_over(struct kt_attempt *attempt)
{
	int64_t deadline_ns = kt_clock_now_ns() + HAND_OVER_S_MAX * KT_NS_PER_S;
	const struct kt_msg_run_start *start = attempt->start;
	struct kt_msg_machine machine = {
		.runner = "qemu",
		.accel = start->accel,
		.guest = "cold",
		.qemu = attempt->qemu_version,
		.cpu_model = start->cpu_model,
		.kernel_release = attempt->kernel_release,
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
		.reports = attempt->reports,
		.n_reports = attempt->n_reports,
		.note = kt_buf_text(&attempt->note),
	};
	struct kt_msg_run_ended ended = { .result = &result };

	crypto_hash_sha256_final(&attempt->sampling.series, digest);
	kt_attempt_moment(attempt, "end", "%s", result.cause);
	result.n_timeline = attempt->n_moments;
	add_evidence(attempt);
	result.evidence = kt_buf_text(&attempt->evidence);
	kt_must(kt_framelink_push(&attempt->control, KT_TAG_run_ended, &ended));
	while (attempt->control.out.len > 0 && kt_clock_now_ns() < deadline_ns)
		kt_attempt_pump(attempt, deadline_ns);
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

static bool get_start(struct kt_attempt *attempt)
{
	int64_t deadline_ns = attempt->began_ns + START_S_MAX * KT_NS_PER_S;

	while (!attempt->start && !attempt->ending && kt_clock_now_ns() < deadline_ns) {
		struct pollfd fd = { attempt->control.fd, POLLIN, 0 };

		poll(&fd, 1, (int)((deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS) + 1);
		kt_attempt_listen(attempt);
	}
	if (!attempt->start)
		return false;
	attempt->job = attempt->start->job;
	attempt->kvm = strcmp(attempt->start->accel, "kvm") == 0;
	attempt->cpus = kt_qemu_cpus(attempt->job->topology);
	attempt->has_scheduler = attempt->job->scheduler->n_args > 0;
	attempt->capture.vm = &attempt->vm;
	attempt->capture.freeze_ns_max = kt_attempt_patience(attempt, KT_PATIENCE_FREEZE, 0);
	return true;
}

/* Each leaves `ending` unset when the next one may begin. Whatever happens, drain and result follow. */
static void (*const phases[])(struct kt_attempt *attempt) = { kt_boot, kt_load, kt_sampling_run };

int kt_attempt_main(void)
{
	static struct kt_attempt attempt; /* large, and there is one */
	const struct kt_vm_events events = { kt_hearing_frame, kt_hearing_log, &attempt };

	if (!die_with_agent()) {
		fprintf(stderr, "ktworker attempt: is only started by ktworker itself\n");
		return 2;
	}
	take_signals();
	kt_attempt_init(&attempt, KT_ATTEMPT_MAIN_FD, &events);
	if (!get_start(&attempt))
		return 1;
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]) && !attempt.ending; i++)
		phases[i](&attempt);
	kt_drain(&attempt);
	hand_over(&attempt);
	kt_attempt_destroy(&attempt);
	return 0;
}
