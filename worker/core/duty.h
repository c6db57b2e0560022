/* duty.h - what a worker owes: the pure heart of the agent.
 *
 * kt_duty_step(state, input) -> effects. No clock (now comes with each input), no socket, no file.
 * The agent (worker/agent.c) performs the effects in their order and reports back what became of
 * them as inputs.
 *
 * Invariants, which tests/unit/worker/core/test_duty.c checks after every step of random histories:
 *   - active leases never outnumber the slots;
 *   - every lease that was accepted and not revoked ends with exactly one result, kept before sent;
 *   - what was kept and not acknowledged is sent again in every new session; nothing is forgotten
 *     before its ACK or its REVOKE;
 *   - a sample is offered for sending only after the spool said that it is on disk.
 *
 * The protocol as the worker understands it (proto/messages.def has the fields):
 *   - HELLO is said whenever the link comes up and whenever the coordinator does not know our session.
 *     Until WELCOME nothing else is said. HELLO is repeated with a growing, jittered pause.
 *   - SYNC lists everything held of the session's sweep, also results that wait for their ACK
 *     ("done"), and revoked leases whose guest is still dying ("end"): who is not listed has no guest.
 *     It is sent every sync_ns and early whenever a slot came free, a grant was taken or a NUDGE came.
 *     sync_ns is the coordinator's: WELCOME says it, each STATE may say another.
 *   - Three sync_ns without a word from the coordinator: the socket is thrown away, HELLO again.
 *     Runs go on meanwhile; a lease does not end here because the coordinator is silent.
 *   - A STATE that was overtaken by a later one, or came twice, is ignored: what it grants may be over by now.
 *   - A grant that is held already (same epoch) is ignored. A grant for a cell that is held under an
 *     older epoch fences the older one: its guest dies; its finished result stays, as evidence.
 *   - STATE.drain: no free slots are told and no grant is taken until a STATE without it; nobody leaves.
 *   - STATE.note says why there is no work: it is logged when it changes.
 *   - A protocol version that we do not speak in WELCOME is a refusal.
 *   - A grant that finds no free slot, or a draining worker, gets a result "host_trouble" at once.
 *   - WELCOME into another sweep: attempts under way for the former one are killed; finished results
 *     stay in the spool, unlisted, until their sweep is back.
 *   - A result that was sent and not acknowledged within KT_DUTY_RESEND_NS is sent again, with all of
 *     its attempt that is not acknowledged: whatever was lost on the way heals without a reconnect.
 *   - An ACK of a result that does not exist (yet) counts only for its samples.
 *   - On stop (SIGINT, embedded SIGTERM) guests are killed and their leases given up without a result:
 *     BYE says so, the coordinator grants them elsewhere. On drain everything held is finished first.
 */
#ifndef KT_DUTY_H
#define KT_DUTY_H

#include "proto/cause.h"
#include "proto/schema.h"
#include "worker/core/held.h"

#define KT_DUTY_HELLO_NS_MIN (200 * KT_NS_PER_MS) /* first pause before HELLO again */
#define KT_DUTY_ANSWER_NS \
	(2 * KT_NS_PER_S) /* for an answer to it, at least: a thousand may ask at once */
#define KT_DUTY_HELLO_NS_MAX (10 * KT_NS_PER_S)
#define KT_DUTY_REFUSED_NS   (30 * KT_NS_PER_S) /* before HELLO to one who refused us */
#define KT_DUTY_STOP_NS      (4 * KT_NS_PER_S) /* for guests to die before we leave all the same */
#define KT_DUTY_DRAIN_SILENT_NS \
	(10 * KT_NS_PER_S) /* draining, nothing runs, nobody listens: leave */
#define KT_DUTY_RESEND_NS    (10 * KT_NS_PER_S) /* a result without its ACK is sent again */
#define KT_DUTY_SILENT_SYNCS 3

struct kt_duty_config {
	size_t slots; /* 1 .. KT_SLOTS_MAX */
	uint64_t guest_cpus, guest_mem_bytes; /* of all guests together, as in HELLO; 0: no bound */
	bool once; /* leave when the coordinator says finished, or refuses us */
	uint64_t seed; /* for the jitter */
};

