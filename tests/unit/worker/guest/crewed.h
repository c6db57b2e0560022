/* crewed.h - a crew on this machine, outside of any cgroup, as a test wants it: gather it, let it work for
 * a while, stop it, read its reports. Every wait ends by itself.
 */
#ifndef CREWED_H
#define CREWED_H

#include "worker/guest/gcrew.h"
#include "worker/guest/gtime.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREWED_WORKERS_MAX 64
#define CREWED_PATIENCE_NS (10 * KT_NS_PER_S)

struct crewed {
	struct kt_gcrew *crew;
	struct kt_arena arena;
	int64_t anchor_ns;
	int64_t stop_took_ns; /* from telling them to the last one's end */
	struct kt_msg_worker_report reports[CREWED_WORKERS_MAX];
	size_t n_missing;
};

/* Every text of a group that nobody set. */
static inline struct kt_msg_group crewed_group(const char *work)
{
	return (struct kt_msg_group){
		.work = work, .policy = "", .mem_policy = "", .mem_nodes = ""
	};
}

static inline void crewed_reap(struct crewed *crewed)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		kt_gcrew_reaped(crewed->crew, pid, wait_status);
}

/* Until everyone is at the gate; the trouble that there was, or 0. */
static inline int crewed_gather(struct crewed *crewed, const struct kt_gcrew_spec *spec,
				struct kt_err *err)
{
	int64_t until_ns = kt_gtime_now_ns() + CREWED_PATIENCE_NS;
	struct kt_gcrew_spec with_fd = *spec;
	int status;

	cr_assert_leq(spec->workers, CREWED_WORKERS_MAX);
	with_fd.ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	status = kt_gcrew_start(&with_fd, &crewed->crew, err);
	while (status == 0 && kt_gcrew_ready(crewed->crew) < spec->workers &&
	       kt_gcrew_trouble(crewed->crew, err) == 0) {
		struct pollfd fd = { .fd = with_fd.ready_fd, .events = POLLIN };
		uint64_t ignored;

		cr_assert_lt(kt_gtime_now_ns(), until_ns, "not everyone came to the gate");
		poll(&fd, 1, 10);
		if (read(with_fd.ready_fd, &ignored, sizeof(ignored)) < 0)
			crewed_reap(crewed);
	}
	close(with_fd.ready_fd);
	return status < 0 ? status : kt_gcrew_trouble(crewed->crew, err);
}

static inline void crewed_go(struct crewed *crewed)
{
	crewed->anchor_ns = kt_gtime_now_ns();
	kt_gcrew_go(crewed->crew);
}

/* Fails when they need longer than a second. */
static inline void crewed_stop(struct crewed *crewed)
{
	int64_t told_ns = kt_gtime_now_ns();

	kt_gcrew_stop(crewed->crew);
	while (kt_gcrew_alive(crewed->crew)) {
		crewed_reap(crewed);
		crewed->stop_took_ns = kt_gtime_now_ns() - told_ns;
		if (crewed->stop_took_ns > KT_NS_PER_S)
			kt_gcrew_kill(crewed->crew);
		cr_assert_lt(crewed->stop_took_ns, CREWED_PATIENCE_NS);
		usleep(200);
	}
	crewed->n_missing =
		kt_gcrew_report(crewed->crew, crewed->anchor_ns, &crewed->arena, crewed->reports);
	cr_expect_lt(crewed->stop_took_ns, KT_NS_PER_S, "it took %lld ms to stop",
		     (long long)(crewed->stop_took_ns / KT_NS_PER_MS));
}

static inline void crewed_end(struct crewed *crewed)
{
	kt_gcrew_destroy(&crewed->crew);
	while (waitpid(-1, NULL, 0) > 0)
		;
	kt_arena_destroy(&crewed->arena);
}

#endif
