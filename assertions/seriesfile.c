#include "assertions/seriesfile.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/schema_tables.h"
#include "assertions/seriesfile.def"

#define KT_MESSAGE(tag_, name_, direction_) { tag_, direction_, &kt_schema_##name_ },
static const struct kt_message messages[] = {
#include "assertions/seriesfile.def"
};

const struct kt_family kt_seriesfile_family = { "series", messages,
						sizeof(messages) / sizeof(messages[0]),
						KT_SAMPLE_BYTES_MAX };

/* msgpack's bin formats: first byte, bytes of the length behind it. */
static const struct {
	uint8_t first;
	uint8_t head;
} bins[] = { { 0xc4, 1 }, { 0xc5, 2 }, { 0xc6, 4 } };

#define N_BINS (sizeof(bins) / sizeof(bins[0]))

void kt_seriesfile_schema_digest(struct kt_digest *digest)
{
	kt_schema_digest(&kt_seriesfile_family, digest);
}

/* ---- writing ---- */

/* The shortest form that holds the length, as msgpack libraries write it. */
static void put_bin(struct kt_buf *out, const void *body, size_t len)
{
	size_t form = len <= UINT8_MAX ? 0 : len <= UINT16_MAX ? 1 : 2;
	uint8_t head[5] = { bins[form].first };

	kt_must(len <= UINT32_MAX);
	for (size_t i = 0; i < bins[form].head; i++)
		head[1 + i] = (uint8_t)(len >> 8 * (bins[form].head - 1u - i));
	kt_buf_append(out, head, 1u + bins[form].head);
	kt_buf_append(out, body, len);
}

void kt_seriesfile_add(struct kt_seriesfile_writer *writer, const void *body, size_t len)
{
	kt_must(len <= KT_SAMPLE_BYTES_MAX);
	kt_must(writer->samples < KT_SAMPLES_PER_ATTEMPT_MAX);
	if (writer->samples++ == 0)
		kt_digest_stream_begin(&writer->digest);
	kt_digest_stream_add(&writer->digest, body, len);
	put_bin(&writer->frames, body, len);
}

void kt_seriesfile_finish(struct kt_seriesfile_writer *writer, struct kt_msg_series_header *header,
			  struct kt_buf *out)
{
	struct kt_digest series;
	struct kt_digest schema;
	KT_AUTO_BUF encoded = { 0 };

	if (writer->samples == 0)
		kt_digest_stream_begin(&writer->digest);
	kt_digest_stream_end(&writer->digest, &series);
	kt_seriesfile_schema_digest(&schema);
	header->version = KT_SERIESFILE_VERSION;
	header->samples = writer->samples;
	header->series_digest = (struct kt_bin){ series.bytes, KT_DIGEST_BYTES };
	header->schema_digest = (struct kt_bin){ schema.bytes, KT_DIGEST_BYTES };
	kt_codec_encode(&kt_schema_series_header, header, &encoded);
	kt_buf_append(out, KT_SERIESFILE_MAGIC, KT_SERIESFILE_MAGIC_BYTES);
	put_bin(out, encoded.data, encoded.len);
	kt_buf_append(out, writer->frames.data, writer->frames.len);
	header->series_digest = header->schema_digest = (struct kt_bin){ 0 }; /* they were ours */
	kt_seriesfile_writer_destroy(writer);
}

void kt_seriesfile_writer_destroy(struct kt_seriesfile_writer *writer)
{
	kt_buf_destroy(&writer->frames);
	*writer = (struct kt_seriesfile_writer){ 0 };
}

int kt_seriesfile_write(const struct kt_series *series, struct kt_msg_series_header *header,
			struct kt_buf *out, struct kt_err *err)
{
	KT_AUTO(kt_seriesfile_writer_destroy) struct kt_seriesfile_writer writer = { 0 };
	KT_AUTO_BUF body = { 0 };

	for (size_t i = 0; i < series->n; i++) {
		kt_buf_reset(&body);
		kt_codec_encode(&kt_schema_sample, kt_series_at(series, i), &body);
		if (body.len > KT_SAMPLE_BYTES_MAX || writer.frames.len > KT_SERIES_BYTES_MAX)
			return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
					  "sample %zu does not fit into a series file: %zu bytes",
					  i, body.len);
		kt_seriesfile_add(&writer, body.data, body.len);
	}
	kt_seriesfile_finish(&writer, header, out);
	return 0;
}

/* ---- reading ---- */

struct reader {
	const uint8_t *bytes;
	size_t len;
	size_t at;
	struct kt_err *err;
};

