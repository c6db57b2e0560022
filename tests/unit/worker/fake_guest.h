/* fake_guest.h - an attempt whose guest and QEMU are a child that plays a script, for tests of what the host does
 * while a scenario runs.
 *
 *	static void plays(struct guest *guest)
 *	{
 *		guest_await(guest, KT_TAG_guest_run);
 *		guest_say(guest, KT_TAG_guest_started, &started);
 *		...
 *	}
 *	struct world *world = world_of(plays);
 *	kt_sampling_run(&world->attempt);
 *	samples_of(world, samples, max);
 *
 * The child speaks guest.def over the channel and answers every QMP command with success; it has no memory to be
 * read, so the axes bpf and monitor are "unreadable". Scripts run in a process of their own: what they find
 * wrong ends it, and the attempt with it.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/attempt.h"
#include "worker/hearing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the child ---- */

struct guest {
	struct kt_framelink channel;
	struct kt_arena arena;
	int qmp;
	int console; /* the writing end */
	const char *dies_at; /* a QMP command that ends QEMU: the kernel has panicked */
	char line[4096]; /* of QMP, what is there of it */
	size_t len;
};

static inline void guest_answer_qmp(struct guest *guest)
{
	ssize_t n =
		read(guest->qmp, guest->line + guest->len, sizeof(guest->line) - 1 - guest->len);
	char *newline;
	char *id;

	if (n <= 0)
		_exit(0);
	guest->len += (size_t)n;
	guest->line[guest->len] = 0;
	while ((newline = strchr(guest->line, '\n'))) {
		*newline = 0;
		if (guest->dies_at && strstr(guest->line, guest->dies_at)) {
			dprintf(guest->console, "Kernel panic - not syncing: planted\r\n");
			_exit(0);
		}
		id = strstr(guest->line, "\"id\":");
		kt_must(id != NULL);
		dprintf(guest->qmp, "{\"return\": {}, \"id\": %d}\r\n", atoi(id + 5));
		guest->len -= (size_t)(newline + 1 - guest->line);
		memmove(guest->line, newline + 1, guest->len + 1);
	}
}

/* One look at both wires. */
static inline void guest_poll(struct guest *guest, int ms)
{
	struct pollfd fds[] = { { guest->channel.fd, POLLIN, 0 }, { guest->qmp, POLLIN, 0 } };

	poll(fds, 2, ms);
	if (fds[1].revents)
		guest_answer_qmp(guest);
	if (fds[0].revents && (kt_framelink_fill(&guest->channel, NULL) < 0 || guest->channel.eof))
		_exit(0);
}

/* The host's next message, which must be this one. */
static inline void *guest_await(struct guest *guest, uint32_t tag)
{
	const struct kt_message *message;
	void *frame;
	int rc;

	while ((rc = kt_framelink_next(&guest->channel, &guest->arena, &message, &frame, NULL)) ==
	       0)
		guest_poll(guest, -1);
	if (rc < 0 || message->tag != tag) {
		fprintf(stderr, "the host said %s\n", rc < 0 ? "nonsense" : message->schema->name);
		_exit(1);
	}
	return frame;
}

static inline void guest_say(struct guest *guest, uint32_t tag, const void *message)
{
	kt_must(kt_framelink_push(&guest->channel, tag, message));
	while (guest->channel.out.len > 0)
		kt_must(kt_framelink_flush(&guest->channel, NULL) == 0);
}

static inline void guest_sleep(struct guest *guest, int64_t ms)
{
	int64_t until_ns = kt_clock_now_ns() + ms * KT_NS_PER_MS;

	while (kt_clock_now_ns() < until_ns)
		guest_poll(guest, 1);
}

/* Answers what the host asks of the scheduler; its id comes back. */
static inline void guest_answer_stats(struct guest *guest, const char *json)
{
	const struct kt_msg_guest_stats *stats = guest_await(guest, KT_TAG_guest_stats);
	struct kt_msg_guest_stats_answer answer = {
		.id = stats->id, .body = { (const uint8_t *)json, strlen(json) }
	};

	guest_say(guest, KT_TAG_guest_stats_answer, &answer);
}

/* ---- the test's side ---- */

struct world {
	struct kt_attempt attempt;
	struct kt_framelink agent;
	struct kt_arena arena;
	struct kt_msg_job job;
	struct kt_msg_scheduler scheduler;
	struct kt_msg_scenario scenario;
	struct kt_msg_step step;
	struct kt_msg_arg arg;
};

