/* ball.h - what two throw to and fro through a team's two pipes: who has it works, the other waits. */
#ifndef KT_BALL_H
#define KT_BALL_H

#include "worker/guest/gself.h"

#define KT_BALL_BYTES_MAX 4096 /* PIPE_BUF: written whole or not at all */
#define KT_BALL_PIPES     2 /* the first is read by the first of the two */

struct kt_ball_team {
	_Atomic int64_t thrown_ns;
};

struct kt_ball {
	bool has_begun;
	bool is_away; /* the other one has it */
};

/* False when it did not come: then there is nothing to do this round. */
bool kt_ball_catch(struct kt_gself *self, struct kt_ball *ball, size_t bytes);
bool kt_ball_throw(struct kt_gself *self, struct kt_ball *ball, size_t bytes);

#endif
