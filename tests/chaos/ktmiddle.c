/* layer: proto/net */
/* ktmiddle.c - the man in the middle of workers and coordinator, who does to whole messages what must do no harm.
 *
 *	ktmiddle LISTEN_ENDPOINT TARGET_ENDPOINT SEED
 *
 * A ROUTER that the workers take for the coordinator, and for each of them a DEALER that the coordinator takes for the
 * worker. Plain ZeroMQ only: with CURVE there is no middle. Lines on standard input, each answered by "ok ..." or
 * "error ...":
 *
 *	rule DIR TAG PERCENT ACTION [A [B]]  so many of the messages with that tag (0: any) in that direction (up: to the
 *	                                     coordinator; down) have it happen to them; the first rule that hits counts
 *	    drop              it never comes
 *	    duplicate         it comes twice
 *	    delay MS          it comes later, and others overtake it
 *	    swap              it comes after the next one
 *	    truncate          its second half is missing
 *	    grow BYTES        so much garbage follows it
 *	    set AT BYTE       one byte of it is another
 *	    hold              it waits for `release`
 *	    replay MS         it comes, and comes once more that much later
 *	clear                 no rules from now on
 *	release               what was held goes on, in its order
 *	count                 ok up=MESSAGES down=MESSAGES hits=N peers=N
 *
 * It ends with its standard input.
 */
#include "proto/base/must.h"

#include <czmq.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <utlist.h>

#define RULES_MAX  32
#define PEERS_MAX  256
#define TURN_MS    5
#define ID_BYTES   16
#define BATCH      64
#define PLENTY     100000 /* messages: we are no bottleneck */
#define AFTER_NEXT INT64_MAX
#define TILL_FREED (INT64_MAX - 1)

enum dir { UP, DOWN, DIRS };

static const char *const actions[] = { "drop", "duplicate", "delay", "swap",  "truncate",
				       "grow", "set",       "hold",  "replay" };
enum action { DROP, DUPLICATE, DELAY, SWAP, TRUNCATE, GROW, SET, HOLD, REPLAY, ACTIONS };

struct rule {
	enum dir dir;
	unsigned int tag;
	unsigned int percent;
	enum action action;
	uint64_t a, b;
};

struct peer {
	uint8_t id[ID_BYTES];
	size_t id_len;
	zsock_t *back; /* NULL: free */
};

/* A message that does not go on at once. */
struct later {
	struct later *prev, *next; /* utlist.h */
	enum dir dir;
	struct peer *peer;
	int64_t due_ms;
	zmq_msg_t message;
};

static zsock_t *front;
static const char *target;
static struct peer peers[PEERS_MAX];
static struct rule rules[RULES_MAX];
static size_t n_rules;
static struct later *laters;
static uint64_t n_passed[DIRS], n_hits, seed;

static unsigned int percent(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (unsigned int)((z ^ (z >> 31)) % 100);
}

static void forget_peer(struct peer *peer)
{
	struct later *later, *next;

	DL_FOREACH_SAFE (laters, later, next) {
		if (later->peer != peer)
			continue;
		DL_DELETE(laters, later);
		zmq_msg_close(&later->message);
		free(later);
	}
	zsock_destroy(&peer->back);
}

static struct peer *peer_of(const void *id, size_t len)
{
	struct peer *free_one = NULL;

	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (!peers[i].back)
			free_one = free_one ? free_one : &peers[i];
		else if (peers[i].id_len == len && memcmp(peers[i].id, id, len) == 0)
			return &peers[i];
	}
	kt_must(free_one && len <= ID_BYTES);
	memcpy(free_one->id, id, len);
	free_one->id_len = len;
	free_one->back = zsock_new(ZMQ_DEALER);
	zsock_set_sndhwm(free_one->back, PLENTY);
	zsock_set_rcvhwm(free_one->back, PLENTY);
	zsock_set_linger(free_one->back, 0);
	kt_must(zmq_connect(zsock_resolve(free_one->back), target) == 0);
	return free_one;
}

/* Takes the message. */
static void pass(enum dir dir, struct peer *peer, zmq_msg_t *message)
{
	bool gone = false;

	n_passed[dir]++;
	if (dir == UP) {
		if (zmq_msg_send(message, zsock_resolve(peer->back), ZMQ_DONTWAIT) < 0)
			zmq_msg_close(message);
		return;
	}
	gone = zmq_send(zsock_resolve(front), peer->id, peer->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) <
	       0;
	if (gone || zmq_msg_send(message, zsock_resolve(front), ZMQ_DONTWAIT) < 0)
		zmq_msg_close(message);
	if (gone)
		forget_peer(peer); /* so the coordinator sees that it is gone, too */
}

