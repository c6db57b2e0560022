#include "worker/guest/gchannel.h"
#include "worker/guest/gframe.h"
#include "worker/guest/gtime.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"

#define PATH_BYTES (sizeof("/dev/") + 256)
#define READ_BYTES 65536

static int find_port(const char *port, char path[PATH_BYTES])
{
	DIR *folder = opendir(PORTS);
	struct dirent *entry;
	char file[sizeof(PORTS) + sizeof(entry->d_name) + 8];
	char name[64];
	int status = -ENOENT;

	if (!folder)
		return -ENOENT;
	while (status < 0 && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), PORTS "/%s/name", entry->d_name);
		if (kt_sysfile_read(file, name, sizeof(name)) < 0 || strcmp(name, port) != 0)
			continue;
		snprintf(path, PATH_BYTES, "/dev/%s", entry->d_name);
		status = 0;
	}
	closedir(folder);
	return status;
}

void kt_gchannel_init(struct kt_gchannel *channel, int fd)
{
	*channel = (struct kt_gchannel){
		.fd = fd,
		.log_budget = KT_GCHANNEL_LOG_BURST,
		.in = KT_BUF_MAX(2 * (KT_GUEST_FRAME_BYTES_MAX + KT_GFRAME_HEAD_BYTES)),
		.out = KT_BUF_MAX(KT_GCHANNEL_OUT_MAX),
		.arena = { .max = 8 * KT_GUEST_FRAME_BYTES_MAX },
	};
}

int kt_gchannel_open(struct kt_gchannel *channel, const char *port, struct kt_err *err)
{
	char path[PATH_BYTES];
	int status = find_port(port, path);
	int fd;

	if (status < 0)
		return kt_err_set(err, KT_FAULT_HOST, ENOENT, "no virtio-serial port named %s",
				  port);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	kt_gchannel_init(channel, fd);
	return 0;
}

bool kt_gchannel_look(struct kt_gchannel *channel)
{
	struct pollfd fd = { .fd = channel->fd };
	bool was_connected = channel->is_connected;

	poll(&fd, 1, 0);
	channel->is_connected = !(fd.revents & POLLHUP);
	if (was_connected && !channel->is_connected)
		channel->was_lost = true;
	if (was_connected || !channel->is_connected)
		return false;
	kt_buf_reset(&channel->in);
	kt_buf_reset(&channel->out);
	channel->in_drop = 0;
	return true;
}

struct pollfd kt_gchannel_fd(const struct kt_gchannel *channel)
{
	return (struct pollfd){
		.fd = channel->is_connected ? channel->fd : -1,
		.events = POLLIN | (channel->out.len ? POLLOUT : 0),
	};
}

void kt_gchannel_fill(struct kt_gchannel *channel)
{
	const uint8_t *body;
	size_t len;

	/* One frame at a time: what is read beyond it has to be moved when it is dropped. */
	while (channel->is_connected && kt_gframe_next(&channel->in, &body, &len, NULL) == 0) {
		uint8_t *room = kt_buf_reserve(&channel->in, READ_BYTES);
		ssize_t n = read(channel->fd, room, READ_BYTES);

		if (n <= 0)
			break;
		channel->in.len += (size_t)n;
	}
}

int kt_gchannel_next(struct kt_gchannel *channel, const struct kt_message **message, void **into,
		     struct kt_err *err)
{
	const uint8_t *body;
	size_t len;
	int status;

	if (channel->in_drop)
		kt_gframe_drop(&channel->in, channel->in_drop);
	channel->in_drop = 0;
	kt_arena_reset(&channel->arena);
	status = kt_gframe_next(&channel->in, &body, &len, err);
	if (status <= 0)
		return status;
	channel->in_drop = len;
	status = kt_codec_decode_frame(&kt_schema_guest, body, len, &channel->arena, message, into,
				       err);
	return status < 0 ? status : 1;
}

void kt_gchannel_send(struct kt_gchannel *channel, uint32_t tag, const void *message)
{
	KT_AUTO_BUF frame = { 0 };
	size_t begun = kt_gframe_begin(&frame);

	kt_codec_encode_frame(&kt_schema_guest, tag, message, &frame);
	kt_gframe_end(&frame, begun);
	kt_buf_append(&channel->out, frame.data, frame.len);
}

int kt_gchannel_flush(struct kt_gchannel *channel, struct kt_err *err)
{
	while (channel->out.len) {
		ssize_t n = write(channel->fd, channel->out.data, channel->out.len);

		if (n <= 0)
			break;
		kt_buf_consume(&channel->out, (size_t)n);
	}
	if (channel->out.full)
		return kt_err_set(err, KT_FAULT_HOST, EPIPE,
				  "the host does not read: %u bytes wait", KT_GCHANNEL_OUT_MAX);
	return 0;
}

static void refill(struct kt_gchannel *channel)
{
	int64_t now_ns = kt_gtime_now_ns();
	int64_t span_ms = (now_ns - channel->log_budget_ns) / KT_NS_PER_MS;
	int64_t full = KT_GCHANNEL_LOG_BURST;

	if (span_ms < 1)
		return;
	channel->log_budget_ns = now_ns;
	/* from empty to full in 4 s; a longer span may be hours */
	channel->log_budget += span_ms > 10000 ? full : span_ms * KT_GCHANNEL_LOG_RATE / 1000;
	if (channel->log_budget > full)
		channel->log_budget = full;
}

void kt_gchannel_log(struct kt_gchannel *channel, const char *stream, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	char note[64];

	refill(channel);
	if (channel->log_budget < (int64_t)len) {
		channel->log_bytes_dropped += len;
		return;
	}
	channel->log_budget -= (int64_t)len;
	if (channel->log_bytes_dropped) {
		int n = snprintf(note, sizeof(note), "[ktguest: %" PRIu64 " bytes dropped here]\n",
				 channel->log_bytes_dropped);

		channel->log_bytes_dropped = 0;
		kt_gchannel_send(
			channel, KT_TAG_guest_log,
			&(struct kt_msg_guest_log){ .stream = stream,
						    .body = { (const uint8_t *)note, (size_t)n } });
	}
	while (len) {
		size_t piece = len < KT_LOG_PIECE_BYTES_MAX ? len : KT_LOG_PIECE_BYTES_MAX;

		kt_gchannel_send(channel, KT_TAG_guest_log,
				 &(struct kt_msg_guest_log){ .stream = stream,
							     .body = { at, piece } });
		at += piece;
		len -= piece;
	}
}
