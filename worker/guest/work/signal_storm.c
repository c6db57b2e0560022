#include "worker/guest/gwork.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

struct member {
	_Atomic pid_t pid;
};

struct state {
	int partner; /* pidfd, so that no stranger is hit once the partner is dead; 0: not yet opened */
	uint64_t seen;
};

static volatile uint64_t received; /* by this process */

static void on_signal(int number)
{
	(void)number;
	received++;
}

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct member *members = self->team;

	if (sigaction(SIGUSR1, &action, NULL) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "handling SIGUSR1");
	atomic_store(&members[self->index].pid, getpid());
	return 0;
}

/* The partner has told its pid before the gate opened. */
static bool send_one(struct kt_gself *self)
{
	const struct member *members = self->team;
	struct state *state = self->state;

	if (!state->partner) {
		pid_t pid = atomic_load(&members[1 - self->index].pid);
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);

		if (fd < 0)
			return false;
		state->partner = fd;
	}
	return syscall(SYS_pidfd_send_signal, state->partner, SIGUSR1, NULL, 0) == 0;
}

/* What counts is what arrived: several that were sent while it was not run arrive as one. */
static uint64_t round_of(struct kt_gself *self)
{
	struct state *state = self->state;
	uint64_t units;

	for (int64_t i = 0; i < self->params[KT_WORK_PARAM_signal_storm_signals]; i++) {
		if (!send_one(self)) {
			kt_gself_sleep(self, KT_NS_PER_MS); /* it is dead */
			break;
		}
	}
	kt_gself_run(self, self->params[KT_WORK_PARAM_signal_storm_run]);
	units = received - state->seen;
	state->seen += units;
	return units;
}

static void end(struct kt_gself *self)
{
	const struct state *state = self->state;

	signal(SIGUSR1, SIG_IGN); /* the partner may still be sending */
	if (state->partner)
		close(state->partner);
}

const struct kt_gwork kt_signal_storm_work = {
	.member_bytes = sizeof(struct member),
	.state_bytes = sizeof(struct state),
	.begin = begin,
	.round = round_of,
	.end = end,
};