struct kt_duty_lease {
	uint64_t id; /* ours, never reused */
	char sweep[KT_NAME_BYTES_MAX + 1];
	uint64_t cell;
	uint64_t epoch;
	uint64_t cpus, mem_bytes; /* of its guest; 0 of one that an earlier life left */
	enum kt_held_state state;
	char phase[33]; /* as the runner named it */
	int64_t phase_ends_ns; /* moment; 0 when not known */
	/* Pieces: seen >= kept >= sent >= acked. Sent is per session. */
	uint64_t samples_seen, samples_kept, samples_sent, samples_acked;
	uint64_t logs_kept, logs_sent;
	bool result_sent;
	int64_t result_sent_ns;
	enum kt_cause_id trouble; /* of the result of our own */
	char trouble_line[256];
};

struct kt_duty {
	struct kt_duty_config config;
	struct kt_duty_lease *leases; /* in order of acceptance */
	size_t n_leases;
	size_t cap_leases;
	uint64_t next_id;
	bool is_up; /* the link */
	bool hello_out; /* HELLO said, no answer yet */
	uint64_t session; /* 0: none */
	char sweep[KT_NAME_BYTES_MAX + 1]; /* of the session, also of the last one */
	uint64_t sync_seq;
	uint64_t state_seq; /* of the newest STATE of this session */
	int64_t sync_ns;
	int64_t heard_ns; /* last word of the coordinator, or the time the session or silence began */
	int64_t next_sync_ns;
	int64_t hello_at_ns; /* 0: none planned */
	int64_t hello_pause_ns;
	bool want_sync;
	bool finished, draining, stopping, exited;
	bool drained; /* an operator of the coordinator's said so: the last STATE */
	char note[256]; /* of the last STATE */
	int64_t their_wall_ns; /* of the newest clock of this session; 0: none came */
	int64_t heard_wall_ns; /* when that was, by our wall clock */
	int64_t stop_by_ns;
	uint64_t random;
};

/* input, what the fields mean */
#define KT_DUTY_INPUTS(X)                                                                       \
	X(UP, "the link to the coordinator is there")                                           \
	X(DOWN, "it is not")                                                                    \
	X(WELCOME, "welcome")                                                                   \
	X(REFUSE, "refuse")                                                                     \
	X(STATE, "state: grants, revokes, finished")                                            \
	X(ACK, "ack")                                                                           \
	X(NUDGE, "nudge")                                                                       \
	X(READY, "lease: its artifacts are here")                                               \
	X(FAILED, "lease, cause, text: artifacts cannot be had, or no start")                   \
	X(PHASE, "lease, phase: the runner's word")                                             \
	X(SAMPLE, "lease, body: a sample of the runner")                                        \
	X(LOG, "lease, stream, body: a piece of a log")                                         \
	X(ENDED, "lease, result: the runner's word")                                            \
	X(KEPT_SAMPLE, "lease: its next sample is on disk")                                     \
	X(KEPT_LOG, "lease: its next piece of log is in the spool")                             \
	X(KEPT_RESULT, "lease: its result is on disk")                                          \
	X(LOST, "lease, seq, cause, text: sample seq and later, or the result, cannot be kept") \
	X(SENT, "piece: given to the socket")                                                   \
	X(RESTORED, "restored: a finished attempt of an earlier life")                          \
	X(TICK, "time passed")                                                                  \
	X(DRAIN, "finish what is held, then leave")                                             \
	X(STOP, "leave now")

enum kt_duty_input_type {
#define X(name_, what_) KT_DUTY_IN_##name_,
	KT_DUTY_INPUTS(X)
#undef X
		KT_DUTY_IN_N
};

enum kt_duty_piece_type { KT_DUTY_SAMPLE, KT_DUTY_LOG, KT_DUTY_RESULT };

/* Something in the spool that the coordinator should have. */
struct kt_duty_piece {
	enum kt_duty_piece_type type;
	uint64_t lease;
	uint64_t seq; /* samples, logs */
};

struct kt_duty_restored {
	const char *sweep;
	uint64_t cell, epoch;
	uint64_t samples_acked, samples_kept, logs_kept;
};

