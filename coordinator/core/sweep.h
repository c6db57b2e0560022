/* sweep.h - a sweep is a history; this is its state, folded.
 *
 *	             granted               ended               judged
 *	  PENDING ------------> LEASED ------------> ENDED ------------> JUDGED
 *	     |  ^                 |                    |
 *	     |  +--- failed ------+------- failed -----+   (series damaged on the way)
 *	     |
 *	     +--- errored ---> ERRORED                     (tries used up)
 *	     ^                    |
 *	     +---- reopened ------+                        (somebody resumed the sweep)
 *
 *	  PENDING --- left_out ---> LEFT_OUT                (when the sweep was opened: it had a budget)
 *	  PENDING, LEASED, ENDED --- cancelled ---> CANCELLED   (somebody asked)   --- reopened ---> PENDING
 *
 * Beside the cells stand groups: all repeats of one cell, which have a verdict of their own when something
 * is asserted over them (fact_grouped). It comes when all of them have their end, and comes again when one
 * was reopened.
 *
 * A stored series may be judged again (fact_rejudged, fact_regrouped): the newest verdict counts, the older
 * ones stay in the journal, and a cell remembers which judgement its own is of.
 *
 * The drawing is the table `moves` in sweep.c, and the table executes. There is no other way to change
 * a cell: replaying the journal gives the same state, which is why the coordinator may be killed at
 * any instant.
 */
#ifndef KT_SWEEP_H
#define KT_SWEEP_H

#include "coordinator/core/facts.h"

#include <uthash.h>

enum kt_cell_state {
	KT_CELL_PENDING,
	KT_CELL_LEASED,
	KT_CELL_ENDED, /* has a result, waits to be judged */
	KT_CELL_JUDGED,
	KT_CELL_ERRORED,
	KT_CELL_LEFT_OUT, /* is not to be run */
	KT_CELL_CANCELLED, /* somebody ended it: no verdict */
	KT_CELL_STATE_N
};

enum kt_outcome { /* in the order in which they win when merged (semantics.md section 5) */
		  KT_OUTCOME_NONE,
		  KT_OUTCOME_SKIP,
		  KT_OUTCOME_PASS,
		  KT_OUTCOME_INCONCLUSIVE,
		  KT_OUTCOME_FAIL,
		  KT_OUTCOME_N
};

enum kt_admission { /* what a host may take (fact_admission) */
		    KT_ADMISSION_OPEN,
		    KT_ADMISSION_DRAINED, /* nothing: an operator said so */
		    KT_ADMISSION_QUARANTINED, /* one cell at a time, until one ends well */
		    KT_ADMISSION_N
};

struct kt_sweep_host {
	char *id;
	enum kt_admission admission;
};

struct kt_sweep_name; /* finds a host by its id */

struct kt_sweep_downs { /* which hosts a cell took down with it; only of cells that did */
	uint64_t cell; /* key */
	uint16_t hosts[KT_POISON_HOSTS]; /* different ones: indices into kt_sweep.hosts */
	uint8_t n;
	UT_hash_handle hh;
};

enum kt_sweep_guest { /* that a result came from */
		      KT_SWEEP_GUEST_NONE, /* scripted, or the result does not say */
		      KT_SWEEP_GUEST_COLD,
		      KT_SWEEP_GUEST_WARM
};

/* What the coordinator remembers of one cell: kept small, a matrix may have millions. */
struct kt_cell {
	uint64_t epoch; /* of the newest lease; 0 when never granted */
	uint32_t term; /* in which that lease was granted */
	uint16_t host; /* index into kt_sweep.hosts of that lease */
	uint16_t judgement; /* which its verdict is of: 0 is the sweep's own */
	uint8_t state; /* enum kt_cell_state */
	uint8_t outcome; /* enum kt_outcome, once judged */
	uint8_t charged; /* failed attempts that count */
	uint8_t tries; /* leases granted, saturating */
	uint8_t group; /* enum kt_outcome of its group, in the group's first cell */
	uint8_t grouped; /* its end is part of a group's verdict */
	uint8_t guest; /* enum kt_sweep_guest, once it has a result */
};

struct kt_sweep {
	char id[KT_NAME_BYTES_MAX + 1];
	uint64_t n_cells;
	uint32_t attempts_max;
	struct kt_cell *cells; /* n_cells */
	uint64_t epoch; /* newest epoch given */
	uint32_t term; /* 0 before the first fact_term */
	uint16_t judgements; /* how often somebody judged again */
	bool closed;
	struct kt_sweep_host *hosts; /* every host that ever held a lease, or was spoken of */
	size_t n_hosts;
	struct kt_sweep_name *names; /* uthash: the index of each */
	struct kt_sweep_downs *downs; /* uthash by cell */
	uint64_t counts[KT_CELL_STATE_N]; /* cells per state */
	uint64_t outcomes[KT_OUTCOME_N]; /* judged cells per outcome */
	uint64_t groups[KT_OUTCOME_N]; /* judged groups per outcome */
	char left_out_why[KT_NAME_BYTES_MAX + 1]; /* empty when no cell is */
};

void kt_sweep_init(struct kt_sweep *sweep);
void kt_sweep_destroy(struct kt_sweep *sweep); /* frees what it holds, not the struct */

/* The fold: one fact more. -EPROTO (fault BUG when our own, seen as corruption when read from disk)
 * when the fact cannot follow the ones before it; the state is then unchanged.
 */
int kt_sweep_apply(struct kt_sweep *sweep, uint32_t tag, const void *fact, struct kt_err *err);

/* Whether the repeats [first, first + n) all have their end, one of them at least by being run; and whether a group's
 * verdict covers it.
 */
bool kt_sweep_has_ended(const struct kt_sweep *sweep, uint64_t first, uint64_t n);
bool kt_sweep_is_grouped(const struct kt_sweep *sweep, uint64_t first, uint64_t n);

/* The hosts that a cell took down (kt_health_takes_down(), when that was charged) since it was opened; NULL: none.
 * With KT_POISON_HOSTS of them it is poison: nobody is to try it again.
 */
const struct kt_sweep_downs *kt_sweep_downs(const struct kt_sweep *sweep, uint64_t cell);
bool kt_sweep_is_poison(const struct kt_sweep *sweep, uint64_t cell);
/* Index into hosts; n_hosts when it is not known. */
size_t kt_sweep_find_host(const struct kt_sweep *sweep, const char *host);

/* How many cells are to be run, and whether each of them has its end. */
uint64_t kt_sweep_n_to_run(const struct kt_sweep *sweep);
uint64_t kt_sweep_n_done(const struct kt_sweep *sweep);
bool kt_sweep_is_done(const struct kt_sweep *sweep);
bool kt_sweep_equal(const struct kt_sweep *a, const struct kt_sweep *b);

const char *kt_sweep_state_name(enum kt_cell_state state);
const char *kt_sweep_admission_name(enum kt_admission admission);
/* OPEN of a host that the sweep does not know. */
enum kt_admission kt_sweep_admission(const struct kt_sweep *sweep, const char *host);
const char *kt_sweep_outcome_name(enum kt_outcome outcome);
enum kt_outcome kt_sweep_outcome_by_name(const char *name); /* NONE when there is none */

#endif