static void keep(enum dir dir, struct peer *peer, zmq_msg_t *message, int64_t due_ms)
{
	struct later *later = kt_must_calloc(1, sizeof(*later));

	*later = (struct later){ .dir = dir, .peer = peer, .due_ms = due_ms };
	zmq_msg_init(&later->message);
	zmq_msg_move(&later->message, message);
	DL_APPEND(laters, later);
}

static void copy_of(zmq_msg_t *copy, zmq_msg_t *message, size_t len)
{
	size_t had = zmq_msg_size(message);

	kt_must(zmq_msg_init_size(copy, len) == 0);
	memcpy(zmq_msg_data(copy), zmq_msg_data(message), had < len ? had : len);
	for (size_t i = had; i < len; i++)
		((uint8_t *)zmq_msg_data(copy))[i] = (uint8_t)(i * 131);
}

static const struct rule *rule_for(enum dir dir, zmq_msg_t *message)
{
	const uint8_t *bytes = zmq_msg_data(message);
	/* A frame is the msgpack array [tag, struct], and tags are below 128. */
	unsigned int tag = zmq_msg_size(message) > 1 ? bytes[1] : 0;

	for (size_t i = 0; i < n_rules; i++)
		if (rules[i].dir == dir && (!rules[i].tag || rules[i].tag == tag) &&
		    percent() < rules[i].percent)
			return &rules[i];
	return NULL;
}

/* Messages of this link that were to come after the next one. */
static void pass_swapped(enum dir dir, struct peer *peer, const struct later *but)
{
	struct later *later, *next;

	DL_FOREACH_SAFE (laters, later, next) {
		zmq_msg_t message;

		if (later->due_ms != AFTER_NEXT || later->dir != dir || later->peer != peer ||
		    later == but)
			continue;
		DL_DELETE(laters, later);
		message = later->message;
		free(later);
		pass(dir, peer, &message);
		return; /* which may have forgotten the peer */
	}
}

static void treat(enum dir dir, struct peer *peer, zmq_msg_t *message)
{
	const struct rule *rule = rule_for(dir, message);
	int64_t now_ms = zclock_mono();
	zmq_msg_t other;

	if (!rule) {
		pass(dir, peer, message);
		if (peer->back)
			pass_swapped(dir, peer, NULL);
		return;
	}
	n_hits++;
	switch (rule->action) {
	case DROP:
		zmq_msg_close(message);
		return;
	case DUPLICATE:
	case REPLAY:
		copy_of(&other, message, zmq_msg_size(message));
		keep(dir, peer, &other,
		     rule->action == REPLAY ? now_ms + (int64_t)rule->a : now_ms);
		pass(dir, peer, message);
		return;
	case DELAY:
		keep(dir, peer, message, now_ms + (int64_t)rule->a);
		return;
	case SWAP:
		keep(dir, peer, message, AFTER_NEXT);
		pass_swapped(dir, peer, laters->prev);
		return;
	case HOLD:
		keep(dir, peer, message, TILL_FREED);
		return;
	case TRUNCATE:
		copy_of(&other, message, zmq_msg_size(message) / 2);
		break;
	case GROW:
		copy_of(&other, message, zmq_msg_size(message) + rule->a);
		break;
	case SET:
		copy_of(&other, message, zmq_msg_size(message));
		if (rule->a < zmq_msg_size(&other))
			((uint8_t *)zmq_msg_data(&other))[rule->a] = (uint8_t)rule->b;
		break;
	case ACTIONS:
		kt_must(rule->action != ACTIONS);
	}
	zmq_msg_close(message);
	pass(dir, peer, &other);
}

static bool from_front(void)
{
	zmq_msg_t id, message;
	struct peer *peer;

	zmq_msg_init(&id);
	zmq_msg_init(&message);
	if (zmq_msg_recv(&id, zsock_resolve(front), ZMQ_DONTWAIT) < 0)
		return false;
	kt_must(zmq_msg_recv(&message, zsock_resolve(front), 0) >= 0);
	peer = peer_of(zmq_msg_data(&id), zmq_msg_size(&id));
	zmq_msg_close(&id);
	treat(UP, peer, &message);
	return true;
}

static bool from_back(struct peer *peer)
{
	zmq_msg_t message;

	zmq_msg_init(&message);
	if (zmq_msg_recv(&message, zsock_resolve(peer->back), ZMQ_DONTWAIT) < 0)
		return false;
	treat(DOWN, peer, &message);
	return true;
}