struct kt_duty_input {
	enum kt_duty_input_type type;
	int64_t now_ns;
	int64_t wall_ns; /* STATE: the wall clock when it came; 0: clocks are not compared */
	uint64_t lease;
	uint64_t seq;
	enum kt_cause_id cause;
	const char *text;
	union { /* borrowed for the step and for performing its effects */
		const struct kt_msg_welcome *welcome;
		const struct kt_msg_refuse *refuse;
		const struct kt_msg_state *state;
		const struct kt_msg_ack *ack;
		const struct kt_msg_nudge *nudge;
		const struct kt_msg_run_phase *phase;
		const struct kt_msg_result *result;
		const struct kt_duty_restored *restored;
		struct kt_duty_piece piece;
		struct {
			const char *stream; /* logs */
			const void *body;
			size_t len;
		} bytes;
	};
};

/* effect, what the fields mean */
#define KT_DUTY_EFFECTS(X)                                                                    \
	X(HELLO, "say HELLO")                                                                 \
	X(SYNC, "say SYNC, seq; kt_duty_fill_sync() makes it")                                \
	X(BYE, "say BYE, text")                                                               \
	X(TELL_PHASE, "lease, phase: say PHASE")                                              \
	X(RESET, "throw the control socket away, connect anew")                               \
	X(NOTE, "text: what the coordinator wants people here to know")                       \
	X(BULK, "text: where artifacts are fetched from now on")                              \
	X(ACCEPT, "lease, grant: copy what is needed of it, make room")                       \
	X(FETCH, "lease: get its artifacts, then READY or FAILED")                            \
	X(START, "lease: give it to the runner; FAILED when that refuses")                    \
	X(CANCEL, "lease, text: the runner must kill it; ENDED follows")                      \
	X(KEEP_SAMPLE, "lease, seq, bytes: spool it, then KEPT_SAMPLE or LOST")               \
	X(KEEP_LOG, "lease, seq, bytes: spool it, then KEPT_LOG; a lost log is no harm")      \
	X(KEEP_RESULT, "lease, result or NULL, cause and text when it is our own: spool it, " \
		       "then KEPT_RESULT or LOST")                                            \
	X(TRIM, "lease, seq: samples below seq are durable elsewhere")                        \
	X(RELEASE, "lease: its guest is gone or never was; let go of its artifacts")          \
	X(FORGET, "lease: drop it and what the spool has of it")                              \
	X(EXIT, "status, text: the program ends")

enum kt_duty_effect_type {
#define X(name_, what_) KT_DUTY_DO_##name_,
	KT_DUTY_EFFECTS(X)
#undef X
		KT_DUTY_DO_N
};

struct kt_duty_effect {
	enum kt_duty_effect_type type;
	uint64_t lease;
	uint64_t seq;
	int status;
	enum kt_cause_id cause; /* KT_CAUSE_ID_N: the runner's result as it is */
	char text[256];
	/* borrowed from the input */
	const struct kt_msg_grant *grant;
	const struct kt_msg_run_phase *phase;
	const struct kt_msg_result *result;
	const char *stream;
	const void *body;
	size_t len;
};

struct kt_duty_effects {
	struct kt_duty_effect *list;
	size_t n, cap;
};

void kt_duty_init(struct kt_duty *duty, const struct kt_duty_config *config);
void kt_duty_fini(struct kt_duty *duty); /* frees the memory, not the struct */
void kt_duty_effects_fini(struct kt_duty_effects *effects);

/* Which input a message of the coordinator is: sets type and body. False: it is none for a worker. */
bool kt_duty_hear(uint32_t tag, const void *body, struct kt_duty_input *input);

/* Appends to effects. Leases that moved to GONE are no longer there afterwards. */
void kt_duty_step(struct kt_duty *duty, const struct kt_duty_input *input,
		  struct kt_duty_effects *effects);

/* The next piece that wants to be sent; false when there is none or no session. Send it, then say
 * SENT; when the socket is full try again later. Samples of a lease in order, then its logs, then its
 * result.
 */
bool kt_duty_next_piece(const struct kt_duty *duty, struct kt_duty_piece *piece);
/* When the next TICK is due at the latest; INT64_MAX when nothing waits for the clock. */
int64_t kt_duty_next_ns(const struct kt_duty *duty);
/* wall_ns 0: without a clock. */
void kt_duty_fill_sync(const struct kt_duty *duty, int64_t now_ns, int64_t wall_ns,
		       struct kt_arena *arena, struct kt_msg_sync *sync);
const struct kt_duty_lease *kt_duty_lease(const struct kt_duty *duty, uint64_t id); /* or NULL */
size_t kt_duty_active(const struct kt_duty *duty); /* slots taken */

#endif
