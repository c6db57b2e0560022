#include "worker/guest/gchannel.h"
#include "worker/guest/gframe.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket in place of the port. */
struct wire {
	struct kt_gchannel guest;
	int host;
};

static void connect_both(struct wire *wire)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	wire->host = ends[1];
	kt_gchannel_init(&wire->guest, ends[0]);
	cr_assert(kt_gchannel_look(&wire->guest), "somebody has just connected");
}

static void close_both(struct wire *wire)
{
	kt_buf_destroy(&wire->guest.in);
	kt_buf_destroy(&wire->guest.out);
	kt_arena_destroy(&wire->guest.arena);
	close(wire->guest.fd);
	if (wire->host >= 0)
		close(wire->host);
}

/* As the host does: guest_data with a body of len bytes. */
static void host_sends(struct wire *wire, size_t len)
{
	static uint8_t body[KT_CHUNK_BYTES_MAX];
	struct kt_msg_guest_data data = { .body = { body, len } };
	KT_AUTO_BUF out = { 0 };
	size_t begun = kt_gframe_begin(&out);

	kt_codec_encode_frame(&kt_schema_guest, KT_TAG_guest_data, &data, &out);
	kt_gframe_end(&out, begun);
	cr_assert_eq(write(wire->host, out.data, out.len), (ssize_t)out.len);
}

static bool would_wake(const struct wire *wire)
{
	struct pollfd fd = kt_gchannel_fd(&wire->guest);

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN);
}

static size_t take_all(struct wire *wire)
{
	const struct kt_message *message;
	struct kt_err err = { 0 };
	size_t n = 0;
	void *body;

	while (kt_gchannel_next(&wire->guest, &message, &body, &err) > 0)
		n++;
	cr_assert_eq(err.code, 0, "%s", err.text);
	return n;
}

/* What a flush reads nobody serves before the next sleep, and poll() does not know of it: each such
 * message waited for the next look at the host, 200 ms.
 */
Test(gchannel, what_comes_while_answers_are_written_still_wakes_the_guest)
{
	struct wire wire;

	connect_both(&wire);
	host_sends(&wire, 10);
	kt_gchannel_fill(&wire.guest);
	cr_assert_eq(take_all(&wire), 1);
	host_sends(&wire, 10); /* while the first one was served */
	kt_gchannel_send(&wire.guest, KT_TAG_guest_done,
			 &(struct kt_msg_guest_done){ .what = "file" });
	cr_assert_eq(kt_gchannel_flush(&wire.guest, NULL), 0);
	cr_assert_eq(wire.guest.out.len, 0, "the answer is out");
	cr_assert(would_wake(&wire));
	kt_gchannel_fill(&wire.guest);
	cr_assert_eq(take_all(&wire), 1);
	close_both(&wire);
}

/* A fill ends with a whole frame; what it left is still in the port, or is the beginning of the next one. */
Test(gchannel, many_frames_at_once_are_taken_one_by_one)
{
	struct wire wire;

	connect_both(&wire);
	for (int i = 0; i < 3; i++)
		host_sends(&wire, 60000);
	for (int i = 0; i < 3; i++) {
		cr_assert(would_wake(&wire), "frame %d is in the port", i);
		kt_gchannel_fill(&wire.guest);
		cr_assert_eq(take_all(&wire), 1);
	}
	cr_assert_not(would_wake(&wire));
	close_both(&wire);
}

/* Many small ones come with one read: all are there to be taken. */
Test(gchannel, small_frames_come_together)
{
	struct wire wire;

	connect_both(&wire);
	for (int i = 0; i < 100; i++)
		host_sends(&wire, 10);
	kt_gchannel_fill(&wire.guest);
	cr_assert_eq(take_all(&wire), 100);
	cr_assert_not(would_wake(&wire));
	close_both(&wire);
}

/* The port tells of no host by POLLHUP for ever: polling it then would be a busy loop. */
Test(gchannel, a_host_that_went_is_not_polled)
{
	struct wire wire;

	connect_both(&wire);
	cr_assert_geq(kt_gchannel_fd(&wire.guest).fd, 0);
	close(wire.host);
	wire.host = -1;
	cr_assert_not(kt_gchannel_look(&wire.guest));
	cr_assert(wire.guest.was_lost);
	cr_assert_eq(kt_gchannel_fd(&wire.guest).fd, -1);
	close_both(&wire);
}
