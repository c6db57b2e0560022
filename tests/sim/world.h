/* world.h - the whole fleet in one process: the real dispatch, the real sweep, the real duties of several
 * workers; clocks, network, disks and guests are faked. One seed, one history.
 *
 *	ktsim      seeds, processes, what is printed
 *	world      time: one heap of events; random numbers; the trace
 *	wires      the network between the coordinator and its workers, connections included
 *	coord      the coordinator's hands, as coordinator/server.c has them: journal, group commit, judging
 *	crew       the workers' hands, as worker/agent.c has them: spool, group commit, guests
 *	nemesis    what goes wrong, by seed
 *	promises   what must hold all the same: I1 to I8 of the invariants, each with its name
 *
 * The hands here keep the promises of the real ones (facts before effects, spool before offers) and no
 * more than these: what is not committed is lost by a crash, what is sent may never arrive.
 */
#ifndef KT_SIM_WORLD_H
#define KT_SIM_WORLD_H

#include "coordinator/core/dispatch.h"
#include "proto/cause.h"
#include "worker/core/duty.h"

#define PROCS_MAX     6 /* workers: three hosts, one that comes late, a twin, a stranger */
#define HOSTS         3
#define LATECOMER     3
#define TWIN          4 /* has the name of host 0 */
#define STRANGER      5 /* has no core: says again what it overheard */
#define NAMES         5
#define CELLS_MAX     64
#define REPEATS       5 /* of one cell, when something is asserted over them */
#define READINGS_MAX  4 /* samples of one attempt */
#define GUESTS_MAX    16 /* of one worker, with those that are dying */
#define ATTEMPTS_MAX  512 /* in one spool */
#define GIANT_CPUS    64 /* no host has so many */
#define OVERHEARD_MAX 24
#define CONNS_MAX     4096

#define WALL_NS (1700000000 * KT_NS_PER_S) /* at the beginning of the world */

#define MS KT_NS_PER_MS
#define S  KT_NS_PER_S

/* fault, what it is */
#define SIM_FAULTS(X)                                                                     \
	X(DELAY, "messages take up to some seconds")                                      \
	X(DROP, "messages vanish")                                                        \
	X(TWICE, "messages come twice")                                                   \
	X(REORDER, "messages overtake one another")                                       \
	X(RESET, "connections break, with what is under way")                             \
	X(PARTITION, "a host is cut off, one way or both, for less or more than a lease") \
	X(COORD_CRASH, "the coordinator is killed, also between a commit and its sends")  \
	X(COORD_PAUSE, "the coordinator stands still, also for longer than a lease")      \
	X(COORD_DISK, "a commit of the journal fails, whether it got to the disk or not") \
	X(SLOW_DISK, "commits take long")                                                 \
	X(DAMAGE, "a stored sample is damaged before it is judged")                       \
	X(WORKER_CRASH, "a worker is killed")                                             \
	X(WORKER_PAUSE, "a worker stands still, also for longer than its lease")          \
	X(WORKER_DISK, "a worker's disk is full or fails")                                \
	X(SPOOL_CUT, "a worker's spool is lost, or pieces of it")                         \
	X(LEAVE, "a worker drains or stops, and is started again")                        \
	X(CLOCK, "clocks run fast and slow, wall clocks jump")                            \
	X(INFRA, "attempts end by trouble of their host")                                 \
	X(SLOW, "guests and fetches take long, guests take their time to die")            \
	X(TWIN, "two workers have one name")                                              \
	X(STRANGER, "somebody says again what it overheard")                              \
	X(POISON, "some cells take down every worker that runs them")                     \
	X(BAD_HOST, "one host ends every attempt by trouble")                             \
	X(LATE, "a host joins late")                                                      \
	X(GONE, "a host leaves for ever")                                                 \
	X(CANCEL, "an operator cancels cells")                                            \
	X(DRAIN, "an operator drains hosts, and lets them in again")                      \
	X(REVOKE, "a host's key is revoked, and allowed again")                           \
	X(HANG, "a guest never ends, and its worker does nothing about it")

enum fault {
#define X(name_, what_) FAULT_##name_,
	SIM_FAULTS(X)
#undef X
		FAULT_N
};

