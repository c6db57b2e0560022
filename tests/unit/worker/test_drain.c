#include "worker/drain.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "worker/attempt.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* An attempt that has finished, and a child in QEMU's place that has the console and nothing else. */
struct world {
	struct kt_attempt attempt;
	int agent;
};

static void take_frame(void *arg, const struct kt_message *message, void *frame)
{
}

static void take_log(void *arg, const char *stream, const void *bytes, size_t len)
{
}

static void say(int console, const char *text)
{
	if (write(console, text, strlen(text)) < 0)
		_exit(1);
}

/* said: what the kernel has printed when the drain begins; qemu: what happens then. */
static struct world *finished_attempt(const char *said, void (*qemu)(int console))
{
	static struct world world;
	struct kt_attempt *attempt = &world.attempt;
	const struct kt_vm_events events = { take_frame, take_log, attempt };
	int console[2];
	int agent[2];
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, agent), 0);
	cr_assert_eq(pipe2(console, O_CLOEXEC), 0);
	say(console[1], said);
	pid = fork();
	if (pid == 0) {
		qemu(console[1]);
		for (;;)
			pause();
	}
	close(console[1]);
	world.agent = agent[1];
	kt_attempt_init(attempt, agent[0], &events);
	attempt->cpus = 1;
	attempt->phase = KT_ATTEMPT_RUN;
	attempt->run_sent = true;
	fcntl(console[0], F_SETFL, O_NONBLOCK);
	attempt->vm.console_fd = console[0];
	attempt->vm.qmp.eof = true;
	attempt->vm.channel.eof = true;
	attempt->vm.child.pid = pid;
	attempt->vm.child.pid_fd = pidfd_open(pid, 0);
	kt_attempt_end(attempt, KT_CAUSE_ID_finished, "the scenario ran to its end");
	return &world;
}

static int64_t drain(struct world *world)
{
	int64_t began_ns = kt_clock_now_ns();
	pid_t pid = world->attempt.vm.child.pid;

	kt_drain(&world->attempt);
	cr_assert_eq(kill(pid, 0), -1, "QEMU is dead and reaped");
	return kt_clock_now_ns() - began_ns;
}

static void destroy(struct world *world)
{
	kt_attempt_destroy(&world->attempt);
	close(world->agent);
}

static void stay(int console)
{
}

/* Five seconds of patience would be waited here. */
Test(drain, a_quiet_guest_is_killed_at_once)
{
	struct world *world = finished_attempt("", stay);

	cr_assert_lt(drain(world), KT_NS_PER_S);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished);
	destroy(world);
}

/* More than one round reads: the kernel was killed before anybody knew of its panic. */
Test(drain, a_panic_in_the_pipe_is_not_lost)
{
	KT_AUTO_BUF said = { 0 };
	struct world *world;

	for (int i = 0; i < 500; i++)
		kt_buf_puts(&said, "[    3.4] nothing of note\r\n");
	kt_buf_puts(&said, "[    3.5] Kernel panic - not syncing: planted\r\n[    3.6] CPU: 0\r\n");
	world = finished_attempt(kt_buf_text(&said), stay);
	cr_assert_lt(drain(world), KT_NS_PER_S);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_kernel_panic);
	cr_assert(strstr(world->attempt.line, "planted"));
	cr_assert(strstr(kt_buf_text(&world->attempt.vm.console.evidence), "CPU: 0"));
	destroy(world);
}

static void go_on_and_panic(int console)
{
	for (int i = 0; i < 5; i++) {
		usleep(60000);
		say(console, "a register\n");
	}
	say(console, "Kernel panic - not syncing: Fatal exception\n");
	usleep(60000);
	say(console, "its last word\n");
	_exit(0);
}

Test(drain, an_oops_is_heard_to_its_panic)
{
	struct world *world = finished_attempt("BUG: unable to handle page fault for address: 00\n",
					       go_on_and_panic);

	drain(world);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_kernel_panic, "%s", world->attempt.line);
	cr_assert(strstr(kt_buf_text(&world->attempt.vm.console.evidence), "its last word"));
	destroy(world);
}

static void panic_while_being_killed(int console)
{
	usleep(100000);
	say(console, "Kernel panic - not syncing: too late to be waited for\n");
}

/* The guest was given up, so nobody waits; a cause that is worse than finished stays. */
Test(drain, a_guest_that_hangs_gets_no_time)
{
	struct world *world = finished_attempt("rcu: INFO: rcu_sched self-detected stall\n",
					       panic_while_being_killed);
	int64_t took_ns;

	world->attempt.cause = KT_CAUSE_ID_guest_hung;
	took_ns = drain(world);
	cr_assert_lt(took_ns, KT_NS_PER_S);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_guest_hung);
	destroy(world);
}

Test(drain, a_kernel_that_only_complained_is_no_panic)
{
	struct world *world = finished_attempt("Out of memory: Killed process 77 (spin)\n", stay);

	cr_assert_lt(drain(world), 2 * KT_NS_PER_S);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished);
	destroy(world);
}
