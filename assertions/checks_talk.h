/* checks_talk.h - what a check says while it judges: every sentence begins and looks alike.
 *
 *	gap (at most 2000 ms): cg_0/1: 2300 ms, until +5100 ms on CPU 1
 *	\------ label -------/ \ who / \--------- what was measured ---/
 *
 * A check is told each thing that it judges by itself (a worker, a group, a cgroup) once: what was measured of it,
 * that it cannot be told (the instrument did not measure: Inconclusive), or that the check does not apply to it
 * (Skip). At the end it says how many hold, and which came nearest to the limit. At most KT_CHECKS_TALK_SAID_MAX
 * failures are said, and so many names listed; the rest is counted.
 */
#ifndef KT_CHECKS_TALK_H
#define KT_CHECKS_TALK_H

#include "assertions/checks.h"

#define KT_CHECKS_TALK_SAID_MAX 8

struct kt_checks_talk_list {
	size_t n;
	struct kt_buf text; /* "cg_0/1: no report (killed), cg_0/2: ..." */
};

struct kt_checks_talk {
	const struct kt_checks_row *row;
	double limit;
	struct kt_verdict *verdict;
	struct kt_buf label;
	const char *thing; /* "worker": what is judged one by one; NULL: the guest as a whole */
	bool must_apply; /* when it applies to nothing, that is Inconclusive and no Skip */
	size_t held;
	size_t failed;
	double nearest; /* of those that hold */
	struct kt_buf nearest_text;
	struct kt_checks_talk_list unsure;
	struct kt_checks_talk_list skipped;
};

/* The check must be on. To be ended; the struct is the caller's. */
void kt_checks_talk_begin(struct kt_checks_talk *talk, const struct kt_checks *checks,
			  enum kt_checks_id id, const char *thing, struct kt_verdict *verdict);

/* A check with a limit; text: who, and what was measured. */
void kt_checks_talk_value(struct kt_checks_talk *talk, double value, const struct kt_buf *text);
/* One without: text is said when it does not hold. */
void kt_checks_talk_flag(struct kt_checks_talk *talk, bool holds, const struct kt_buf *text);
void kt_checks_talk_unsure(struct kt_checks_talk *talk, const struct kt_buf *text);
void kt_checks_talk_skip(struct kt_checks_talk *talk, const struct kt_buf *text);

void kt_checks_talk_end(struct kt_checks_talk *talk);

#endif
