/* layer: proto/net */
/* ktproxy.c - a TCP relay that does to bytes what networks do: late, slow, one way only, cut in the middle.
 *
 *	ktproxy LISTEN_ADDRESS PORT TARGET_ADDRESS PORT
 *
 * The test rules over it by lines on standard input; each is answered by one line, "ok ..." or "error ...", when it is in
 * force. DIR is up (to the target), down or both; what is not said stays as it is, and holds for connections to come.
 *
 *	delay DIR MS           every byte comes so much later
 *	rate DIR BYTES         at most so many per second; 0: as many as fit
 *	hold DIR, free DIR     nothing passes, and nothing breaks either: half-open; what waited goes on
 *	cut                    every connection ends now, by RST
 *	cut_after DIR BYTES    each connection ends when so many more have passed: in the middle of a frame
 *	flip DIR BYTES         one bit of the byte behind so many more is wrong, once
 *	refuse on, refuse off  connections to come end at once
 *	count                  ok connections=N made=N up=BYTES down=BYTES
 *
 * It ends with its standard input.
 */
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

#define TICK_MS        2
#define PIECE_BYTES    (16 << 10)
#define WAITING_BYTES  (256 << 10) /* of one direction; then its source is not read */
#define NEVER          UINT64_MAX
#define LINE_BYTES_MAX 256

enum dir { UP, DOWN, DIRS };

struct piece {
	struct piece *prev, *next; /* utlist.h */
	uint64_t due_ms;
	size_t at, len;
	char bytes[];
};

/* What the test ordered for one direction. */
struct rules {
	uint64_t delay_ms;
	uint64_t rate; /* bytes per second; 0: no limit */
	bool held;
	uint64_t cut_after;
	uint64_t flip_after;
	uint64_t credit; /* bytes that rate allows now, of all connections together */
	uint64_t passed;
};

struct link;

struct side {
	struct link *link;
	enum dir dir; /* in which its bytes go */
	uv_tcp_t tcp;
	struct piece *waiting;
	size_t waiting_bytes;
	bool reading, ended;
	uint64_t cut_in; /* bytes until this direction is cut */
};

struct link {
	struct link *prev, *next; /* utlist.h */
	struct side sides[DIRS]; /* [UP] reads from the client, [DOWN] from the target */
	uv_connect_t connect;
	bool connected, closing;
	int open_handles;
};

static uv_loop_t loop;
static uv_tcp_t listener;
static uv_pipe_t orders;
static uv_timer_t ticker;
static struct sockaddr_storage target;
static struct rules rules[DIRS] = { { .cut_after = NEVER, .flip_after = NEVER },
				    { .cut_after = NEVER, .flip_after = NEVER } };
static struct link *links;
static uint64_t n_made;
static bool refusing;

static void pump(struct side *side);

/* ---- links ---- */

static void on_closed(uv_handle_t *handle)
{
	struct side *side = handle->data;
	struct link *link = side->link;
	struct piece *piece, *next;

	if (--link->open_handles > 0)
		return;
	for (int d = 0; d < DIRS; d++)
		DL_FOREACH_SAFE (link->sides[d].waiting, piece, next)
			free(piece);
	DL_DELETE(links, link);
	free(link);
}

static void close_link(struct link *link, bool reset)
{
	if (link->closing)
		return;
	link->closing = true;
	for (int d = 0; d < DIRS; d++) {
		uv_tcp_t *tcp = &link->sides[d].tcp;

		if (!reset || uv_tcp_close_reset(tcp, on_closed) < 0)
			uv_close((uv_handle_t *)tcp, on_closed);
	}
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
	static char room[PIECE_BYTES];

	*buf = uv_buf_init(room, sizeof(room));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct side *side = stream->data;
	struct piece *piece;

	if (len == 0)
		return;
	if (len < 0) {
		side->ended = true;
		pump(side);
		return;
	}
	piece = kt_must_realloc(NULL, 1, sizeof(*piece) + (size_t)len);
	*piece = (struct piece){ .due_ms = uv_now(&loop) + rules[side->dir].delay_ms,
				 .len = (size_t)len };
	memcpy(piece->bytes, buf->base, (size_t)len);
	DL_APPEND(side->waiting, piece);
	side->waiting_bytes += (size_t)len;
	if (side->waiting_bytes > WAITING_BYTES) {
		uv_read_stop(stream);
		side->reading = false;
	}
	pump(side);
}

