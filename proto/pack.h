/* pack.h - msgpack-c's packer writing into a kt_buf, and its parser behind the wire check.
 * Private to proto/ (codec.c, value.c).
 */
#ifndef KT_PACK_H
#define KT_PACK_H

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/value.h"
#include "proto/wire.h"

#include <msgpack.h>

void kt_pack_init(msgpack_packer *packer, struct kt_buf *out);
void kt_pack_value(msgpack_packer *packer, const struct kt_value *value);

/* Checks, then parses; the object borrows from bytes and from the zone. */
int kt_pack_parse(const void *bytes, size_t len, msgpack_zone *zone, msgpack_object *object,
		  struct kt_err *err);
/* An empty text may have no pointer at all. */
bool kt_pack_has_zero(const msgpack_object_str *str);
int kt_pack_to_value(const msgpack_object *object, struct kt_arena *arena, struct kt_value *value,
		     struct kt_err *err);

#endif
