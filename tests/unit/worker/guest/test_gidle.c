#include "worker/guest/gidle.h"
#include "worker/guest/gtime.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define S KT_NS_PER_S

Test(gidle, only_sleep_without_any_work_counts)
{
	static const struct {
		int64_t now_ns;
		uint64_t ticks;
		bool sleeps;
		int64_t idle_ns;
	} looks[] = {
		{ 1 * S, 5, true, 0 }, /* the first says nothing yet */
		{ 2 * S, 5, true, 1 * S },
		{ 3 * S, 5, true, 2 * S },
		{ 4 * S, 6, true, 0 }, /* it worked in between */
		{ 5 * S, 6, true, 1 * S },
		{ 6 * S, 6, false, 0 }, /* it wants to */
		{ 7 * S, 6, true, 1 * S },
		{ 60 * S, 6, true, 2 * S }, /* we did not run ourselves: counts as one look */
	};
	struct kt_gidle idle = { 0 };

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		kt_gidle_add(&idle, looks[i].ticks, looks[i].sleeps, looks[i].now_ns);
		cr_assert_eq(idle.idle_ns, looks[i].idle_ns, "look %zu: %lld", i,
			     (long long)idle.idle_ns);
	}
}

static pid_t start(bool busy)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		while (busy)
			;
		pause();
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

Test(gidle, a_process_that_works_is_told_from_one_that_sleeps)
{
	pid_t pids[2] = { start(false), start(true) };
	struct kt_gidle idle[2] = { 0 };
	int64_t idle_ns[2] = { 0 };

	for (int i = 0; i < 4; i++) {
		for (size_t k = 0; k < 2; k++)
			idle_ns[k] = kt_gidle_look(&idle[k], pids[k], kt_gtime_now_ns());
		usleep(520000);
	}
	for (size_t k = 0; k < 2; k++) {
		kill(pids[k], SIGKILL);
		waitpid(pids[k], NULL, 0);
	}
	cr_assert_geq(idle_ns[0], 1 * S);
	cr_assert_eq(idle_ns[1], 0);
}