/* promise, its invariant, in words */
#define SIM_PROMISES(X)                                                                           \
	X(ONE_END, "I1", "every cell ends with exactly one accepted verdict, or as error")        \
	X(ONE_LEASE, "I1", "no cell has two leases")                                              \
	X(JUDGED_ONCE, "I1", "no cell is judged twice")                                           \
	X(OWN_EPOCH, "I2", "a verdict comes from the cell's own epoch, and that lease was live")  \
	X(OWN_HOST, "I2", "only the host that holds a lease ends it")                             \
	X(EPOCHS_GROW, "I2", "epochs are never given twice")                                      \
	X(LATE_ONLY, "I2", "what is late has ended before")                                       \
	X(SAME_BYTES, "I3", "the series that is judged is what the worker recorded")              \
	X(WHOLE, "I3", "what is judged is complete")                                              \
	X(NO_ORPHAN, "I4", "no guest outlives its lease for long")                                \
	X(BOUNDED, "I5", "queues, leases and spools stay within bounds")                          \
	X(SAME_REPORT, "I6", "the report is that of an undisturbed run")                          \
	X(NO_EXCUSE, "I6", "a cell is given up only for trouble that there was")                  \
	X(INFRA_IS_NONE, "I7", "infra trouble is no verdict, a test failure is no infra trouble") \
	X(RAN, "I7", "what never ran is never green")                                             \
	X(PROGRESS, "I8", "nothing is stuck for longer than a lease and a grace")                 \
	X(EXPIRES, "I8", "a silent lease expires in time")                                        \
	X(RENEWED, "I8", "a lease that is renewed does not expire")                               \
	X(REPLAY, "J1", "replay(journal) == state")                                               \
	X(DURABLE, "J2", "what is acknowledged is on the coordinator's disk")                     \
	X(KEPT_FIRST, "J3", "nothing is offered before it is in the spool")                       \
	X(NOT_FORGOTTEN, "J4", "the spool forgets only what is durable elsewhere or revoked")     \
	X(SLOTS, "S1", "no slot is oversubscribed")                                               \
	X(FITS, "S1", "the guests of a host have no more CPUs and memory than it gives")          \
	X(PAIRED, "S5", "of a pair one runs at a time")                                           \
	X(GROUPED, "I1", "what is asserted over repeats is judged once, when all have their end") \
	X(ENTITLED, "T1", "nobody gets in under another's name, or without the right to work")    \
	X(GIVEN_ROOM, "S1", "no host is given more than fits beside what it holds")               \
	X(ASKED_FOR, "S1", "no worker is given more than it asked for")                           \
	X(ONE_RUN, "S2", "a lease is run once")                                                   \
	X(REVOKED, "S3", "a lease that is no more is revoked by every answer")                    \
	X(CANCELLED, "S6", "what was cancelled has no verdict")                                   \
	X(DRAINED, "S7", "a drained host is given nothing")                                       \
	X(CANARY, "S8", "a host in quarantine has one cell at a time, and is let in by a result") \
	X(DEAD, "S6", "who says that all guests of what was cancelled are dead is right")         \
	X(CLOCKS, "S9", "the truth lies within the error of a clock's estimate")                  \
	X(UNCHARGED, "S4", "what somebody asked for, or we ourselves did, is not charged")

enum promise {
#define X(name_, invariant_, what_) PROMISE_##name_,
	SIM_PROMISES(X)
#undef X
		PROMISE_N
};

/* What one sample is made of: no two runs of anything have the same. */
struct reading {
	uint64_t cell, epoch, run, seq;
	uint64_t value; /* what is judged */
};

struct message {
	struct kt_arena arena;
	uint32_t tag;
	void *body;
	unsigned int refs;
	struct message *next; /* free ones */
};

enum event_kind {
	EV_UP, /* a message reaches the coordinator's socket: conn, message */
	EV_DOWN, /* a message reaches a worker: conn, message */
	EV_LINK_UP, /* conn */
	EV_LINK_DOWN, /* conn */
	EV_CONNECT, /* who tries */
	EV_SNAP, /* conn: its heartbeats tell that it is dead, if it is */
	EV_COORD_START,
	EV_COORD_RESUME,
	EV_COORD_READ,
	EV_COORD_TICK,
	EV_COORD_COMMIT,
	EV_COORD_VERDICT, /* of a plug-in: number is the epoch */
	EV_CREW_START,
	EV_CREW_RESUME,
	EV_CREW_TICK,
	EV_CREW_COMMIT,
	EV_CREW_FETCHED, /* lease */
	EV_GUEST, /* its run */
	EV_FAULT, /* enum fault */
	EV_HEAL, /* who's partition */
	EV_QUIET,
	EV_N
};

struct event {
	int64_t at_ns;
	uint64_t seq;
	enum event_kind kind;
	uint32_t who;
	uint32_t life; /* of the process that it is for; others are gone */
	uint64_t number;
	struct message *message;
};

