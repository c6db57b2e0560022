#include "worker/guest/gstats.h"

#include "proto/base/must.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_BYTES 8192
#define RETRY_NS    (10 * KT_NS_PER_MS) /* when the socket's queue is full */

void kt_gstats_init(struct kt_gstats *stats, const char *path)
{
	*stats = (struct kt_gstats){ .path = path,
				     .fd = -1,
				     .in = KT_BUF_MAX(KT_STATS_BYTES_MAX + PIECE_BYTES) };
}

void kt_gstats_expect(struct kt_gstats *stats, int64_t now_ns)
{
	stats->expected_ns = now_ns + KT_GSTATS_EXPECT_NS;
}

static void disconnect(struct kt_gstats *stats)
{
	kt_own_close(&stats->fd);
	kt_buf_reset(&stats->in);
	stats->is_sent = false;
	stats->sent = 0;
}

/* The first request is over. */
static void finish(struct kt_gstats *stats, const struct kt_msg_guest_stats_answer *answer,
		   kt_gstats_sink *sink, void *arg)
{
	struct kt_msg_guest_stats_answer full = *answer;

	kt_must(stats->n_queue > 0);
	full.id = stats->queue[0].id;
	if (!full.error)
		full.error = "";
	if (!full.text)
		full.text = "";
	sink(arg, &full);
	kt_buf_destroy(&stats->queue[0].line);
	stats->n_queue--;
	memmove(&stats->queue[0], &stats->queue[1], stats->n_queue * sizeof(stats->queue[0]));
	memset(&stats->queue[stats->n_queue], 0, sizeof(stats->queue[0]));
	stats->is_sent = false;
	stats->sent = 0;
}

/* With the connection: after a failure nobody knows what still comes through it. */
static void fail(struct kt_gstats *stats, const char *error, const char *text, kt_gstats_sink *sink,
		 void *arg)
{
	disconnect(stats);
	finish(stats, &(struct kt_msg_guest_stats_answer){ .error = error, .text = text }, sink,
	       arg);
}

void kt_gstats_ask(struct kt_gstats *stats, const struct kt_msg_guest_stats *request,
		   int64_t now_ns, kt_gstats_sink *sink, void *arg)
{
	struct kt_gstats_request *slot = &stats->queue[stats->n_queue];

	if (stats->n_queue == KT_GSTATS_QUEUE_MAX) {
		sink(arg, &(struct kt_msg_guest_stats_answer){
				  .id = request->id,
				  .error = "deadline",
				  .text = "too many requests wait for an answer already" });
		return;
	}
	slot->id = request->id;
	slot->deadline_ns = now_ns + request->deadline_ns;
	kt_buf_append(&slot->line, request->body.data, request->body.len);
	kt_buf_puts(&slot->line, "\n");
	stats->n_queue++;
	kt_gstats_step(stats, now_ns, sink, arg);
}

/* 0, -EAGAIN to try again, or another -errno. */
static int connect_now(struct kt_gstats *stats)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	kt_must(strlen(stats->path) < sizeof(address.sun_path));
	strcpy(address.sun_path, stats->path);
	stats->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stats->fd < 0)
		return -errno;
	if (connect(stats->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int status = -errno;

		disconnect(stats);
		return status;
	}
	return 0;
}

/* 0 when nothing more can be sent now, -errno. */
static int send_now(struct kt_gstats *stats)
{
	const struct kt_buf *line = &stats->queue[0].line;
	ssize_t n;

	while (stats->sent < line->len) {
		n = send(stats->fd, line->data + stats->sent, line->len - stats->sent,
			 MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		stats->sent += (size_t)n;
	}
	stats->is_sent = true;
	return 0;
}

/* 1 when something came, 0 when nothing is there, -EPIPE at the end, -EMSGSIZE. */
static int read_now(struct kt_gstats *stats)
{
	char piece[PIECE_BYTES];
	ssize_t n = recv(stats->fd, piece, sizeof(piece), MSG_DONTWAIT);

	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	kt_buf_append(&stats->in, piece, (size_t)n);
	if (memchr(stats->in.data, '\n', stats->in.len))
		return 1;
	return stats->in.len > KT_STATS_BYTES_MAX ? -EMSGSIZE : 1;
}

/* Bytes that nobody asked for, or the end of the connection: it is of no use any more. */
static void look_while_idle(struct kt_gstats *stats)
{
	if (stats->fd >= 0 && !stats->is_sent && !stats->sent && read_now(stats) != 0)
		disconnect(stats);
}

/* True when the first request is over. */
static bool step_first(struct kt_gstats *stats, int64_t now_ns, kt_gstats_sink *sink, void *arg)
{
	struct kt_gstats_request *first = &stats->queue[0];
	uint8_t *newline;
	char text[256];
	int status = 0;

	if (now_ns >= first->deadline_ns) {
		fail(stats, "deadline", "the scheduler did not answer in time", sink, arg);
		return true;
	}
	if (stats->fd < 0)
		status = connect_now(stats);
	if (status == -EAGAIN ||
	    ((status == -ENOENT || status == -ECONNREFUSED) && now_ns < stats->expected_ns))
		return false;
	if (status < 0) {
		snprintf(text, sizeof(text), "%s: %s", stats->path, strerror(-status));
		fail(stats, "no_socket", text, sink, arg);
		return true;
	}
	if (!stats->is_sent && send_now(stats) < 0) {
		fail(stats, "closed", "the scheduler closed the connection", sink, arg);
		return true;
	}
	do {
		newline = stats->in.len ? memchr(stats->in.data, '\n', stats->in.len) : NULL;
	} while (!newline && (status = read_now(stats)) > 0);
	if (newline && newline > stats->in.data + KT_STATS_BYTES_MAX)
		status = -EMSGSIZE;
	else if (newline) {
		struct kt_msg_guest_stats_answer answer = {
			.body = { stats->in.data, (size_t)(newline - stats->in.data) }
		};
		bool has_more = newline + 1 < stats->in.data + stats->in.len;

		finish(stats, &answer, sink, arg);
		kt_buf_reset(&stats->in);
		if (has_more) /* an answer that belongs to nothing */
			disconnect(stats);
		return true;
	}
	if (status == -EMSGSIZE)
		fail(stats, "too_large", "the answer is longer than 256 KiB", sink, arg);
	else if (status < 0)
		fail(stats, "closed", "the scheduler closed the connection", sink, arg);
	return status < 0;
}

void kt_gstats_step(struct kt_gstats *stats, int64_t now_ns, kt_gstats_sink *sink, void *arg)
{
	do {
		look_while_idle(stats);
	} while (stats->n_queue && step_first(stats, now_ns, sink, arg));
}

struct pollfd kt_gstats_fd(const struct kt_gstats *stats)
{
	return (struct pollfd){
		.fd = stats->fd,
		.events = POLLIN | (stats->n_queue && !stats->is_sent ? POLLOUT : 0),
	};
}

int64_t kt_gstats_due_ns(const struct kt_gstats *stats, int64_t now_ns)
{
	if (!stats->n_queue)
		return INT64_MAX;
	if (stats->fd < 0)
		return now_ns + RETRY_NS;
	return stats->queue[0].deadline_ns;
}

void kt_gstats_close(struct kt_gstats *stats, const char *error, const char *text,
		     kt_gstats_sink *sink, void *arg)
{
	while (stats->n_queue)
		fail(stats, error, text, sink, arg);
	disconnect(stats);
}
