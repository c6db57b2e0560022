/* expect.h - a cell that is meant to fail: that outcome is its Pass, and anything else its Fail.
 *
 *	expect = "fail"
 *	expect = { outcome = "fail", cause = "scheduler_stalled", log = "runnable task stall*" }
 *
 * The cause is one of proto/causes.def that is a result; "finished" when an assertion is to fail. log is
 * looked for in every line of the result and of its evidence (the verifier's last lines, the panic's
 * console lines, the scheduler's exit message): a piece of the line, with '*' for anything.
 */
#ifndef KT_EXPECT_H
#define KT_EXPECT_H

#include "assertions/place.h"
#include "assertions/verdict.h"
#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/value.h"

struct kt_expect {
	const char *cause; /* NULL: any */
	const char *log; /* NULL: any */
};

/* Texts are copied into the arena. -EINVAL with fault INPUT and what would be right; place, which begins
 * at the value, then says where.
 */
int kt_expect_read(const struct kt_value *value, struct kt_arena *arena, struct kt_place *place,
		   struct kt_expect *expect, struct kt_err *err);

/* Says into verdict what `found` is worth when a failure was expected: one Pass or one Fail, and everything
 * that was found as notes.
 */
void kt_expect_judge(const struct kt_expect *expect, const struct kt_msg_result *result,
		     const struct kt_verdict *found, struct kt_verdict *verdict);

/* Whether a piece of the line reads like the pattern, '*' standing for anything. For tests. */
bool kt_expect_matches(const char *pattern, const char *line, size_t len);

#endif
