#include "worker/guest/gframe.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

int kt_gframe_next(const struct kt_buf *in, const uint8_t **body, size_t *len, struct kt_err *err)
{
	uint32_t wire;
	uint32_t bytes;

	if (in->len < KT_GFRAME_HEAD_BYTES)
		return 0;
	memcpy(&wire, in->data, sizeof(wire));
	bytes = le32toh(wire);
	if (bytes == 0 || bytes > KT_GUEST_FRAME_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_PEER, EPROTO, "a frame of %u bytes", bytes);
	if (in->len - KT_GFRAME_HEAD_BYTES < bytes)
		return 0;
	*body = in->data + KT_GFRAME_HEAD_BYTES;
	*len = bytes;
	return 1;
}

void kt_gframe_drop(struct kt_buf *in, size_t len)
{
	kt_buf_consume(in, KT_GFRAME_HEAD_BYTES + len);
}

size_t kt_gframe_begin(struct kt_buf *out)
{
	static const uint8_t room[KT_GFRAME_HEAD_BYTES];

	kt_buf_append(out, room, sizeof(room));
	return out->len;
}

void kt_gframe_end(struct kt_buf *out, size_t begun)
{
	uint32_t wire;

	kt_must(begun >= KT_GFRAME_HEAD_BYTES);
	kt_must(out->len > begun);
	kt_must(out->len - begun <= KT_GUEST_FRAME_BYTES_MAX);
	wire = htole32((uint32_t)(out->len - begun));
	memcpy(out->data + begun - KT_GFRAME_HEAD_BYTES, &wire, sizeof(wire));
}