__attribute__((format(printf, 3, 4), cold)) static int refuse(struct reader *reader, int code,
							      const char *format, ...)
{
	char text[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return kt_err_set(reader->err, KT_FAULT_INPUT, code, "byte %zu: %s", reader->at, text);
}

/* The next bin; *body is borrowed from the file. */
static int take_bin(struct reader *reader, const char *what, struct kt_bin *body)
{
	size_t left = reader->len - reader->at;
	const uint8_t *head = reader->bytes + reader->at;
	size_t form = 0;
	size_t len = 0;

	if (left == 0)
		return refuse(reader, EPROTO, "the file ends where %s should be", what);
	while (form < N_BINS && bins[form].first != *head)
		form++;
	if (form == N_BINS)
		return refuse(reader, EPROTO, "0x%02x where a msgpack bin with %s should be", *head,
			      what);
	if (left < 1u + bins[form].head)
		return refuse(reader, EPROTO, "cut within %s", what);
	for (size_t i = 0; i < bins[form].head; i++)
		len = len << 8 | head[1 + i];
	if (left - 1u - bins[form].head < len)
		return refuse(reader, EPROTO, "cut within %s: %zu bytes of %zu are there", what,
			      left - 1u - bins[form].head, len);
	*body = (struct kt_bin){ head + 1u + bins[form].head, len };
	return 0;
}

static void next(struct reader *reader, const struct kt_bin *body)
{
	reader->at = (size_t)(body->data - reader->bytes) + body->len;
}

static int read_header(struct reader *reader, struct kt_arena *arena,
		       struct kt_msg_series_header *header)
{
	struct kt_err why = { 0 };
	struct kt_bin body;
	int status;

	if (reader->len < KT_SERIESFILE_MAGIC_BYTES ||
	    memcmp(reader->bytes, KT_SERIESFILE_MAGIC, KT_SERIESFILE_MAGIC_BYTES) != 0)
		return refuse(reader, EPROTO, "this is no series file: it does not begin with %s",
			      &KT_SERIESFILE_MAGIC[1]);
	reader->at = KT_SERIESFILE_MAGIC_BYTES;
	status = take_bin(reader, "the header", &body);
	if (status < 0)
		return status;
	if (body.len > KT_SERIESFILE_HEADER_BYTES_MAX)
		return refuse(reader, EFBIG, "a header of %zu bytes, at most %u are taken",
			      body.len, KT_SERIESFILE_HEADER_BYTES_MAX);
	if (kt_codec_decode(&kt_schema_series_header, body.data, body.len, arena, header, &why) < 0)
		return refuse(reader, EPROTO, "the header: %s", why.text);
	if (header->version != KT_SERIESFILE_VERSION)
		return refuse(reader, ENOTSUP,
			      "format version %" PRIu64 ", this program reads %d: use a newer one",
			      header->version, KT_SERIESFILE_VERSION);
	next(reader, &body);
	return 0;
}

int kt_seriesfile_read(const void *bytes, size_t len, struct kt_arena *arena,
		       struct kt_msg_series_header *header, struct kt_series *series,
		       struct kt_err *err)
{
	struct reader reader = { .bytes = bytes, .len = len, .err = err };
	struct kt_digest_stream stream;
	struct kt_digest digest;
	int status = read_header(&reader, arena, header);

	if (status < 0)
		return status;
	kt_must(series->n == 0);
	kt_digest_stream_begin(&stream);
	for (uint64_t i = 0; i < header->samples; i++) {
		struct kt_err why = { 0 };
		struct kt_bin body;

		status = take_bin(&reader, "a sample", &body);
		if (status < 0)
			return status;
		status = kt_series_append(series, body.data, body.len, &why);
		if (status < 0)
			return refuse(&reader, status == -EFBIG ? EFBIG : EPROTO,
				      "sample %" PRIu64 " of the file: %s", i, why.text);
		kt_digest_stream_add(&stream, body.data, body.len);
		next(&reader, &body);
	}
	if (reader.at < len)
		return refuse(&reader, EPROTO, "%zu bytes behind the last of %" PRIu64 " samples",
			      len - reader.at, header->samples);
	kt_digest_stream_end(&stream, &digest);
	if (header->series_digest.len &&
	    memcmp(header->series_digest.data, digest.bytes, KT_DIGEST_BYTES) != 0)
		return refuse(&reader, EPROTO,
			      "the samples are not those that were written: their digest is "
			      "another");
	return 0;
}

bool kt_seriesfile_same_schema(const struct kt_msg_series_header *header)
{
	struct kt_digest schema;

	if (!header->schema_digest.len)
		return true;
	kt_seriesfile_schema_digest(&schema);
	return memcmp(header->schema_digest.data, schema.bytes, KT_DIGEST_BYTES) == 0;
}
