#include "proto/net/zap.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/frame.h"
#include "proto/net/strangers.h"
#include "proto/net/zwatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAGIC     0x7a61700000000001ull
#define ENDPOINT  "inproc://zeromq.zap.01"
#define KEY_BYTES 32

/* A request: the parts in their order, and how long each may be. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, N_PARTS };

#define PART_BYTES_MAX 255

struct request {
	struct {
		uint8_t bytes[PART_BYTES_MAX + 1]; /* and a 0 */
		size_t len;
	} parts[N_PARTS];
	size_t n_parts;
	bool is_whole; /* no part was too many or too long */
};

struct kt_zap {
	uint64_t magic;
	const struct kt_zap_events *events;
	void *arg;
	zsock_t *socket;
	struct kt_zwatch *watch;
	struct kt_allow *allow;
	uint64_t term;
	struct kt_strangers strangers;
	char expected[KT_KEY_CHARS + 1];
};

static struct kt_zap *of(void *arg)
{
	struct kt_zap *zap = arg;

	kt_must(zap->magic == MAGIC);
	return zap;
}

void kt_zap_expect(struct kt_zap *zap, const char *key)
{
	snprintf(zap->expected, sizeof(zap->expected), "%s", key ? key : "");
}

const char *kt_zap_address(const char *address)
{
	static const char mapped[] = "::ffff:";

	return strncmp(address, mapped, strlen(mapped)) == 0 ? address + strlen(mapped) : address;
}

void kt_zap_tell(struct kt_zap *zap, const char *address, const char *key, const char *why,
		 const char *advice)
{
	struct kt_stranger stranger = {
		.address = kt_zap_address(address), .key = key, .why = why, .advice = advice
	};
	char id[KT_STRANGERS_ID_BYTES];

	if (*key && strcmp(key, zap->expected) == 0)
		return;
	snprintf(id, sizeof(id), "%s %s", *key ? key : stranger.address, *key ? "" : why);
	if (kt_strangers_tell(&zap->strangers, kt_clock_now_ns(), id, &stranger.n_untold))
		zap->events->stranger(zap->arg, &stranger);
}

/* ---- a request ---- */

static bool take_request(void *socket, struct request *request)
{
	zmq_msg_t part;
	bool more;

	request->n_parts = 0;
	request->is_whole = true;
	zmq_msg_init(&part);
	if (kt_frame_recv(&part, socket) < 0)
		return false;
	do {
		size_t len = zmq_msg_size(&part);

		more = zmq_msg_more(&part);
		if (request->n_parts < N_PARTS && len <= PART_BYTES_MAX) {
			memcpy(request->parts[request->n_parts].bytes, zmq_msg_data(&part), len);
			request->parts[request->n_parts].bytes[len] = 0;
			request->parts[request->n_parts].len = len;
			request->n_parts++;
		} else {
			request->is_whole = false;
		}
		if (more)
			kt_must(kt_frame_recv(&part, socket) == 0);
	} while (more);
	zmq_msg_close(&part);
	return true;
}

static const char *text_of(const struct request *request, int part)
{
	return (const char *)request->parts[part].bytes;
}

static bool is_ours(const struct request *request)
{
	return request->is_whole && request->n_parts == N_PARTS &&
	       strcmp(text_of(request, VERSION), "1.0") == 0 &&
	       strcmp(text_of(request, DOMAIN), KT_ZAP_DOMAIN) == 0 &&
	       strcmp(text_of(request, MECHANISM), "CURVE") == 0 &&
	       request->parts[CREDENTIALS].len == KEY_BYTES;
}

/* NULL: it is let in. */
static const char *refuse_reason(const struct kt_zap *zap, const struct request *request,
				 char key[KT_KEY_CHARS + 1])
{
	key[0] = 0;
	if (!is_ours(request))
		return "it does not present a key";
	kt_must(zmq_z85_encode(key, request->parts[CREDENTIALS].bytes, KEY_BYTES));
	return kt_allow_find(zap->allow, key) ? NULL : "its key is not in the allow-list";
}

