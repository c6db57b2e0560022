/* reception.h - what the running coordinator says and does when somebody asks over its local socket.
 *
 * Between the socket (present.h), the readings (muster.h) and the dispatch, whose inputs DRAIN and CANCEL come from
 * here. Who cancels is answered when the worker said that the guest is dead, or is told that the host does not
 * answer: its lease is revoked, so the guest dies when it comes back. The coordinator stays until then.
 */
#ifndef KT_RECEPTION_H
#define KT_RECEPTION_H

#include "coordinator/core/dispatch.h"
#include "coordinator/core/matrix/matrix.h"

#include <uv.h>

struct kt_reception;

struct kt_reception_config { /* borrowed, and all it points to */
	const char *socket;
	const struct kt_sweep *sweep;
	const struct kt_matrix *matrix;
	const char *file; /* of the sweep */
	const char *endpoint; /* where workers connect */
	const struct kt_fleet *fleet;
	/* Gives the input to the dispatch and performs what comes of it; false: it is too late for that. */
	bool (*step)(void *arg, struct kt_input *input);
	/* The allow-list is another one. NULL: this coordinator has none. */
	void (*keys_changed)(void *arg);
	void *arg;
};

int kt_reception_open(uv_loop_t *loop, const struct kt_reception_config *config,
		      struct kt_reception **reception, struct kt_err *err);
/* Whoever waits is told how it stands. The loop needs one more turn. */
void kt_reception_destroy(struct kt_reception **reception_p);

/* Readings of what passes: a frame after the dispatch took it, and of whom; facts; phases. */
void kt_reception_frame(struct kt_reception *reception, uint32_t tag, const void *body,
			const char *host, const char *address, bool by_key);
/* Its connection is about to end, by its own word or as the network tells it. */
void kt_reception_leaves(struct kt_reception *reception, const char *host, const char *why);
void kt_reception_fact(struct kt_reception *reception, uint32_t tag, const void *fact);
/* n cells from there on that no host can take, and why. */
void kt_reception_complaint(struct kt_reception *reception, uint64_t cell, uint64_t n,
			    const char *why);
void kt_reception_phase(struct kt_reception *reception, uint64_t cell, const char *phase);

/* Time passed, or the dispatch had an input: answers those whose guests are dead. */
void kt_reception_look(struct kt_reception *reception);
/* Somebody waits for a guest to die: the sweep may be closed, the coordinator should not leave yet. */
bool kt_reception_is_waited_for(const struct kt_reception *reception);

#endif
