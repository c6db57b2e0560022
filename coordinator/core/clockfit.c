#include "coordinator/core/clockfit.h"

#include <string.h>

/* The year 2043. What is beyond is a lie, or a clock that was never set; sums of two such readings stay within int64_t. */
#define WALL_NS_MAX (INT64_MAX / 4)

static int64_t drift_ns(int64_t span_ns)
{
	return span_ns / 1000000 * KT_CLOCKFIT_DRIFT_PPM + KT_CLOCKFIT_DRIFT_PPM;
}

static int64_t aged_error_ns(const struct kt_clockfit_exchange *exchange, int64_t now_ns)
{
	return exchange->error_ns + drift_ns(now_ns - exchange->at_ns);
}

static const struct kt_clockfit_exchange *best(const struct kt_clockfit *fit, int64_t now_ns)
{
	const struct kt_clockfit_exchange *found = NULL;

	for (size_t i = 0; i < fit->n; i++) {
		const struct kt_clockfit_exchange *exchange = &fit->exchanges[i];

		if (!found || aged_error_ns(exchange, now_ns) < aged_error_ns(found, now_ns))
			found = exchange;
	}
	return found;
}

static void forget(struct kt_clockfit *fit)
{
	fit->n = 0;
	fit->next = 0;
}

static bool agree(const struct kt_clockfit_exchange *a, const struct kt_clockfit_exchange *b,
		  int64_t now_ns)
{
	int64_t apart_ns = a->ahead_ns - b->ahead_ns;

	if (apart_ns < 0)
		apart_ns = -apart_ns;
	return apart_ns <= aged_error_ns(a, now_ns) + aged_error_ns(b, now_ns);
}

static void add(struct kt_clockfit *fit, const struct kt_clockfit_exchange *exchange)
{
	const struct kt_clockfit_exchange *former = best(fit, exchange->at_ns);

	if (former && !agree(former, exchange, exchange->at_ns))
		forget(fit);
	fit->exchanges[fit->next] = *exchange;
	fit->next = (fit->next + 1) % KT_CLOCKFIT_EXCHANGES;
	fit->n += fit->n < KT_CLOCKFIT_EXCHANGES;
}

static const struct kt_clockfit_sent *find_sent(const struct kt_clockfit *fit, int64_t wall_ns)
{
	for (size_t i = 0; i < KT_CLOCKFIT_SENT; i++)
		if (wall_ns && fit->sent[i].wall_ns == wall_ns)
			return &fit->sent[i];
	return NULL;
}

void kt_clockfit_say(struct kt_clockfit *fit, int64_t wall_ns, int64_t now_ns,
		     struct kt_msg_clock *clock)
{
	fit->sent[fit->next_sent] =
		(struct kt_clockfit_sent){ .wall_ns = wall_ns, .at_ns = now_ns };
	fit->next_sent = (fit->next_sent + 1) % KT_CLOCKFIT_SENT;
	clock->wall_ns = wall_ns;
	clock->echo_ns = fit->their_wall_ns;
	clock->echo_heard_ns = fit->their_wall_ns ? fit->heard_wall_ns : 0;
}

void kt_clockfit_hear(struct kt_clockfit *fit, const struct kt_msg_clock *clock, int64_t wall_ns,
		      int64_t now_ns)
{
	const struct kt_clockfit_sent *sent = find_sent(fit, clock->echo_ns);
	int64_t ours_ns;
	int64_t theirs_ns;
	int64_t ways_ns;
	struct kt_clockfit_exchange exchange = { .at_ns = now_ns };

	if (clock->wall_ns <= 0 || clock->wall_ns > WALL_NS_MAX || wall_ns > WALL_NS_MAX)
		return;
	fit->their_wall_ns = clock->wall_ns;
	fit->heard_wall_ns = wall_ns;
	if (!sent || clock->echo_heard_ns < 0 || clock->echo_heard_ns > WALL_NS_MAX)
		return;
	ours_ns = wall_ns - sent->wall_ns;
	theirs_ns = clock->wall_ns - clock->echo_heard_ns;
	/* Ours was set between the two messages: what was known is about another clock. */
	if (ours_ns - (now_ns - sent->at_ns) > drift_ns(now_ns - sent->at_ns) ||
	    (now_ns - sent->at_ns) - ours_ns > drift_ns(now_ns - sent->at_ns)) {
		forget(fit);
		return;
	}
	ways_ns = ours_ns - theirs_ns;
	exchange.error_ns = ways_ns / 2 + drift_ns(ours_ns);
	/* Theirs was: they cannot have had it for longer than it was away. */
	if (exchange.error_ns < 0) {
		forget(fit);
		return;
	}
	exchange.ahead_ns =
		((clock->echo_heard_ns - sent->wall_ns) + (clock->wall_ns - wall_ns)) / 2;
	add(fit, &exchange);
}

bool kt_clockfit_tell(const struct kt_clockfit *fit, int64_t now_ns, struct kt_msg_clock_fit *told)
{
	const struct kt_clockfit_exchange *exchange = best(fit, now_ns);

	if (!exchange)
		return false;
	told->ahead_ns = exchange->ahead_ns;
	told->error_ns = aged_error_ns(exchange, now_ns);
	return true;
}
