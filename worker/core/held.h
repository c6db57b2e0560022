/* held.h - one lease as the worker holds it: a table of moves.
 *
 *	             READY              ENDED             KEPT           ACKED
 *	  FETCHING ---------> RUNNING ---------> KEEPING -------> DONE --------> GONE
 *	      | FAILED           | LOST             | LOST         | LOST
 *	      |                  v                  v              |
 *	      +-> KEEPING     SPOILING -> KEEPING  RESCUING <------+
 *	  REVOKED, anywhere: a guest that runs is killed first (ENDING), then GONE
 *
 * A slot is taken in the states marked "active": until the guest is gone, not until the result is
 * acknowledged. What is not in the table does not happen: the event is ignored.
 */
#ifndef KT_HELD_H
#define KT_HELD_H

#include <stdbool.h>

/* state, takes a slot, meaning */
#define KT_HELD_STATES(X)                                                              \
	X(FETCHING, true, "its artifacts are on their way")                            \
	X(RUNNING, true, "the runner has it")                                          \
	X(SPOILING, true, "what it measured could not be kept; its guest is dying")    \
	X(ENDING, true, "revoked; its guest is dying")                                 \
	X(KEEPING, false, "its result is on the way to the disk")                      \
	X(RESCUING, false, "the result that says what was lost is on its way to disk") \
	X(DONE, false, "its result may be sent, and is again until acknowledged")      \
	X(GONE, false, "no longer held")

/* event, meaning */
#define KT_HELD_EVENTS(X)                                                  \
	X(READY, "every artifact is here")                                 \
	X(FAILED, "it cannot start, or was refused")                       \
	X(ENDED, "the runner's result; the guest is gone")                 \
	X(KEPT, "the result is on disk")                                   \
	X(LOST, "the spool could not keep, or no longer has, a piece")     \
	X(REVOKED, "the coordinator took the lease back, or we must stop") \
	X(ACKED, "the result is durable at the coordinator")

/* action, meaning */
#define KT_HELD_ACTIONS(X)                             \
	X(NOTHING, "-")                                \
	X(START, "hand the job to the runner")         \
	X(CANCEL, "tell the runner to kill the guest") \
	X(RESULT, "spool the runner's result")         \
	X(TROUBLE, "spool a result of our own")        \
	X(FORGET, "drop what the spool has of it")

/* from, event, to, action */
#define KT_HELD_MOVES(X)                      \
	X(FETCHING, READY, RUNNING, START)    \
	X(FETCHING, FAILED, KEEPING, TROUBLE) \
	X(FETCHING, REVOKED, GONE, FORGET)    \
	X(RUNNING, FAILED, KEEPING, TROUBLE)  \
	X(RUNNING, ENDED, KEEPING, RESULT)    \
	X(RUNNING, LOST, SPOILING, CANCEL)    \
	X(RUNNING, REVOKED, ENDING, CANCEL)   \
	X(SPOILING, ENDED, KEEPING, TROUBLE)  \
	X(SPOILING, REVOKED, ENDING, NOTHING) \
	X(ENDING, FAILED, GONE, FORGET)       \
	X(ENDING, ENDED, GONE, FORGET)        \
	X(KEEPING, KEPT, DONE, NOTHING)       \
	X(KEEPING, LOST, RESCUING, TROUBLE)   \
	X(KEEPING, REVOKED, GONE, FORGET)     \
	X(RESCUING, KEPT, DONE, NOTHING)      \
	X(RESCUING, LOST, DONE, NOTHING)      \
	X(RESCUING, REVOKED, GONE, FORGET)    \
	X(DONE, LOST, RESCUING, TROUBLE)      \
	X(DONE, ACKED, GONE, FORGET)          \
	X(DONE, REVOKED, GONE, FORGET)

enum kt_held_state {
#define X(name_, active_, meaning_) KT_HELD_##name_,
	KT_HELD_STATES(X)
#undef X
		KT_HELD_STATE_N
};

enum kt_held_event {
#define X(name_, meaning_) KT_HELD_ON_##name_,
	KT_HELD_EVENTS(X)
#undef X
		KT_HELD_EVENT_N
};

enum kt_held_action {
#define X(name_, meaning_) KT_HELD_DO_##name_,
	KT_HELD_ACTIONS(X)
#undef X
		KT_HELD_ACTION_N
};

/* Moves *state and says what has to be done; false, with nothing changed, when there is no such move. */
bool kt_held_move(enum kt_held_state *state, enum kt_held_event event, enum kt_held_action *action);
bool kt_held_is_active(enum kt_held_state state); /* takes a slot */
const char *kt_held_state_name(enum kt_held_state state);

#endif
