/* layer: proto */
/* Whatever the wire check accepts, msgpack-c parses whole: one value, no byte left, and within memory
 * that is a small multiple of the input.
 */
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/wire.h"

#include <msgpack.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	msgpack_zone zone;
	msgpack_object object;
	size_t at = 0;

	if (kt_wire_check(data, len, &kt_wire_limits_default, NULL) < 0)
		return 0;
	msgpack_zone_init(&zone, 2048);
	kt_must(msgpack_unpack((const char *)data, len, &at, &zone, &object) ==
		MSGPACK_UNPACK_SUCCESS);
	kt_must(at == len);
	msgpack_zone_destroy(&zone);
	return 0;
}
