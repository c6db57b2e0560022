/* gself.h - a worker as its work type sees it: its parameters, its team, and everything that takes time.
 *
 * Nothing here lasts longer than 50 ms after the worker was told to stop, nor waits longer than 50 ms for
 * another one.
 */
#ifndef KT_GSELF_H
#define KT_GSELF_H

#include "worker/guest/gmeter.h"

#include <stdatomic.h>

#define KT_GSELF_WAIT_NS (50 * KT_NS_PER_MS)

struct kt_gself {
	const int64_t *params; /* by enum kt_work_param_id */
	const struct kt_msg_group *group;
	uint32_t index; /* within its team */
	uint32_t team_size;
	void *team; /* shared by its members: kt_gwork.team_bytes, then member_bytes of each */
	const int *pipes; /* of its team: read end, write end, read end, ...; all O_NONBLOCK */
	const atomic_bool *must_stop;
	struct kt_gmeter *meter;
	uint64_t random;
	double steps_per_ns; /* how fast kt_gself_run burns */
	char *memory; /* work memory: its pages are counted at the end; NULL: none */
	size_t memory_bytes;
	void *state; /* the type's own: kt_gwork.state_bytes */
};

static inline bool kt_gself_must_stop(const struct kt_gself *self)
{
	return atomic_load_explicit(self->must_stop, memory_order_relaxed);
}

uint64_t kt_gself_draw(struct kt_gself *self); /* a random number */

/* Uses so much CPU time (not less because it was preempted); ends early when the worker must stop. */
void kt_gself_run(struct kt_gself *self, int64_t ns);
/* So many steps of arithmetic that no compiler sees through: about 2 ns each. */
void kt_gself_burn(struct kt_gself *self, uint64_t steps);
/* Sleeps until then (guest clock) and measures how late it woke. False when it must stop. */
bool kt_gself_sleep_until(struct kt_gself *self, int64_t at_ns);
bool kt_gself_sleep(struct kt_gself *self, int64_t ns); /* 0: not at all */

enum kt_gself_waited {
	KT_GSELF_WOKEN, /* it slept and was woken: a wake-up that can be measured */
	KT_GSELF_CHANGED, /* there was nothing to wait for */
	KT_GSELF_ALONE, /* nobody woke it within 50 ms */
};

/* FUTEX_WAIT while *word is `value`. */
enum kt_gself_waited kt_gself_wait(struct kt_gself *self, atomic_uint *word, unsigned int value);
void kt_gself_wake(atomic_uint *word, int n); /* FUTEX_WAKE of at most n */
enum kt_gself_waited kt_gself_wait_fd(struct kt_gself *self, int fd); /* until it can be read */
/* The wake-up was called for then (guest clock, stamped by the waker before it called). */
void kt_gself_woken(struct kt_gself *self, int64_t called_ns);

/* Work memory, zeroed, untouched; at most one at a time. Whoever ends the worker frees it. */
int kt_gself_map(struct kt_gself *self, size_t bytes, struct kt_err *err);
void kt_gself_unmap(struct kt_gself *self);
/* Reads and writes every `stride` bytes, from *at on, at most `steps` of them; begins anew at the end. */
void kt_gself_walk(struct kt_gself *self, size_t stride, size_t steps, size_t *at);

#endif
