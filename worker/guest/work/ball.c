#include "worker/guest/work/ball.h"
#include "worker/guest/gtime.h"
#include "proto/base/must.h"

#include <unistd.h>

bool kt_ball_catch(struct kt_gself *self, struct kt_ball *ball, size_t bytes)
{
	const struct kt_ball_team *team = self->team;
	int fd = self->pipes[2 * self->index];
	char in[KT_BALL_BYTES_MAX];
	enum kt_gself_waited waited;

	kt_must(bytes <= sizeof(in));
	if (!ball->has_begun)
		ball->is_away = self->index != 0; /* the first one throws first */
	ball->has_begun = true;
	if (!ball->is_away)
		return true;
	waited = kt_gself_wait_fd(self, fd);
	if (waited == KT_GSELF_ALONE || read(fd, in, bytes) != (ssize_t)bytes)
		return false;
	if (waited == KT_GSELF_WOKEN)
		kt_gself_woken(self, atomic_load(&team->thrown_ns));
	ball->is_away = false;
	return true;
}

bool kt_ball_throw(struct kt_gself *self, struct kt_ball *ball, size_t bytes)
{
	static const char out[KT_BALL_BYTES_MAX];
	struct kt_ball_team *team = self->team;

	kt_must(bytes <= sizeof(out));
	atomic_store(&team->thrown_ns, kt_gtime_now_ns());
	if (write(self->pipes[2 * (1 - self->index) + 1], out, bytes) != (ssize_t)bytes)
		return false;
	ball->is_away = true;
	return true;
}