struct events {
	struct event *list;
	size_t n, cap;
};

/* ---- the network ---- */

struct conn {
	uint32_t who;
	uint32_t who_life, coord_life;
	uint64_t peer; /* the router's number */
	bool up; /* the dealer's side */
	bool noticed; /* the router knows that it is gone */
	bool lingers; /* closed in peace: what was sent arrives */
	int64_t last_up_ns, last_down_ns; /* order */
};

struct cut { /* of one host from the coordinator */
	bool up, down; /* directions that are blocked */
	bool holds; /* what is sent comes when it heals, if the connection lives */
	int64_t until_ns;
};

/* ---- the coordinator ---- */

struct entry { /* of the journal */
	bool is_sample;
	uint32_t tag;
	size_t at, len; /* in coord.bytes */
	uint64_t epoch, cell, seq; /* samples */
	uint32_t from; /* who's frame it came of, PROCS_MAX when of none */
	int64_t at_ns;
};

struct waiting_frame {
	struct message *message;
	uint64_t peer;
	uint32_t from;
};

struct coord {
	bool alive, paused, committing, tick_due, stopped;
	uint32_t life;
	struct kt_sweep sweep;
	struct kt_dispatch *dispatch;
	struct kt_dispatch_config config;
	struct kt_out out;
	size_t facts_taken, effects_taken, at, end;
	uint64_t peers;
	struct waiting_frame *inbox;
	size_t n_inbox, cap_inbox, read_inbox;
	size_t n_asked; /* plug-ins that have not answered */
	uint64_t answers[CELLS_MAX]; /* epochs whose plug-in has, while the journal was written */
	size_t n_answers;
	bool read_planned;
	struct events backlog;
	int crash_after; /* of the commit under way: -1 none, 0 before, 1 at once after it, 2... sends later */
	bool commit_fails, commit_lands;
	/* the disk */
	struct kt_buf bytes;
	struct entry *entries;
	size_t n_entries, cap_entries;
	size_t n_durable;
	struct kt_sweep folded; /* of the durable facts */
	/* what is being handled */
	uint32_t from; /* whose frame */
};

/* ---- workers ---- */

struct outcome { /* of a run, as its result says it */
	enum kt_cause_id cause;
	uint64_t n;
	bool has_digest;
	struct kt_digest digest;
};

struct spooled { /* an attempt in a spool */
	uint64_t epoch; /* 0: free */
	uint64_t cell;
	uint64_t acked; /* samples that were let go */
	uint64_t n; /* samples acked .. n - 1 are here */
	uint64_t n_logs;
	struct reading readings[READINGS_MAX];
	bool missing[READINGS_MAX]; /* rotten */
	bool has_result;
	struct outcome outcome;
	bool dirty; /* differs from the disk */
	uint64_t order;
};

struct guest {
	uint64_t run; /* 0: none */
	uint64_t lease, epoch, cell;
	uint64_t n; /* readings so far */
	uint64_t n_planned;
	struct outcome outcome;
	bool killed, poison, told_phase, again, hangs;
	int64_t kill_at_ns;
	int64_t dead_since_ns; /* its lease is no more, and its worker heard so; 0: not */
};

struct hold { /* what the hands keep for one lease of the core */
	uint64_t lease, epoch, cell;
	bool has_outcome; /* of this life */
	struct outcome outcome;
};

struct pending {
	uint64_t lease;
	bool is_result;
};

struct later {
	struct kt_duty_input input;
	char text[64];
};

struct crew {
	bool exists; /* in this world */
	bool alive, paused, gone; /* gone: for ever */
	bool bad;
	uint32_t life;
	uint32_t name;
	size_t slots;
	uint64_t guest_cpus, mem_bytes; /* that it gives to guests; 0 CPUs: no bound */
	uint64_t boot_id;
	struct kt_duty duty;
	struct kt_duty_effects effects;
	uint32_t conn; /* index; 0: none */
	bool connecting;
	struct cut cut;
	int64_t tick_at_ns;
	struct later *laters;
	size_t n_laters, cap_laters, at_later;
	struct hold *holds;
	size_t n_holds, cap_holds;
	struct pending pending[256];
	size_t n_pending;
	int64_t commit_at_ns; /* 0: none is planned */
	struct spooled *now, *disk; /* ATTEMPTS_MAX each */
	size_t n_spooled; /* highest used index + 1 */
	uint64_t orders;
	bool spool_dirty;
	struct guest guests[GUESTS_MAX];
	struct events backlog;
	int64_t clock_offset_ns, wall_offset_ns;
	int64_t drift_ppm;
	int64_t jumped_ns; /* when its wall clock was set last */
	bool disk_full, leaving;
	uint64_t stranger_session;
	bool barred; /* its key is not allowed */
	int64_t heard_ns; /* by the coordinator; 0: never */
};

