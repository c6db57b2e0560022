/* gpayloads.h - the payloads of a scenario: which were started, where they are, whose they are.
 *
 * A payload belongs to the act that started it (gstage.h), as everything on stage does, and is in one of its cgroups or
 * beside them all. One that is over stays here until the scenario is: its report is written then, when it is
 * known how much all of them have to say.
 */
#ifndef KT_GPAYLOADS_H
#define KT_GPAYLOADS_H

#include "worker/guest/gpayload.h"

struct kt_gpayloads_one {
	struct kt_gpayloads_one *next;
	struct kt_gpayload *payload;
	const char *where; /* in which cgroup it is now; "": beside them all */
	size_t owner;
	bool is_told; /* its end was taken by kt_gpayloads_next_end() */
};

struct kt_gpayloads { /* begins zeroed but for these two, which are borrowed */
	const struct kt_msg_guest_run *run; /* which there are */
	int poll_fd; /* epoll(7): gets what they print */
	struct kt_gpayloads_one *list; /* oldest first */
	uint32_t n_started;
};

/* cgroup: "" for none; it and all other names must live until kt_gpayloads_close(). It waits at its gate. */
int kt_gpayloads_start(struct kt_gpayloads *payloads, const char *name, const char *cgroup,
		       size_t owner, uint64_t step, struct kt_err *err);
/* Opens the gates of those of this name; NULL: of all. */
void kt_gpayloads_go(struct kt_gpayloads *payloads, const char *name, int64_t now_ns);
int kt_gpayloads_move(struct kt_gpayloads_one *one, const char *to, struct kt_err *err);
bool kt_gpayloads_reaped(struct kt_gpayloads *payloads, pid_t pid, int wait_status);
void kt_gpayloads_step(struct kt_gpayloads *payloads, int64_t now_ns);
int64_t kt_gpayloads_due_ns(const struct kt_gpayloads *payloads, int64_t now_ns);

/* Tells those of this name to stop; NULL: all. How many. */
size_t kt_gpayloads_stop(struct kt_gpayloads *payloads, const char *name, int64_t now_ns);
/* Those in the cgroup and below it. */
size_t kt_gpayloads_stop_in(struct kt_gpayloads *payloads, const char *cgroup, int64_t now_ns);

/* Of this name (NULL: of all): not over yet. */
size_t kt_gpayloads_alive(const struct kt_gpayloads *payloads, const char *name);
/* Told to stop, and not over yet. */
size_t kt_gpayloads_leaving(const struct kt_gpayloads *payloads);
/* Whether one that is not over is in the cgroup, or below it. */
bool kt_gpayloads_is_in(const struct kt_gpayloads *payloads, const char *cgroup);
/* The newest of this name; NULL: none was started. */
const struct kt_gpayload *kt_gpayloads_find(const struct kt_gpayloads *payloads, const char *name);

/* The next one that is over and was not told of yet; NULL: none. */
const struct kt_gpayload *kt_gpayloads_next_end(struct kt_gpayloads *payloads);
/* -ECHILD: one could not be started. */
int kt_gpayloads_trouble(const struct kt_gpayloads *payloads, struct kt_err *err);
/* What they all wrote last, for whoever looks for a reason; in the arena. */
const char *kt_gpayloads_words(const struct kt_gpayloads *payloads, struct kt_arena *arena);
/* One report each, of those that are over; all of them, as frames, are about `most` bytes. In the arena. How many. */
size_t kt_gpayloads_report(const struct kt_gpayloads *payloads, size_t most, struct kt_arena *arena,
			   struct kt_msg_payload_report **reports);

/* Kills what is left. */
void kt_gpayloads_close(struct kt_gpayloads *payloads);

#endif