static void on_written(uv_write_t *write, int status)
{
	free(write);
}

static void write_bytes(struct side *side, char *bytes, size_t len)
{
	struct side *other = &side->link->sides[side->dir == UP ? DOWN : UP];
	uv_write_t *write = kt_must_realloc(NULL, 1, sizeof(*write) + len);
	uv_buf_t buf = uv_buf_init((char *)(write + 1), (unsigned int)len);
	struct rules *rule = &rules[side->dir];

	memcpy(buf.base, bytes, len);
	if (rule->flip_after != NEVER && rule->flip_after < len) {
		buf.base[rule->flip_after] ^= 0x10;
		rule->flip_after = NEVER;
	} else if (rule->flip_after != NEVER) {
		rule->flip_after -= len;
	}
	rule->passed += len;
	if (uv_write(write, (uv_stream_t *)&other->tcp, &buf, 1, on_written) < 0) {
		free(write);
		close_link(side->link, true);
	}
}

/* Passes on what is due and allowed. */
static void pump(struct side *side)
{
	struct link *link = side->link;
	struct rules *rule = &rules[side->dir];
	struct side *other = &link->sides[side->dir == UP ? DOWN : UP];

	while (side->waiting && link->connected && !link->closing && !rule->held) {
		struct piece *piece = side->waiting;
		size_t len = piece->len - piece->at;

		if (piece->due_ms > uv_now(&loop) ||
		    uv_stream_get_write_queue_size((uv_stream_t *)&other->tcp) > WAITING_BYTES)
			return;
		if (rule->rate && len > rule->credit)
			len = rule->credit;
		if (len > side->cut_in)
			len = side->cut_in;
		if (len > 0)
			write_bytes(side, piece->bytes + piece->at, len);
		if (side->cut_in != NEVER)
			side->cut_in -= len;
		if (side->cut_in == 0)
			return close_link(link, false);
		if (rule->rate)
			rule->credit -= len;
		piece->at += len;
		side->waiting_bytes -= len;
		if (piece->at < piece->len)
			return;
		DL_DELETE(side->waiting, piece);
		free(piece);
	}
	if (link->closing)
		return;
	if (side->ended && !side->waiting && !rule->held)
		close_link(link, false);
	else if (!side->reading && !side->ended && side->waiting_bytes < WAITING_BYTES &&
		 link->connected)
		side->reading = uv_read_start((uv_stream_t *)&side->tcp, on_alloc, on_read) == 0;
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct link *link = connect->data;

	if (link->closing)
		return;
	if (status < 0)
		return close_link(link, true);
	link->connected = true;
	for (int d = 0; d < DIRS; d++)
		pump(&link->sides[d]);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct link *link = kt_must_calloc(1, sizeof(*link));

	kt_must(status == 0);
	for (int d = 0; d < DIRS; d++) {
		struct side *side = &link->sides[d];

		side->link = link;
		side->dir = (enum dir)d;
		side->cut_in = rules[d].cut_after;
		uv_tcp_init(&loop, &side->tcp);
		side->tcp.data = side;
		link->open_handles++;
	}
	DL_APPEND(links, link);
	n_made++;
	link->connect.data = link;
	if (uv_accept(stream, (uv_stream_t *)&link->sides[UP].tcp) < 0 || refusing) {
		close_link(link, true);
		return;
	}
	for (int d = 0; d < DIRS; d++)
		uv_tcp_nodelay(&link->sides[d].tcp, 1);
	if (uv_tcp_connect(&link->connect, &link->sides[DOWN].tcp, (struct sockaddr *)&target,
			   on_connected) < 0)
		close_link(link, true);
}

static void on_tick(uv_timer_t *timer)
{
	static uint64_t last_ms;
	uint64_t now_ms = uv_now(&loop);
	struct link *link, *next;

	for (int d = 0; d < DIRS && last_ms; d++) {
		struct rules *rule = &rules[d];
		uint64_t burst = rule->rate / 20 + 1500; /* 50 ms of it, and a packet */

		/* Rounded up: 1 byte per tick at least, else a slow rate would be none. */
		rule->credit += (rule->rate * (now_ms - last_ms) + 999) / 1000;
		if (rule->credit > burst)
			rule->credit = burst;
	}
	last_ms = now_ms;
	DL_FOREACH_SAFE (links, link, next)
		for (int d = 0; d < DIRS; d++)
			pump(&link->sides[d]);
}