/* ---- what is true ---- */

enum lease_state { LEASE_NONE, LEASE_LIVE, LEASE_ENDED, LEASE_FAILED, LEASE_CANCELLED };

struct truth { /* of a lease, by its epoch */
	enum lease_state state; /* durable */
	uint64_t cell;
	uint32_t name;
	uint32_t term;
	int64_t renewed_ns; /* coordinator's time away included */
	int64_t ttl_ns;
	uint64_t kept, kept_durable; /* samples at the coordinator */
	struct reading stored[READINGS_MAX];
	bool damaged;
	bool given; /* its worker was told to stop, and gives it up */
	bool canary; /* its host was in quarantine */
	int64_t granted_ns;
	uint32_t cancelled_life; /* of the coordinator that cancelled it */
	bool late; /* a late result of it is durable */
	/* at the worker */
	uint64_t run;
	uint32_t ran_by;
	uint64_t n_recorded;
	struct reading recorded[READINGS_MAX];
	bool has_outcome;
	bool ours; /* the worker wrote a result of its own: something was lost, or never began */
	struct outcome outcome;
	bool lost; /* its worker was killed, its spool cut: whatever becomes of it */
};

struct plan { /* of a cell */
	uint64_t n;
	enum kt_cause_id cause;
	int64_t takes_ns;
	enum kt_outcome outcome; /* the only verdict that it can have */
	bool poison;
	uint32_t cpus; /* of its guest */
	uint64_t mem_bytes;
	uint64_t pair; /* 0: none */
	uint64_t artifact;
};

struct tally { /* of a cell: durable */
	uint64_t epoch; /* its newest */
	unsigned int judged, errored, cancelled, charged, tries, grouped;
	uint32_t downs; /* names of the hosts that it took down, a set */
	enum kt_outcome outcome;
	bool hopeless, poisoned; /* given up as too large, as poison */
};

struct world {
	uint64_t seed;
	uint32_t faults; /* a set of enum fault: in this world */
	bool quiet; /* nothing goes wrong any more */
	bool trace;
	uint64_t random[FAULT_N +
			4]; /* one stream per fault, so that leaving one out changes little else */
	int64_t now_ns;
	int64_t quiet_ns; /* from when on */
	struct events queue;
	uint64_t n_events, seqs;
	struct message *free_messages;
	struct conn *conns;
	uint32_t n_conns;
	struct coord coord;
	struct crew crews[PROCS_MAX];
	struct message *overheard[OVERHEARD_MAX];
	size_t n_overheard;
	/* what the seed says */
	uint64_t n_cells;
	uint32_t attempts_max;
	bool sized; /* guests and hosts have sizes, some cells are pairs */
	bool keyed; /* peers have keys, names are no matter of trust */
	bool observes; /* the stranger's key may only look */
	bool grouped; /* something is asserted over repeats */
	struct plan plans[CELLS_MAX];
	int64_t delay_ns;
	unsigned int percent_drop, percent_twice, percent_reorder, percent_infra, percent_codec;
	/* truth */
	struct truth *truths;
	uint64_t n_truths, cap_truths;
	uint64_t runs;
	uint64_t newest_epoch; /* durable */
	bool heals[NAMES]; /* its canary gave a result: it has to be let in */
	struct tally tallies[CELLS_MAX];
	int64_t progress_ns; /* the last fact that brought the sweep on */
	int64_t coord_ticked_ns;
	uint64_t n_clocks; /* estimates that were looked at */
	uint64_t n_facts, n_messages, n_restarts;
	uint64_t hits[FAULT_N]; /* how often each fault struck */
	struct kt_arena scratch;
};

/* Streams beside those of the faults. */
enum { STREAM_PLAN = FAULT_N, STREAM_NET, STREAM_GUEST, STREAM_OTHER };

/* ---- world ---- */

