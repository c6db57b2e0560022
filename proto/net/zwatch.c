#include "proto/net/zwatch.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>

#define CLOCK_EVERY 16 /* messages, between two looks at the clock */
#define MAGIC       0x7a77617463680001ull

enum { POLL, PREPARE, CHECK, IDLE, TIMER, N_HANDLES };

struct kt_zwatch {
	uint64_t magic;
	uv_poll_t poll;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;
	uv_timer_t timer;
	size_t n_open; /* handles not yet closed */
	zsock_t *socket;
	const struct kt_zwatch_events *events;
	void *arg;
	bool paused;
	bool woken; /* by the fd or the timer, since the last check */
	bool is_closing;
};

static struct kt_zwatch *of(void *data)
{
	struct kt_zwatch *watch = data;

	kt_must(watch->magic == MAGIC);
	return watch;
}

void kt_zwatch_setup(void)
{
	static bool is_done;

	if (is_done)
		return;
	is_done = true;
	zsys_handler_set(NULL);
	kt_must(zsys_init());
	zsys_set_max_sockets(0);
}

/* Not zsock_events(): that returns rubbish when a signal comes in between. */
static int events_of(zsock_t *socket)
{
	size_t n = sizeof(int);
	int events = 0;

	while (zmq_getsockopt(zsock_resolve(socket), ZMQ_EVENTS, &events, &n) < 0)
		kt_must(errno == EINTR);
	return events;
}

static void on_wake(uv_poll_t *handle, int status, int events)
{
	of(handle->data)->woken = true;
}

static void on_timer(uv_timer_t *handle)
{
	of(handle->data)->woken = true;
}

static void on_idle(uv_idle_t *handle)
{
	/* Exists to keep the loop from sleeping. */
}

/* ZMQ_EVENTS also takes ZeroMQ's internal commands, which is what makes its fd quiet again: it must be
 * asked while paused too, or the loop would spin.
 */
static void on_prepare(uv_prepare_t *handle)
{
	struct kt_zwatch *watch = of(handle->data);
	int events = events_of(watch->socket);

	if (((events & ZMQ_POLLIN) && !watch->paused) || watch->woken)
		kt_must(uv_idle_start(&watch->idle, on_idle) == 0);
}

static void on_check(uv_check_t *handle)
{
	struct kt_zwatch *watch = of(handle->data);
	bool woken = watch->woken;
	uint64_t until_ns = uv_hrtime() + KT_ZWATCH_BATCH_NS;
	size_t n = 0;

	uv_idle_stop(&watch->idle);
	watch->woken = false;
	events_of(watch->socket);
	while (!watch->paused && !watch->is_closing && n < KT_ZWATCH_BATCH_MAX &&
	       (n % CLOCK_EVERY || uv_hrtime() < until_ns) && watch->events->read(watch->arg))
		n++;
	if ((n || woken) && !watch->is_closing && watch->events->turn)
		watch->events->turn(watch->arg, n);
}

struct kt_zwatch *kt_zwatch_open(uv_loop_t *loop, zsock_t *socket,
				 const struct kt_zwatch_events *events, void *arg)
{
	struct kt_zwatch *watch = kt_must_calloc(1, sizeof(*watch));

	*watch = (struct kt_zwatch){
		.magic = MAGIC,
		.n_open = N_HANDLES,
		.socket = socket,
		.events = events,
		.arg = arg,
	};
	kt_must(uv_poll_init(loop, &watch->poll, zsock_fd(socket)) == 0);
	kt_must(uv_prepare_init(loop, &watch->prepare) == 0);
	kt_must(uv_check_init(loop, &watch->check) == 0);
	kt_must(uv_idle_init(loop, &watch->idle) == 0);
	kt_must(uv_timer_init(loop, &watch->timer) == 0);
	watch->poll.data = watch;
	watch->prepare.data = watch;
	watch->check.data = watch;
	watch->idle.data = watch;
	watch->timer.data = watch;
	kt_must(uv_poll_start(&watch->poll, UV_READABLE, on_wake) == 0);
	kt_must(uv_prepare_start(&watch->prepare, on_prepare) == 0);
	kt_must(uv_check_start(&watch->check, on_check) == 0);
	return watch;
}

void kt_zwatch_pause(struct kt_zwatch *watch, bool paused)
{
	watch->paused = paused;
}

void kt_zwatch_retry(struct kt_zwatch *watch)
{
	if (!watch->is_closing && !uv_is_active((uv_handle_t *)&watch->timer))
		kt_must(uv_timer_start(&watch->timer, on_timer, KT_ZWATCH_RETRY_MS, 0) == 0);
}

static void on_closed(uv_handle_t *handle)
{
	struct kt_zwatch *watch = of(handle->data);

	if (--watch->n_open)
		return;
	watch->events->closed(watch->arg);
	watch->magic = 0;
	free(watch);
}

void kt_zwatch_destroy(struct kt_zwatch **watch_p)
{
	struct kt_zwatch *watch = kt_take(watch_p);

	if (!watch)
		return;
	watch->is_closing = true;
	uv_close((uv_handle_t *)&watch->poll, on_closed);
	uv_close((uv_handle_t *)&watch->prepare, on_closed);
	uv_close((uv_handle_t *)&watch->check, on_closed);
	uv_close((uv_handle_t *)&watch->idle, on_closed);
	uv_close((uv_handle_t *)&watch->timer, on_closed);
}