/* ---- orders ---- */

static bool set_rule(struct rules *rule, const char *verb, uint64_t number)
{
	struct link *link;
	int d = rule == &rules[UP] ? UP : DOWN;

	if (strcmp(verb, "delay") == 0) {
		rule->delay_ms = number;
	} else if (strcmp(verb, "rate") == 0) {
		rule->rate = number;
		rule->credit = 0;
	} else if (strcmp(verb, "hold") == 0) {
		rule->held = true;
	} else if (strcmp(verb, "free") == 0) {
		rule->held = false;
	} else if (strcmp(verb, "flip") == 0) {
		rule->flip_after = number;
	} else if (strcmp(verb, "cut_after") == 0) {
		rule->cut_after = number ? number : NEVER;
		DL_FOREACH (links, link)
			link->sides[d].cut_in = rule->cut_after;
	} else {
		return false;
	}
	return true;
}

static bool obey(char *line)
{
	char verb[16] = "", word[16] = "";
	uint64_t number = 0;
	struct link *link, *next;
	bool both, good = true;

	if (sscanf(line, "%15s %15s %" SCNu64, verb, word, &number) < 1)
		return false;
	if (strcmp(verb, "count") == 0) {
		unsigned int n = 0;

		DL_FOREACH (links, link)
			n++;
		printf("ok connections=%u made=%" PRIu64 " up=%" PRIu64 " down=%" PRIu64 "\n", n,
		       n_made, rules[UP].passed, rules[DOWN].passed);
		return true;
	}
	if (strcmp(verb, "cut") == 0) {
		DL_FOREACH_SAFE (links, link, next)
			close_link(link, true);
	} else if (strcmp(verb, "refuse") == 0) {
		refusing = strcmp(word, "on") == 0;
	} else {
		both = strcmp(word, "both") == 0;
		good = both || strcmp(word, "up") == 0 || strcmp(word, "down") == 0;
		if (good && (both || word[0] == 'u'))
			good = set_rule(&rules[UP], verb, number);
		if (good && (both || word[0] == 'd'))
			good = set_rule(&rules[DOWN], verb, number);
	}
	if (good)
		puts("ok");
	return good;
}

static void on_orders(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	static char line[LINE_BYTES_MAX];
	static size_t n;

	if (len < 0) {
		uv_stop(&loop);
		return;
	}
	for (ssize_t i = 0; i < len; i++) {
		if (buf->base[i] != '\n') {
			if (n < sizeof(line) - 1)
				line[n++] = buf->base[i];
			continue;
		}
		line[n] = 0;
		n = 0;
		if (!obey(line))
			printf("error %s\n", line);
		fflush(stdout);
	}
}

static int address_of(const char *host, const char *port, struct sockaddr_storage *address)
{
	return strchr(host, ':') ? uv_ip6_addr(host, atoi(port), (struct sockaddr_in6 *)address)
				 : uv_ip4_addr(host, atoi(port), (struct sockaddr_in *)address);
}

int main(int argc, char **argv)
{
	struct sockaddr_storage here;
	int status;

	if (argc != 5 || address_of(argv[1], argv[2], &here) < 0 ||
	    address_of(argv[3], argv[4], &target) < 0) {
		fputs("usage: ktproxy LISTEN_ADDRESS PORT TARGET_ADDRESS PORT\n", stderr);
		return 2;
	}
	uv_loop_init(&loop);
	uv_tcp_init(&loop, &listener);
	status = uv_tcp_bind(&listener, (struct sockaddr *)&here, 0);
	if (status == 0)
		status = uv_listen((uv_stream_t *)&listener, 1024, on_connection);
	if (status < 0) {
		fprintf(stderr, "ktproxy: listening on %s %s: %s\n", argv[1], argv[2],
			uv_strerror(status));
		return 1;
	}
	uv_timer_init(&loop, &ticker);
	uv_timer_start(&ticker, on_tick, TICK_MS, TICK_MS);
	uv_pipe_init(&loop, &orders, 0);
	uv_pipe_open(&orders, 0);
	uv_read_start((uv_stream_t *)&orders, on_alloc, on_orders);
	puts("ok listening");
	fflush(stdout);
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}