static void pass_due(int64_t until_ms)
{
	struct later *later = laters;

	while (later) {
		struct later *next = later->next;
		enum dir dir = later->dir;
		struct peer *peer = later->peer;
		zmq_msg_t message = later->message;

		if (later->due_ms > until_ms || (later->due_ms == AFTER_NEXT)) {
			later = next;
			continue;
		}
		DL_DELETE(laters, later);
		free(later);
		pass(dir, peer, &message);
		later = peer->back ? next : laters; /* a forgotten peer takes its messages along */
	}
}

/* ---- orders ---- */

static bool add_rule(const char *line)
{
	struct rule rule = { 0 };
	char dir[8] = "", action[16] = "";

	if (n_rules == RULES_MAX || sscanf(line, "%*s %7s %u %u %15s %" SCNu64 " %" SCNu64, dir,
					   &rule.tag, &rule.percent, action, &rule.a, &rule.b) < 4)
		return false;
	rule.dir = strcmp(dir, "up") == 0 ? UP : DOWN;
	while (rule.action < ACTIONS && strcmp(actions[rule.action], action) != 0)
		rule.action++;
	if (rule.action == ACTIONS)
		return false;
	rules[n_rules++] = rule;
	return true;
}

static void obey(const char *line)
{
	size_t n_peers = 0;

	if (strncmp(line, "rule ", 5) == 0) {
		if (!add_rule(line)) {
			printf("error %s\n", line);
			return;
		}
	} else if (strcmp(line, "clear") == 0) {
		n_rules = 0;
	} else if (strcmp(line, "release") == 0) {
		pass_due(TILL_FREED);
	} else if (strcmp(line, "count") == 0) {
		for (size_t i = 0; i < PEERS_MAX; i++)
			n_peers += peers[i].back != NULL;
		printf("ok up=%" PRIu64 " down=%" PRIu64 " hits=%" PRIu64 " peers=%zu\n",
		       n_passed[UP], n_passed[DOWN], n_hits, n_peers);
		return;
	} else {
		printf("error %s\n", line);
		return;
	}
	puts("ok");
}

/* False at the end of the orders. */
static bool read_orders(void)
{
	static char line[256];
	static size_t n;
	char bytes[256];
	ssize_t len = read(0, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < len; i++) {
		if (bytes[i] != '\n') {
			if (n < sizeof(line) - 1)
				line[n++] = bytes[i];
			continue;
		}
		line[n] = 0;
		n = 0;
		obey(line);
		fflush(stdout);
	}
	return len > 0;
}

int main(int argc, char **argv)
{
	int on = 1;

	if (argc != 4) {
		fputs("usage: ktmiddle LISTEN_ENDPOINT TARGET_ENDPOINT SEED\n", stderr);
		return 2;
	}
	target = argv[2];
	seed = strtoull(argv[3], NULL, 10);
	zsys_handler_set(NULL);
	zsys_set_max_sockets(0);
	front = zsock_new(ZMQ_ROUTER);
	zsock_set_sndhwm(front, PLENTY);
	zsock_set_rcvhwm(front, PLENTY);
	zsock_set_linger(front, 0);
	zmq_setsockopt(zsock_resolve(front), ZMQ_ROUTER_MANDATORY, &on, sizeof(on));
	if (zmq_bind(zsock_resolve(front), argv[1]) < 0) {
		fprintf(stderr, "ktmiddle: listening on %s: %s\n", argv[1], zmq_strerror(errno));
		return 1;
	}
	puts("ok listening");
	fflush(stdout);
	for (;;) {
		zmq_pollitem_t items[PEERS_MAX + 2] = {
			{ .fd = 0, .events = ZMQ_POLLIN },
			{ .socket = zsock_resolve(front), .events = ZMQ_POLLIN },
		};
		struct peer *of[PEERS_MAX + 2];
		int n = 2;

		for (size_t i = 0; i < PEERS_MAX; i++) {
			if (!peers[i].back)
				continue;
			of[n] = &peers[i];
			items[n++] = (zmq_pollitem_t){ .socket = zsock_resolve(peers[i].back),
						       .events = ZMQ_POLLIN };
		}
		if (zmq_poll(items, n, TURN_MS) < 0 && errno != EINTR)
			return 1;
		if (items[0].revents && !read_orders())
			return 0;
		for (int k = 0; k < BATCH && items[1].revents && from_front(); k++)
			;
		for (int i = 2; i < n; i++)
			for (int k = 0;
			     k < BATCH && of[i]->back && items[i].revents && from_back(of[i]); k++)
				;
		pass_due(zclock_mono());
	}
}
