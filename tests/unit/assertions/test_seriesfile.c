#include "assertions/seriesfile.h"
#include "fixture.h"
#include "tests/unit/proto/kept.h"
#include "tests/unit/proto/tables.h"

#include <errno.h>

static void fill(struct kt_series *series, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		KT_AUTO_BUF body = { 0 };
		struct kt_value value = kt_value_u64(UINT64_MAX - i);

		fixture_body(i, (int64_t)i * 100, "", "stats", &value, "", &body);
		cr_assert_eq(kt_series_append(series, body.data, body.len, NULL), 0);
	}
}

static struct kt_msg_series_header header_of(const char *cell)
{
	return (struct kt_msg_series_header){
		.producer = "test", .cell = cell, .cause = "", .line = "", .samples_target = 3
	};
}

/* A file of n samples; the caller frees it. */
static struct kt_buf written(size_t n)
{
	KT_AUTO_SERIES series = { 0 };
	struct kt_msg_series_header header = header_of("a/b/c/d#0");
	struct kt_buf file = { 0 };

	fill(&series, n);
	cr_assert_eq(kt_seriesfile_write(&series, &header, &file, NULL), 0);
	return file;
}

static int read_back(const void *bytes, size_t len, struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	struct kt_msg_series_header header;

	return kt_seriesfile_read(bytes, len, &arena, &header, &series, err);
}

Test(seriesfile, what_was_written_is_read_back_and_writes_the_same)
{
	for (size_t n = 0; n < 4; n++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_SERIES series = { 0 };
		KT_AUTO_BUF file = written(n);
		KT_AUTO_BUF again = { 0 };
		struct kt_msg_series_header header;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_seriesfile_read(file.data, file.len, &arena, &header, &series,
						&err),
			     0, "%s", err.text);
		cr_assert_eq(series.n, n);
		cr_assert_eq(header.samples, n);
		cr_assert_eq(header.samples_target, 3);
		cr_assert_str_eq(header.cell, "a/b/c/d#0");
		cr_assert(kt_seriesfile_same_schema(&header));
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(kt_series_at(&series, i)->axes[0].value.u64, UINT64_MAX - i);
		cr_assert_eq(kt_seriesfile_write(&series, &header, &again, NULL), 0);
		cr_assert_eq(again.len, file.len);
		cr_assert_eq(memcmp(again.data, file.data, file.len), 0);
	}
}

Test(seriesfile, a_file_that_is_cut_anywhere_is_refused)
{
	KT_AUTO_BUF file = written(3);

	for (size_t len = 0; len < file.len; len++) {
		struct kt_err err = { 0 };

		cr_assert_eq(read_back(file.data, len, &err), -EPROTO, "cut to %zu", len);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strncmp(err.text, "byte ", 5) == 0, "%s", err.text);
	}
}

Test(seriesfile, a_byte_that_was_changed_is_seen)
{
	KT_AUTO_BUF file = written(2);

	/* From behind the header on every bit is under the digest or is a length. */
	for (size_t i = file.len - 40; i < file.len; i++) {
		file.data[i] ^= 0x10;
		cr_assert_neq(read_back(file.data, file.len, NULL), 0, "byte %zu", i);
		file.data[i] ^= 0x10;
	}
	cr_assert_eq(read_back(file.data, file.len, NULL), 0);
}

Test(seriesfile, bytes_behind_the_end_are_refused)
{
	KT_AUTO_BUF file = written(1);
	struct kt_err err = { 0 };

	kt_buf_append(&file, "\xc0", 1);
	cr_assert_eq(read_back(file.data, file.len, &err), -EPROTO);
	cr_assert(strstr(err.text, "1 bytes behind the last of 1 samples"), "%s", err.text);
}

Test(seriesfile, a_length_that_lies_asks_for_nothing)
{
	static const char file[] = KT_SERIESFILE_MAGIC "\xc6\xff\xff\xff\xff";
	struct kt_err err = { 0 };

	cr_assert_eq(read_back(file, sizeof(file) - 1, &err), -EPROTO);
	cr_assert_str_eq(err.text,
			 "byte 9: cut within the header: 0 bytes of 4294967295 are there");
}

/* As another tool may write it: no digests, no names, bodies in any order, the longest forms. */
Test(seriesfile, the_least_that_another_tool_must_write_is_enough)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	static const uint8_t file[] = "\xa8KTSERIES"
				      "\xc4\x05\x82\x01\x01\x02\x02" /* version 1, 2 samples */
				      "\xc6\x00\x00\x00\x08\x83\x01\xa1"
				      "b\x02\x01\x03\x05" /* tag b, seq 1, 5 ns */
				      "\xc4\x08\x83\x01\xa1"
				      "a\x02\x00\x03\x00";
	struct kt_msg_series_header header;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_seriesfile_read(file, sizeof(file) - 1, &arena, &header, &series, &err), 0,
		     "%s", err.text);
	cr_assert_eq(series.n, 2);
	cr_assert_str_eq(kt_series_at(&series, 0)->tag, "a");
	cr_assert_eq(kt_series_at(&series, 1)->elapsed_ns, 5);
	cr_assert_str_eq(header.cause, "");
	cr_assert(kt_seriesfile_same_schema(&header));
}

