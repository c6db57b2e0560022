#include "proto/wire.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <stdint.h>

const struct kt_wire_limits kt_wire_limits_default = {
	.bytes_max = KT_FRAME_BYTES_MAX,
	.depth_max = KT_WIRE_DEPTH_MAX,
	.nodes_max = KT_WIRE_NODES_MAX,
};

/* The msgpack format, one row per family of first bytes (github msgpack/spec: "Formats").
 * head: bytes of the length or of the number that follow the first byte; what: how they are meant.
 */
enum what { NUMBER, BYTES, ARRAY, MAP, NEVER };

static const struct {
	uint8_t first;
	uint8_t last;
	uint8_t head;
	enum what what;
} formats[] = {
	{ 0x00, 0x7f, 0, NUMBER }, /* positive fixint */
	{ 0x80, 0x8f, 0, MAP }, /* fixmap, length in the low 4 bits */
	{ 0x90, 0x9f, 0, ARRAY }, /* fixarray, length in the low 4 bits */
	{ 0xa0, 0xbf, 0, BYTES }, /* fixstr, length in the low 5 bits */
	{ 0xc0, 0xc0, 0, NUMBER }, /* nil */
	{ 0xc1, 0xc1, 0, NEVER },  { 0xc2, 0xc3, 0, NUMBER }, /* false, true */
	{ 0xc4, 0xc4, 1, BYTES }, /* bin 8, 16, 32 */
	{ 0xc5, 0xc5, 2, BYTES },  { 0xc6, 0xc6, 4, BYTES },
	{ 0xc7, 0xc9, 0, NEVER }, /* ext: nothing of ours uses it */
	{ 0xca, 0xca, 4, NUMBER }, /* float 32, 64 */
	{ 0xcb, 0xcb, 8, NUMBER }, { 0xcc, 0xcc, 1, NUMBER }, /* uint 8 to 64 */
	{ 0xcd, 0xcd, 2, NUMBER }, { 0xce, 0xce, 4, NUMBER },
	{ 0xcf, 0xcf, 8, NUMBER }, { 0xd0, 0xd0, 1, NUMBER }, /* int 8 to 64 */
	{ 0xd1, 0xd1, 2, NUMBER }, { 0xd2, 0xd2, 4, NUMBER },
	{ 0xd3, 0xd3, 8, NUMBER }, { 0xd4, 0xd8, 0, NEVER }, /* fixext */
	{ 0xd9, 0xd9, 1, BYTES }, /* str 8, 16, 32 */
	{ 0xda, 0xda, 2, BYTES },  { 0xdb, 0xdb, 4, BYTES },
	{ 0xdc, 0xdc, 2, ARRAY }, /* array 16, 32 */
	{ 0xdd, 0xdd, 4, ARRAY },  { 0xde, 0xde, 2, MAP }, /* map 16, 32 */
	{ 0xdf, 0xdf, 4, MAP },    { 0xe0, 0xff, 0, NUMBER }, /* negative fixint */
};

static uint8_t format_of(uint8_t byte)
{
	uint8_t row = 0;

	while (byte > formats[row].last)
		row++;
	return row;
}

static uint64_t inline_length(uint8_t byte)
{
	return byte >= 0xa0 ? byte & 0x1f : byte & 0x0f;
}

static uint64_t big_endian(const uint8_t *bytes, size_t n)
{
	uint64_t number = 0;

	for (size_t i = 0; i < n; i++)
		number = number << 8 | bytes[i];
	return number;
}

int kt_wire_check(const void *bytes, size_t len, const struct kt_wire_limits *limits,
		  struct kt_err *err)
{
	uint64_t left[KT_WIRE_DEPTH_MAX + 1] = { 1 }; /* values still due, per open container */
	const uint8_t *data = bytes;
	size_t depth = 0;
	size_t nodes = 0;
	size_t at = 0;

	kt_must(limits->depth_max <= KT_WIRE_DEPTH_MAX);
	if (len > limits->bytes_max)
		return kt_err_set(err, KT_FAULT_PEER, EPROTO, "%zu bytes, at most %zu are taken",
				  len, limits->bytes_max);
	for (;;) {
		uint64_t n;
		uint8_t row;
		uint8_t first;

		while (left[depth] == 0) {
			if (depth == 0) {
				if (at == len)
					return 0;
				return kt_err_set(err, KT_FAULT_PEER, EPROTO,
						  "%zu bytes after the value at offset %zu",
						  len - at, at);
			}
			depth--;
		}
		left[depth]--;
		if (at == len)
			goto cut;
		if (++nodes > limits->nodes_max)
			return kt_err_set(err, KT_FAULT_PEER, EPROTO, "more than %zu values",
					  limits->nodes_max);
		first = data[at];
		row = format_of(first);
		if (formats[row].what == NEVER)
			return kt_err_set(err, KT_FAULT_PEER, EPROTO, "byte 0x%02x at offset %zu",
					  first, at);
		at++;
		if (len - at < formats[row].head)
			goto cut;
		n = formats[row].head ? big_endian(data + at, formats[row].head)
				      : inline_length(first);
		at += formats[row].head;
		if (formats[row].what == NUMBER)
			continue;
		if (formats[row].what == BYTES) {
			if (n > len - at)
				goto cut;
			at += n;
			continue;
		}
		if (formats[row].what == MAP)
			n *= 2;
		/* Every value takes at least one byte: a container that cannot fit is refused
		 * before anything would be allocated for it.
		 */
		if (n > len - at)
			goto cut;
		if (++depth > limits->depth_max)
			return kt_err_set(err, KT_FAULT_PEER, EPROTO,
					  "containers deeper than %zu at offset %zu",
					  limits->depth_max, at);
		left[depth] = n;
	}
cut:
	return kt_err_set(err, KT_FAULT_PEER, EPROTO, "cut short at offset %zu of %zu", at, len);
}