struct world *world_new(uint64_t seed, uint32_t faults, bool trace);
void world_destroy(struct world **world_p);
void world_run(struct world *w);
uint64_t world_draw(struct world *w, int stream, uint64_t below);
bool world_chance(struct world *w, int stream, unsigned int percent);
int64_t world_span(struct world *w, int stream, int64_t min_ns, int64_t max_ns);
bool world_has(const struct world *w, enum fault fault); /* in this world, and not yet quiet */
uint64_t world_mix(uint64_t a, uint64_t b); /* a hash */
void world_push(struct world *w, int64_t in_ns, struct event event);
void world_keep(struct events *events, struct event event); /* at its end */
__attribute__((format(printf, 2, 3))) void world_trace(const struct world *w, const char *format,
						       ...);
const char *world_fault_name(enum fault fault);

/* ---- wires ---- */

struct message *wires_message(struct world *w, const struct kt_family *family, uint32_t tag,
			      const void *body);
void wires_release(struct world *w, struct message *message);
void wires_connect(struct world *w, uint32_t who, int64_t in_ns); /* the dealer tries from now on */
void wires_try(struct world *w, uint32_t who);
void wires_break(struct world *w, uint32_t who, bool clean,
		 bool told); /* told: the worker gets DOWN */
int wires_send_up(struct world *w, uint32_t who, uint32_t tag, const void *body);
/* -EHOSTUNREACH when the router knows that the peer is gone. */
int wires_send_down(struct world *w, uint64_t peer, uint32_t tag, const void *body);
bool wires_may_arrive(const struct world *w, const struct event *event);
void wires_coord_died(struct world *w, bool silently);

/* ---- coord ---- */

void coord_start(struct world *w);
void coord_event(struct world *w, const struct event *event);
void coord_die(struct world *w, bool silently);
void coord_pause(struct world *w, int64_t for_ns);
/* What an operator asks; false: nobody answers now. */
bool coord_ask(struct world *w, struct kt_input *input);
void coord_free(struct world *w);

/* ---- crew ---- */

void crew_init(struct world *w, uint32_t who, uint32_t name);
void crew_start(struct world *w, uint32_t who);
void crew_event(struct world *w, const struct event *event);
void crew_die(struct world *w, uint32_t who, bool silently, int64_t back_in_ns);
void crew_pause(struct world *w, uint32_t who, int64_t for_ns);
void crew_input(struct world *w, uint32_t who, struct kt_duty_input input);
void crew_cut_spool(struct world *w, uint32_t who, bool whole);
const char *crew_name(uint32_t name);
int64_t crew_wall_ns(const struct world *w, uint32_t who);
int64_t crew_clock_ns(const struct world *w, uint32_t who);
void crew_free(struct world *w, uint32_t who);

/* ---- nemesis ---- */

void nemesis_plan(struct world *w);
void nemesis_begin(struct world *w);
void nemesis_strike(struct world *w, enum fault fault);
void nemesis_quiet(struct world *w);

/* ---- promises ---- */

__attribute__((noreturn, format(printf, 3, 4))) void promises_broken(struct world *w,
								     enum promise promise,
								     const char *format, ...);
const char *promises_name(enum promise promise);
const char *promises_invariant(enum promise promise);
const char *promises_words(enum promise promise);
struct truth *promises_truth(struct world *w, uint64_t epoch); /* of an epoch that was given */
void promises_fact(struct world *w, const struct entry *entry,
		   const void *fact); /* it is durable */
void promises_replay(struct world *w);
void promises_send(struct world *w, uint64_t peer, uint32_t tag, const void *body);
void promises_tick(struct world *w); /* the coordinator's */
void promises_restart(struct world *w); /* of the coordinator, after its fold */
void promises_judge(struct world *w, uint64_t cell, uint64_t epoch, const struct truth *truth);
void promises_start(struct world *w, uint32_t who, uint64_t epoch, uint64_t cell);
void promises_forget(struct world *w, uint32_t who, uint64_t epoch);
void promises_synced(struct world *w, uint64_t peer, const struct kt_msg_sync *sync,
		     size_t facts_before); /* and was answered */
void promises_revoked(struct world *w, uint32_t who,
		      const struct kt_msg_state *state); /* it has heard that */
void promises_trim(struct world *w, uint64_t epoch, uint64_t samples);
void promises_step(struct world *w); /* after every event */
void promises_end(struct world *w);
/* How a series is judged: pure. */
enum kt_outcome promises_verdict(const struct reading *readings, uint64_t n,
				 enum kt_cause_id cause);

/* Where a broken promise ends: ktsim.c. */
struct breach {
	enum promise promise;
	char text[400];
	int64_t at_ns;
	uint64_t event;
};
__attribute__((noreturn)) void ktsim_breach(const struct world *w, const struct breach *breach);

#endif