static void answer(void *socket, const struct request *request, const char *status,
		   const char *user_id)
{
	const struct {
		const void *bytes;
		size_t len;
	} parts[] = {
		{ "1.0", 3 },
		{ text_of(request, REQUEST_ID),
		  request->n_parts > REQUEST_ID ? request->parts[REQUEST_ID].len : 0 },
		{ status, strlen(status) },
		{ "", 0 },
		{ user_id, strlen(user_id) },
		{ "", 0 },
	};
	enum { N = sizeof(parts) / sizeof(parts[0]) };

	for (size_t i = 0; i < N; i++) {
		zmq_msg_t part;

		kt_must(zmq_msg_init_size(&part, parts[i].len) == 0);
		if (parts[i].len)
			memcpy(zmq_msg_data(&part), parts[i].bytes, parts[i].len);
		/* A REP drops an answer whose asker is gone. */
		kt_frame_send(&part, socket, i + 1 < N ? ZMQ_SNDMORE : 0);
		zmq_msg_close(&part);
	}
}

static void tell_refused(struct kt_zap *zap, const struct request *request, const char *key,
			 const char *why)
{
	char advice[256] = "give that host a key: ktworker key";

	if (*key && kt_key_is_public(key))
		snprintf(advice, sizeof(advice), "if it belongs here: ktcoord keys allow NAME '%s'",
			 key);
	else if (*key)
		snprintf(advice, sizeof(advice),
			 "if it belongs here: let it make another key (ktworker key)");
	kt_zap_tell(zap, request->n_parts > ADDRESS ? text_of(request, ADDRESS) : "", key, why,
		    advice);
}

static bool on_read(void *arg)
{
	struct kt_zap *zap = of(arg);
	void *socket = zsock_resolve(zap->socket);
	char key[KT_KEY_CHARS + 1];
	struct request request;
	const char *why;

	if (!take_request(socket, &request))
		return false;
	why = refuse_reason(zap, &request, key);
	answer(socket, &request, why ? "400" : "200", why ? "" : key);
	if (why)
		tell_refused(zap, &request, key, why);
	return true;
}

/* ---- life ---- */

static void on_closed(void *arg)
{
	struct kt_zap *zap = of(arg);

	kt_allow_destroy(&zap->allow);
	kt_strangers_destroy(&zap->strangers);
	zap->magic = 0;
	free(zap);
}

static const struct kt_zwatch_events watch_events = {
	.read = on_read,
	.closed = on_closed,
};

int kt_zap_open(uv_loop_t *loop, const struct kt_zap_events *events, void *arg,
		struct kt_zap **zap_p, struct kt_err *err)
{
	KT_AUTO(zsock_destroy) zsock_t *socket = NULL;
	struct kt_zap *zap;

	kt_zwatch_setup();
	socket = zsock_new(ZMQ_REP);
	if (!socket)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a ZeroMQ socket");
	zsock_set_linger(socket, 0);
	/* Each handshake asks once: the bound is that of connections. */
	zsock_set_rcvhwm(socket, 0);
	zsock_set_sndhwm(socket, 0);
	if (!kt_endpoint_lets_strangers_in() &&
	    kt_endpoint_retry(zmq_bind(zsock_resolve(socket), ENDPOINT)) < 0)
		return kt_err_set(err, KT_FAULT_BUG, errno, "authenticating at " ENDPOINT ": %s",
				  zmq_strerror(errno));
	zap = kt_must_calloc(1, sizeof(*zap));
	*zap = (struct kt_zap){
		.magic = MAGIC, .events = events, .arg = arg, .allow = kt_allow_new(), .term = 1
	};
	zap->watch = kt_zwatch_open(loop, socket, &watch_events, zap);
	zap->socket = kt_take(&socket);
	*zap_p = zap;
	return 0;
}

void kt_zap_set(struct kt_zap *zap, struct kt_allow **allow)
{
	kt_allow_destroy(&zap->allow);
	zap->allow = kt_take(allow);
	zap->term++;
}

const struct kt_allow *kt_zap_allow(const struct kt_zap *zap)
{
	return zap->allow;
}

uint64_t kt_zap_term(const struct kt_zap *zap)
{
	return zap->term;
}

void kt_zap_destroy(struct kt_zap **zap_p)
{
	struct kt_zap *zap = kt_take(zap_p);

	if (!zap)
		return;
	kt_must(zap->magic == MAGIC);
	kt_zwatch_destroy(&zap->watch);
	zsock_destroy(&zap->socket);
}
