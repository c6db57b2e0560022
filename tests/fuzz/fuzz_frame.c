/* layer: proto */
/* The first byte chooses the family. A frame that is decoded is encoded and decoded again to the same
 * bytes; everything decoded stays within the arena's limit.
 */
#include "proto/base/must.h"
#include "proto/schema.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct kt_family *const families[] = { &kt_schema_fleet, &kt_schema_runner,
							    &kt_schema_guest };
	KT_AUTO_ARENA arena = { .max = 64u << 20 };
	KT_AUTO_BUF first = { 0 };
	KT_AUTO_BUF again = { 0 };
	const struct kt_family *family;
	const struct kt_message *message = NULL;
	struct kt_err err = { 0 };
	void *body = NULL;

	if (!len)
		return 0;
	family = families[data[0] % 3];
	if (kt_codec_decode_frame(family, data + 1, len - 1, &arena, &message, &body, &err) < 0) {
		kt_must(err.fault == KT_FAULT_PEER);
		kt_must(err.code == 71 /* EPROTO */);
		kt_must(err.text[0]);
		return 0;
	}
	kt_codec_encode_frame(family, message->tag, body, &first);
	kt_must(kt_codec_frame_bytes(family, message->tag, body) == first.len);
	kt_must(kt_codec_decode_frame(family, first.data, first.len, &arena, &message, &body,
				      &err) == 0);
	kt_codec_encode_frame(family, message->tag, body, &again);
	kt_must(again.len == first.len);
	kt_must(memcmp(again.data, first.data, first.len) == 0);
	return 0;
}
