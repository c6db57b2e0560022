/* codec.h - one schema, one loop: messages are structs described by tables.
 *
 * The .def files (job.def, messages.def, runner.def, guest.def, facts.def) name every struct that
 * ever leaves a process or reaches a disk: its fields with key, type, limit, need and one sentence
 * with the unit. From them come the C structs (`struct kt_msg_<name>`, proto/schema.h), these
 * descriptors (`kt_schema_<name>`), the docs, the fuzz dictionary and the schema digest.
 *
 * On the wire a struct is a msgpack map with small integer keys, in ascending order; a frame is an
 * array [tag, struct]. Absent MAY fields read as zero. Unknown keys are skipped; duplicate keys,
 * missing MUST keys, numbers out of range, over-long strings, strings with a 0 byte are refused.
 * encode() is deterministic: the same struct gives the same bytes, so decode(encode(x)) == x and
 * encode(decode(b)) == b for every frame of our own.
 */
#ifndef KT_CODEC_H
#define KT_CODEC_H

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kt_field_type {
	KT_FIELD_BOOL, /* bool */
	KT_FIELD_U64, /* uint64_t, min..max */
	KT_FIELD_I64, /* int64_t, min..max are its bounds cast to uint64_t */
	KT_FIELD_F64, /* double; NaN and infinities travel */
	KT_FIELD_STR, /* const char *, UTF-8 not required, no 0 byte, at most max bytes; never NULL */
	KT_FIELD_BIN, /* struct kt_bin, min..max bytes; one that MAY be absent is absent or that long */
	KT_FIELD_VALUE, /* struct kt_value (value.h) */
	KT_FIELD_ONE, /* struct kt_msg_<of> *, NULL when absent */
	KT_FIELD_LIST, /* struct kt_msg_<of> *x and size_t n_x, at most max items */
};

struct kt_bin {
	const uint8_t *data;
	size_t len;
};

struct kt_field {
	uint32_t key; /* small, never reused */
	const char *name;
	enum kt_field_type type;
	bool must;
	size_t offset; /* of the member */
	size_t count_offset; /* of n_<member>; lists only */
	uint64_t min;
	uint64_t max;
	const struct kt_schema *of; /* ONE and LIST */
	const char *sentence;
};

struct kt_schema {
	const char *name;
	size_t size; /* sizeof the struct */
	const struct kt_field *fields; /* ascending keys */
	size_t n_fields;
	const char *sentence;
};

struct kt_message {
	uint32_t tag;
	const char *direction; /* "to coordinator", "to worker", ... */
	const struct kt_schema *schema;
};

/* Messages that share one channel and one space of tags. */
struct kt_family {
	const char *name;
	const struct kt_message *messages; /* ascending tags */
	size_t n_messages;
	size_t frame_bytes_max;
};

/* Struct alone, as in a journal or inside a BIN field. `from` points to the struct described by
 * schema. Never fails for structs within their limits: beyond them it is a kt_must (our own bug).
 */
void kt_codec_encode(const struct kt_schema *schema, const void *from, struct kt_buf *out);

/* Checks the bytes (wire.h), then fills `into` (schema->size bytes, zeroed here); strings, bins,
 * lists and values are copied into the arena. -EPROTO with fault PEER and a sentence that names
 * struct and field. Never allocates more than a small multiple of len.
 */
int kt_codec_decode(const struct kt_schema *schema, const void *bytes, size_t len,
		    struct kt_arena *arena, void *into, struct kt_err *err);

/* A whole frame [tag, struct]: its size, and the frame. Structs within their limits may all the same
 * be larger together than family->frame_bytes_max; encoding such a one is a kt_must.
 */
size_t kt_codec_frame_bytes(const struct kt_family *family, uint32_t tag, const void *from);
void kt_codec_encode_frame(const struct kt_family *family, uint32_t tag, const void *from,
			   struct kt_buf *out);
/* The same; false when it is too large, and then out holds a part of it. */
bool kt_codec_try_frame(const struct kt_family *family, uint32_t tag, const void *from,
			struct kt_buf *out);
/* *message and *into (arena) are set on success. */
int kt_codec_decode_frame(const struct kt_family *family, const void *bytes, size_t len,
			  struct kt_arena *arena, const struct kt_message **message, void **into,
			  struct kt_err *err);

const struct kt_message *kt_codec_message(const struct kt_family *family, uint32_t tag);

/* The canonical text of a family's schema (one line per field): what the schema digest is made of,
 * and what docs and the fuzz dictionary are printed from.
 */
void kt_codec_describe(const struct kt_family *family, struct kt_buf *out);

#endif
