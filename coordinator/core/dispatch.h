/* dispatch.h - the coordinator's heart: one input in, facts and effects out.
 *
 *	kt_dispatch_step(dispatch, input) -> out.facts    what happened: goes to the journal first
 *	                                     out.effects  what to do, after the facts are on disk
 *
 * Durable state is kt_sweep and changes through facts only. What is volatile (who is connected, when a
 * lease expires, what phase it is in) is rebuilt by one SYNC of every worker: the protocol is
 * level-triggered (proto/messages.def). No clock, socket, file or random number in here: "now" and the
 * session seed come from outside.
 */
#ifndef KT_DISPATCH_H
#define KT_DISPATCH_H

#include "coordinator/core/out.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/sweep.h"
#include "proto/role.h"

struct kt_dispatch_config {
	const char *runner; /* "qemu" or "scripted": workers of another kind are refused */
	const char *bulk_endpoint; /* for WELCOME */
	int64_t ttl_ns; /* of a lease, at least; a SYNC that lists it renews it */
	int64_t sync_ns; /* workers SYNC at least so often; less often when they are many (leases.h) */
	int64_t grace_ns; /* for leases of an earlier term, once, after a restart */
	int64_t retry_ns; /* a failed cell waits this times its charged tries */
	uint64_t session_seed; /* random: sessions of an earlier term are unknown in this one */
	/* What cell number `cell` asks for; pure. */
	void (*job)(void *arg, uint64_t cell, struct kt_arena *arena, struct kt_msg_job *job);
	/* The repeats that a cell belongs to, when something is asserted over them; pure. NULL: nothing is. */
	bool (*group)(void *arg, uint64_t cell, uint64_t *first, uint64_t *n);
	/* What its guest wants of a host; as in placement.h. NULL: every cell fits everywhere. */
	void (*demand)(void *arg, uint64_t cell, struct kt_placement_demand *demand);
	uint64_t seed; /* of the sweep: for the order within pairs */
	int64_t keep_ns; /* as in placement.h */
	int64_t hopeless_ns; /* likewise */
	void *arg;
};

enum kt_input_kind {
	KT_INPUT_FRAME, /* a decoded message of a worker */
	KT_INPUT_LOST, /* a peer is gone */
	KT_INPUT_TICK, /* time passed */
	KT_INPUT_JUDGED, /* answer to KT_EFFECT_JUDGE */
	KT_INPUT_GROUPED, /* answer to KT_EFFECT_GROUP */
	KT_INPUT_DRAIN, /* an operator: this host gets no more cells; or, when not on, is open again */
	KT_INPUT_CANCEL, /* an operator: these cells have their end */
	KT_INPUT_REVOKED, /* this host's key is no longer allowed */
	KT_INPUT_DAMAGED, /* answer to KT_EFFECT_JUDGE as well: the series is not what the worker recorded */
};

struct kt_input {
	enum kt_input_kind kind;
	int64_t now_ns; /* boot-time clock */
	int64_t wall_ns; /* wall clock, to compare it with those of the hosts; 0: nobody compares */
	uint64_t peer; /* FRAME, LOST; REVOKED: who came with the key, 0: whoever */
	uint32_t tag; /* FRAME */
	const void *body; /* FRAME: the struct of that tag */
	/* FRAME: the host whose key the peer has; NULL: no keys, HELLO is taken on trust. REVOKED: whose it was. */
	const char *who;
	enum kt_role role; /* FRAME: what that key may do; WORK on trust */
	const char *host; /* DRAIN: the worker id */
	bool on; /* DRAIN */
	uint64_t cell; /* JUDGED, DAMAGED; GROUPED, CANCEL: the first */
	uint64_t repeats; /* GROUPED */
	uint64_t n; /* CANCEL: so many from there on; those that have their end keep it */
	uint64_t epoch; /* JUDGED, DAMAGED */
	struct kt_msg_verdict *verdict; /* JUDGED, GROUPED */
	const char *line; /* DAMAGED; DRAIN, CANCEL: who asked and why; NULL: nobody says */
};

struct kt_dispatch;

/* Borrows sweep and config. The sweep is open; its leases get config->grace_ns from now on. */
struct kt_dispatch *kt_dispatch_new(struct kt_sweep *sweep, const struct kt_dispatch_config *config,
				    int64_t now_ns);
void kt_dispatch_destroy(struct kt_dispatch **dispatch_p);

/* After a restart, for each lease: how many samples (0 .. n - 1) the journal holds. */
void kt_dispatch_restore_samples(struct kt_dispatch *dispatch, uint64_t epoch, uint64_t n);
/* Begins the term; asks for the judgement of what ended but was not judged. */
void kt_dispatch_begin(struct kt_dispatch *dispatch, struct kt_out *out);
/* Adds to out. Facts are applied to the sweep already. */
void kt_dispatch_step(struct kt_dispatch *dispatch, const struct kt_input *input,
		      struct kt_out *out);

/* For readers: who is connected, and which leases are out. */
const struct kt_fleet *kt_dispatch_fleet(const struct kt_dispatch *dispatch);
size_t kt_dispatch_n_live_hosts(const struct kt_dispatch *dispatch);
/* Guests that were told to die and of which no host has said yet that they are gone. */
size_t kt_dispatch_n_dying(const struct kt_dispatch *dispatch);

#endif
