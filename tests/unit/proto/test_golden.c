#include "tests/unit/proto/fill.h"
#include "tests/unit/proto/kept.h"
#include "tests/unit/proto/tables.h"

#include <inttypes.h>

static const struct {
	const char *name;
	enum fill how;
} hows[] = { { "minimal", FILL_MINIMAL }, { "full", FILL_FULL } };

static void print_hex(const struct kt_buf *bytes, struct kt_buf *out)
{
	for (size_t i = 0; i < bytes->len; i++)
		kt_buf_printf(out, "%02x%s", bytes->data[i],
			      i % 32 == 31 || i + 1 == bytes->len ? "\n" : "");
}

static void decoded_again(const struct kt_family *family, const struct kt_buf *frame)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF again = { 0 };
	const struct kt_message *message = NULL;
	struct kt_err err = { 0 };
	void *body = NULL;

	cr_assert(kt_codec_decode_frame(family, frame->data, frame->len, &arena, &message, &body,
					&err) == 0,
		  "%s", err.text);
	cr_assert(kt_codec_frame_bytes(family, message->tag, body) == frame->len);
	kt_codec_encode_frame(family, message->tag, body, &again);
	cr_assert(again.len == frame->len);
	cr_assert(memcmp(again.data, frame->data, frame->len) == 0, "%s", message->schema->name);
}

Test(golden, no_message_changes_on_the_wire_silently)
{
	for (size_t f = 0; f < FILL_N_FAMILIES; f++) {
		const struct kt_family *family = fill_families[f];

		for (size_t i = 0; i < family->n_messages; i++) {
			const struct kt_message *message = &family->messages[i];

			for (size_t h = 0; h < sizeof(hows) / sizeof(hows[0]); h++) {
				KT_AUTO_BUF frame = { 0 };
				KT_AUTO_BUF hex = { 0 };
				KT_AUTO_BUF input = { 0 };
				uint8_t which = (uint8_t)f;
				char name[256];

				fill_frame(family, message, hows[h].how, &frame);
				decoded_again(family, &frame);
				print_hex(&frame, &hex);
				snprintf(name, sizeof(name), "tests/golden/%s.%s.%s.hex",
					 family->name, message->schema->name, hows[h].name);
				kept_check(
					name, &hex,
					"Old and new programs would misread one another: keys are "
					"never reused, MUST is never added to a message in use.");
				/* The same frames are where the fuzzer starts from. */
				kt_buf_append(&input, &which, 1);
				kt_buf_append(&input, frame.data, frame.len);
				snprintf(name, sizeof(name), "tests/fuzz/corpus/frame/%s.%s.%s",
					 family->name, message->schema->name, hows[h].name);
				kept_check(name, &input,
					   "The fuzzer would start from stale frames.");
			}
		}
	}
}

/* ---- docs/wire.md ---- */

#define STRUCTS_MAX 256

struct seen {
	const struct kt_schema *schemas[STRUCTS_MAX];
	size_t n;
};

static void see(struct seen *seen, const struct kt_schema *schema)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->schemas[i] == schema)
			return;
	cr_assert(seen->n < STRUCTS_MAX);
	seen->schemas[seen->n++] = schema;
	for (size_t i = 0; i < schema->n_fields; i++)
		if (schema->fields[i].of)
			see(seen, schema->fields[i].of);
}

static void print_wire(struct kt_buf *out)
{
	struct seen seen = { .n = 0 };

	kt_buf_puts(
		out,
		"# What goes over the wire\n\n"
		"Made from `proto/*.def` by `tests/unit/proto/test_golden.c` (`KT_KEEP=1` writes "
		"it anew); do not edit.\n\n"
		"A frame is the msgpack array `[tag, struct]`, a struct a msgpack map with the "
		"keys "
		"below, ascending. Fields that MAY be absent are absent when zero or empty. "
		"Unknown "
		"keys are skipped; duplicate keys, missing MUST keys, numbers out of range, "
		"over-long "
		"texts and texts with a 0 byte are refused, and so is everything that "
		"`proto/wire.c` refuses before. `_ns` fields are nanoseconds. Tags and keys are "
		"never reused. One golden frame per message lies in `tests/golden/`.\n");
	for (size_t f = 0; f < FILL_N_FAMILIES; f++) {
		const struct kt_family *family = fill_families[f];

		kt_buf_printf(out,
			      "\n## Family %s\n\nFrames of at most %zu bytes.\n\n"
			      "| tag | message | direction | meaning |\n|---|---|---|---|\n",
			      family->name, family->frame_bytes_max);
		for (size_t i = 0; i < family->n_messages; i++) {
			const struct kt_message *message = &family->messages[i];

			kt_buf_printf(out, "| %" PRIu32 " | [%s](#%s) | %s | %s |\n", message->tag,
				      message->schema->name, message->schema->name,
				      message->direction, message->schema->sentence);
			see(&seen, message->schema);
		}
	}
	kt_buf_puts(out, "\n## Structs\n");
	for (size_t i = 0; i < seen.n; i++)
		tables_print(seen.schemas[i], out);
}

Test(golden, the_documentation_of_the_wire_is_current)
{
	KT_AUTO_BUF text = { 0 };

	print_wire(&text);
	kept_check("docs/wire.md", &text, "Whoever reads it would be misled.");
}

/* ---- the fuzzer's dictionary ---- */

/* From kt_codec_describe()'s lines: `<family> <tag> <struct> <direction>` starts a frame,
 * `<struct>.<field> key=<k> type=<t>` gives a key with the first byte of its value.
 */
static const char *lead_of(const char *type)
{
	static const struct {
		const char *type;
		const char *lead;
	} leads[] = {
		{ "bool", "\\xc3" },
		{ "u64", "\\xcf\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff" },
		{ "i64", "\\xd3\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x00" },
		{ "f64", "\\xcb" },
		{ "str", "\\xa1x" },
		{ "bin", "\\xc4\\x20" },
		{ "value", "\\x81\\xa1k" },
		{ "one", "\\x81" },
		{ "list", "\\x91\\x81" },
	};

	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++)
		if (strcmp(leads[i].type, type) == 0)
			return leads[i].lead;
	cr_assert_fail("type %s is not known here", type);
	return "";
}

Test(golden, the_fuzzers_dictionary_is_current)
{
	KT_AUTO_BUF dict = { 0 };

	for (size_t f = 0; f < FILL_N_FAMILIES; f++) {
		KT_AUTO_BUF described = { 0 };
		char *save = NULL;

		kt_codec_describe(fill_families[f], &described);
		for (char *line = strtok_r((char *)described.data, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			char entry[256];
			char name[128];
			char type[32];
			unsigned int key;

			if (sscanf(line, "%*s key=%u type=%31s", &key, type) == 2)
				snprintf(entry, sizeof(entry), "\"\\x%02x%s\"\n", key,
					 lead_of(type));
			else if (sscanf(line, "%*s %u %127s to", &key, name) == 2)
				snprintf(entry, sizeof(entry), "\"\\x%02x\\x92\\x%02x\\x81\"\n",
					 (unsigned int)f, key);
			else
				cr_assert_fail("no line of kt_codec_describe: %s", line);
			if (!strstr(kt_buf_text(&dict), entry))
				kt_buf_puts(&dict, entry);
		}
	}
	kept_check("tests/fuzz/frame.dict", &dict, "The fuzzer would not know the new fields.");
}