static inline void world_play(int channel, int qmp, int console, void (*plays)(struct guest *guest))
{
	static struct guest guest;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	kt_framelink_init(&guest.channel, &kt_schema_guest, channel, 1 << 20);
	guest.qmp = qmp;
	guest.console = console;
	plays(&guest);
	for (;;)
		guest_poll(&guest, -1);
}

/* A job of a scheduler and one step of 300 ms, without samples; to be changed before it runs. */
static inline struct world *world_of(void (*plays)(struct guest *guest))
{
	static struct world world;
	struct kt_attempt *attempt = &world.attempt;
	const struct kt_vm_events events = { kt_hearing_frame, kt_hearing_log, attempt };
	int agent[2];
	int channel[2];
	int qmp[2];
	int console[2];
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp), 0);
	cr_assert_eq(pipe2(console, O_CLOEXEC | O_NONBLOCK), 0);
	pid = fork();
	if (pid == 0) {
		close(channel[0]);
		close(qmp[0]);
		close(agent[0]);
		close(agent[1]);
		world_play(channel[1], qmp[1], console[1], plays);
	}
	close(channel[1]);
	close(qmp[1]);
	close(console[1]);
	kt_attempt_init(attempt, agent[0], &events);
	kt_framelink_init(&world.agent, &kt_schema_runner, agent[1], 1 << 20);
	kt_framelink_init(&attempt->vm.channel, &kt_schema_guest, channel[0], 4 << 20);
	kt_qmp_init(&attempt->vm.qmp, qmp[0]);
	attempt->vm.console_fd = console[0];
	attempt->vm.words_fd = -1;
	attempt->vm.child.pid = pid;
	attempt->vm.child.pid_fd = pidfd_open(pid, 0);
	attempt->capture.vm = &attempt->vm;
	attempt->capture.freeze_ns_max = KT_NS_PER_S;
	kt_err_set(&attempt->capture.unreadable, KT_FAULT_HOST, ENOENT, "the fake has no memory");
	attempt->cpus = 1;
	attempt->kvm = true; /* its patience is shorter */
	attempt->has_scheduler = true;
	world.arg = (struct kt_msg_arg){ "/kt/bin/fake" };
	world.scheduler =
		(struct kt_msg_scheduler){ .name = "fake", .args = &world.arg, .n_args = 1 };
	world.step = (struct kt_msg_step){ .hold_ns = 300 * KT_NS_PER_MS };
	world.scenario = (struct kt_msg_scenario){ .name = "fake",
						   .duration_ns = 300 * KT_NS_PER_MS,
						   .steps = &world.step,
						   .n_steps = 1 };
	world.job = (struct kt_msg_job){ .cell_name = "fake",
					 .scheduler = &world.scheduler,
					 .scenario = &world.scenario };
	attempt->job = &world.job;
	attempt->phase = KT_ATTEMPT_LOAD;
	return &world;
}

/* What was sent to the agent as samples, in order; returns how many. They live as long as the world. */
static inline size_t samples_of(struct world *world, struct kt_msg_sample *samples, size_t max)
{
	const struct kt_message *message;
	size_t n = 0;
	void *frame;

	do {
		kt_framelink_flush(&world->attempt.control, NULL);
		kt_framelink_fill(&world->agent, NULL);
		while (kt_framelink_next(&world->agent, &world->arena, &message, &frame, NULL) >
		       0) {
			const struct kt_msg_run_sample *sample = frame;

			if (message->tag != KT_TAG_run_sample)
				continue;
			cr_assert_lt(n, max);
			cr_assert_eq(kt_codec_decode(&kt_schema_sample, sample->body.data,
						     sample->body.len, &world->arena, &samples[n++],
						     NULL),
				     0);
		}
	} while (world->attempt.control.out.len > 0);
	return n;
}

static inline const struct kt_msg_axis *axis_of(const struct kt_msg_sample *sample,
						const char *name)
{
	for (size_t i = 0; i < sample->n_axes; i++)
		if (strcmp(sample->axes[i].name, name) == 0)
			return &sample->axes[i];
	cr_assert_fail("sample %s has no axis %s", sample->tag, name);
	return NULL;
}

static inline void world_destroy(struct world *world)
{
	kt_attempt_destroy(&world->attempt);
	kt_framelink_destroy(&world->agent);
	kt_arena_destroy(&world->arena);
}

#endif
