#include "worker/framelink.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LENGTH_BYTES   4
#define READ_BYTES_MAX (64u << 10)

void kt_framelink_init(struct kt_framelink *link, const struct kt_family *family, int fd,
		       size_t out_bytes_max)
{
	memset(link, 0, sizeof(*link));
	link->family = family;
	link->fd = fd;
	link->in.max = family->frame_bytes_max + LENGTH_BYTES + READ_BYTES_MAX;
	link->out_bytes_max = out_bytes_max;
	if (fd >= 0)
		kt_must(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

void kt_framelink_destroy(struct kt_framelink *link)
{
	kt_own_close(&link->fd);
	kt_buf_destroy(&link->in);
	kt_buf_destroy(&link->out);
}

static int no_room(struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_PEER, ENOBUFS, "more than one frame waits to be taken");
}

int kt_framelink_feed(struct kt_framelink *link, const void *bytes, size_t len, struct kt_err *err)
{
	uint8_t *room = kt_buf_reserve(&link->in, len);

	if (!room)
		return no_room(err);
	kt_buf_append(&link->in, bytes, len);
	link->bytes_in += len;
	return 0;
}

int kt_framelink_fill(struct kt_framelink *link, struct kt_err *err)
{
	size_t room = link->in.max - link->in.len;
	uint8_t *at;
	ssize_t n;

	room = room < READ_BYTES_MAX ? room : READ_BYTES_MAX;
	if (room == 0)
		return no_room(err);
	at = kt_buf_reserve(&link->in, room);
	kt_must(at != NULL);
	n = read(link->fd, at, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* QEMU that is killed with bytes unread resets the socket: an end like any other. */
	if (n < 0 && errno != ECONNRESET)
		return kt_err_sys(err, KT_FAULT_PEER, errno, "reading the %s channel",
				  link->family->name);
	if (n <= 0) {
		link->eof = true;
		return 0;
	}
	link->in.len += (size_t)n;
	link->bytes_in += (size_t)n;
	return 0;
}

static uint32_t get_le32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static void put_le32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < LENGTH_BYTES; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

bool kt_framelink_has_frame(const struct kt_framelink *link)
{
	uint32_t len;

	if (link->in.len < LENGTH_BYTES)
		return false;
	len = get_le32(link->in.data);
	return len > link->family->frame_bytes_max || link->in.len >= LENGTH_BYTES + (size_t)len;
}

int kt_framelink_next(struct kt_framelink *link, struct kt_arena *arena,
		      const struct kt_message **message, void **into, struct kt_err *err)
{
	uint32_t len;
	int rc;

	if (link->in.len < LENGTH_BYTES)
		return 0;
	len = get_le32(link->in.data);
	if (len == 0 || len > link->family->frame_bytes_max)
		return kt_err_set(
			err, KT_FAULT_PEER, EPROTO,
			"the %s channel announced a frame of %u bytes, 1 to %zu are allowed",
			link->family->name, len, link->family->frame_bytes_max);
	if (link->in.len < LENGTH_BYTES + (size_t)len)
		return 0;
	rc = kt_codec_decode_frame(link->family, link->in.data + LENGTH_BYTES, len, arena, message,
				   into, err);
	if (rc < 0)
		return kt_err_wrap(err, "frame %llu of the %s channel",
				   (unsigned long long)link->frames_in, link->family->name);
	kt_buf_consume(&link->in, LENGTH_BYTES + (size_t)len);
	link->frames_in++;
	return 1;
}

bool kt_framelink_push(struct kt_framelink *link, uint32_t tag, const void *from)
{
	static const uint8_t no_length[LENGTH_BYTES];
	size_t before = link->out.len;
	size_t len;

	kt_buf_append(&link->out, no_length, sizeof(no_length));
	kt_codec_encode_frame(link->family, tag, from, &link->out);
	kt_must(!link->out.full);
	len = link->out.len - before - LENGTH_BYTES;
	kt_must(len <= link->family->frame_bytes_max);
	if (before > 0 && link->out.len > link->out_bytes_max) {
		link->out.len = before;
		return false;
	}
	put_le32(link->out.data + before, (uint32_t)len);
	return true;
}

int kt_framelink_flush(struct kt_framelink *link, struct kt_err *err)
{
	ssize_t n;

	if (link->out.len == 0 || link->fd < 0)
		return 0;
	n = send(link->fd, link->out.data, link->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return kt_err_sys(err, KT_FAULT_PEER, errno, "writing to the %s channel",
				  link->family->name);
	kt_buf_consume(&link->out, (size_t)n);
	return 0;
}
