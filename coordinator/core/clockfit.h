/* clockfit.h - how far a host's wall clock is from ours, and how well that is known.
 *
 *	ours    t1 ---- STATE ---->          <---- SYNC ---- t4
 *	theirs           t2 (heard)          t3 (said)
 *
 * Their clock is ahead by ((t2 - t1) + (t3 - t4)) / 2, give or take half of what the two messages spent on
 * their way, (t4 - t1) - (t3 - t2): however uneven the two ways are, the truth lies within (RFC 5905
 * section 8). Clocks drift, so an exchange is worth less the longer it took and the longer ago it was. Of the
 * last exchanges the best one counts. One that cannot be true together with the best means that a clock was
 * set: what was known before is forgotten. (A clock that was set by less than the error cannot be seen.)
 *
 * Pure: the caller brings both of its clocks. "Monotonic" is any clock that is never set.
 */
#ifndef KT_CLOCKFIT_H
#define KT_CLOCKFIT_H

#include "coordinator/core/facts.h"

#define KT_CLOCKFIT_EXCHANGES 8 /* that are remembered */
#define KT_CLOCKFIT_SENT      4 /* STATEs whose echo may still come */
#define KT_CLOCKFIT_DRIFT_PPM \
	200 /* two bad quartz oscillators, one of them being slewed a little */

struct kt_clockfit_exchange {
	int64_t ahead_ns;
	int64_t error_ns; /* when it was made */
	int64_t at_ns; /* monotonic */
};

struct kt_clockfit_sent {
	int64_t wall_ns; /* 0: none */
	int64_t at_ns; /* monotonic */
};

struct kt_clockfit { /* all zero: nothing is known */
	struct kt_clockfit_exchange exchanges[KT_CLOCKFIT_EXCHANGES]; /* a ring */
	size_t n, next;
	struct kt_clockfit_sent sent[KT_CLOCKFIT_SENT]; /* a ring */
	size_t next_sent;
	int64_t their_wall_ns; /* of the newest clock that came from them; 0: none came */
	int64_t heard_wall_ns; /* when that was, by our wall clock */
};

/* The clock of a message to the host, and the note that it went. */
void kt_clockfit_say(struct kt_clockfit *fit, int64_t wall_ns, int64_t now_ns,
		     struct kt_msg_clock *clock);
/* One that came. What it echoes counts only when we have said it. */
void kt_clockfit_hear(struct kt_clockfit *fit, const struct kt_msg_clock *clock, int64_t wall_ns,
		      int64_t now_ns);
/* What is known now; false: nothing. */
bool kt_clockfit_tell(const struct kt_clockfit *fit, int64_t now_ns, struct kt_msg_clock_fit *told);

#endif