Test(seriesfile, another_version_is_refused_and_another_schema_is_not)
{
	KT_AUTO_BUF encoded = { 0 };
	KT_AUTO_BUF file = { 0 };
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	static const uint8_t other[KT_DIGEST_BYTES] = { 1 };
	struct kt_msg_series_header header = header_of("");
	struct kt_err err = { 0 };

	for (uint64_t version = 1; version <= 2; version++) {
		uint8_t head[2] = { 0xc4 };

		header.version = version;
		header.schema_digest = (struct kt_bin){ other, sizeof(other) };
		kt_buf_reset(&encoded);
		kt_buf_reset(&file);
		kt_codec_encode(&kt_schema_series_header, &header, &encoded);
		cr_assert_leq(encoded.len, UINT8_MAX);
		head[1] = (uint8_t)encoded.len;
		kt_buf_append(&file, KT_SERIESFILE_MAGIC, KT_SERIESFILE_MAGIC_BYTES);
		kt_buf_append(&file, head, 2);
		kt_buf_append(&file, encoded.data, encoded.len);
		if (version == 2) {
			cr_assert_eq(read_back(file.data, file.len, &err), -ENOTSUP);
			cr_assert(strstr(err.text, "format version 2, this program reads 1"));
			continue;
		}
		cr_assert_eq(kt_seriesfile_read(file.data, file.len, &arena, &header, &series,
						&err),
			     0, "%s", err.text);
		cr_assert_not(kt_seriesfile_same_schema(&header));
	}
}

/* A list of float 32: half of what our own encoding takes. */
Test(seriesfile, a_sample_that_grows_when_it_is_written_again_is_refused_not_cut)
{
	enum { ITEMS = 100000 };
	static const uint8_t head[14] = { 0x84, 1, 0xa1, 'a',  2, 0,    3,
					  0,    8, 0x91, 0x82, 1, 0xa1, 'x' };
	KT_AUTO_BUF list = { 0 };
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_BUF out = { 0 };
	struct kt_msg_series_header header = header_of("");
	struct kt_err err = { 0 };
	static const uint8_t float32[5] = { 0xca, 0x3f, 0x80, 0, 0 };
	static const uint8_t array[6] = {
		2, 0xdd, ITEMS >> 24, ITEMS >> 16 & 0xff, ITEMS >> 8 & 0xff, ITEMS & 0xff
	};

	kt_buf_append(&list, head, sizeof(head));
	kt_buf_append(&list, array, sizeof(array));
	for (size_t i = 0; i < ITEMS; i++)
		kt_buf_append(&list, float32, sizeof(float32));
	cr_assert_eq(kt_series_append(&series, list.data, list.len, &err), 0, "%s", err.text);
	cr_assert_eq(kt_seriesfile_write(&series, &header, &out, &err), -EFBIG);
	cr_assert_eq(out.len, 0);
}

/* The file of three samples that is kept in the tree: the format cannot change unnoticed. */
Test(seriesfile, the_format_is_the_one_that_is_kept)
{
	KT_AUTO_BUF file = written(3);

	kept_check("tests/fuzz/corpus/seriesfile/three_samples", &file,
		   "Files that are out there would no longer be read.");
}

/* docs/series-format.md is written by hand; its tables, its magic and its digest are these. */
Test(seriesfile, the_page_about_the_format_is_current)
{
	static const struct kt_schema *const schemas[] = { &kt_schema_series_header,
							   &kt_schema_sample, &kt_schema_axis };
	KT_AUTO_BUF page = { 0 };
	KT_AUTO_BUF says = { 0 };
	struct kt_digest digest;
	char hex[KT_DIGEST_HEX_BYTES];

	kept_read(KT_SOURCE_DIR "/docs/series-format.md", &page);
	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		kt_buf_reset(&says);
		for (size_t k = 0; k < schemas[i]->n_fields; k++)
			tables_row(&schemas[i]->fields[k], &says);
		cr_expect(strstr(kt_buf_text(&page), kt_buf_text(&says)), "not there:\n%s",
			  kt_buf_text(&says));
	}
	kt_seriesfile_schema_digest(&digest);
	kt_digest_hex(&digest, hex);
	cr_expect(strstr(kt_buf_text(&page), hex), "the schema's digest is %s", hex);
	cr_expect(strstr(kt_buf_text(&page), "a8 4b 54 53 45 52 49 45 53"));
}
