#include "proto/pack.h"
#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

static int write_to_buf(void *out, const char *bytes, size_t len)
{
	kt_buf_append(out, bytes, len);
	return 0;
}

void kt_pack_init(msgpack_packer *packer, struct kt_buf *out)
{
	msgpack_packer_init(packer, out, write_to_buf);
}

bool kt_pack_has_zero(const msgpack_object_str *str)
{
	return str->size && memchr(str->ptr, 0, str->size);
}

int kt_pack_parse(const void *bytes, size_t len, msgpack_zone *zone, msgpack_object *object,
		  struct kt_err *err)
{
	size_t at = 0;
	int status = kt_wire_check(bytes, len, &kt_wire_limits_default, err);

	if (status < 0)
		return status;
	/* The check above promises that this takes all bytes; if not, one of the two is wrong. */
	status = msgpack_unpack(bytes, len, &at, zone, object);
	kt_must(status == MSGPACK_UNPACK_SUCCESS);
	kt_must(at == len);
	return 0;
}
