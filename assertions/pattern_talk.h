/* pattern_talk.h - what a pattern says while it judges: every sentence begins and looks alike.
 *
 *	nr_dispatched (nondecreasing): fell at periodic_004 (+850 ms): 100 after 200 at periodic_003 (+700 ms)
 *	\------------ head ---------/  what    place              value      the slot before it
 *
 * At most KT_PATTERN_SAID_MAX failures are said, and as many times Inconclusive; the rest is counted.
 */
#ifndef KT_PATTERN_TALK_H
#define KT_PATTERN_TALK_H

#include "assertions/pattern.h"

#define KT_PATTERN_TALK_LISTED_MAX 8 /* places named in one note; then "and 3 more" */

struct kt_pattern_talk {
	const struct kt_pattern_input *input;
	struct kt_verdict *verdict;
	const char *head; /* "nr_dispatched (nondecreasing)" */
	size_t fails;
	size_t unsure; /* said to be Inconclusive */
};

/* One Fail; text is what follows the head. */
void kt_pattern_talk_fail(struct kt_pattern_talk *talk, const struct kt_buf *text);
/* What applies but could not be measured: one Inconclusive. */
void kt_pattern_talk_unsure(struct kt_pattern_talk *talk, const struct kt_buf *text);
void kt_pattern_talk_note(struct kt_pattern_talk *talk, const struct kt_buf *text);
/* After the last word: one note each for what was beyond the limits. */
void kt_pattern_talk_end(struct kt_pattern_talk *talk);

/* The slot is one that the failure (or the doubt) is about; any slot of the column. */
void kt_pattern_talk_mark(struct kt_pattern_talk *talk, const struct kt_column_slot *slot,
			  enum kt_pattern_mark mark);

/* " at periodic_004 (+850 ms): 100 after 200 at periodic_003 (+700 ms)" */
void kt_pattern_talk_print_pair(const struct kt_column_slot *slot,
				const struct kt_column_slot *before, struct kt_buf *text);

/* One Fail: what, and the pair. */
void kt_pattern_talk_fail_pair(struct kt_pattern_talk *talk, const char *what,
			       const struct kt_column_slot *slot,
			       const struct kt_column_slot *before);
/* One Fail: "above 10 at periodic_004 (+850 ms): 12". The slot carries a value. */
void kt_pattern_talk_fail_slot(struct kt_pattern_talk *talk, const char *what,
			       const struct kt_column_slot *slot);
/* One Fail: "no value at periodic_004 (+850 ms): " and why. Inconclusive when it could not be divided. */
void kt_pattern_talk_fail_errored(struct kt_pattern_talk *talk, const struct kt_column_slot *slot);

#endif
