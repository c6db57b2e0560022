/* seriesfile.h - a series as a file, so that other tools can read series and make them.
 *
 *	file   = magic bin(header) bin(sample)*
 *	magic  = the msgpack text "KTSERIES": 9 bytes, of which "KTSERIES" begin at the second
 *	bin(x) = a msgpack bin (8, 16 or 32) that holds the struct x, encoded as on the wire
 *
 * The whole file is a msgpack stream: any msgpack library reads it. The header is seriesfile.def's
 * series_header, a sample is proto/job.def's. docs/series-format.md is this page for people who write their
 * own; a test compares the two.
 *
 * Files come from anybody: lengths are checked against the bytes present before anything is allocated,
 * memory is at most a small multiple of the file's length (series.h). Pure: bytes in, bytes out.
 */
#ifndef KT_SERIESFILE_H
#define KT_SERIESFILE_H

#include "assertions/series.h"
#include "proto/base/buf.h"
#include "proto/base/digest.h"

#include "proto/schema_structs.h"
#include "assertions/seriesfile.def"

#define KT_SERIESFILE_MAGIC       "\xa8KTSERIES"
#define KT_SERIESFILE_MAGIC_BYTES 9
#define KT_SERIESFILE_VERSION     1

/* A header holds names and two lines; a bin has 5 bytes in front of it. */
#define KT_SERIESFILE_HEADER_BYTES_MAX (16u << 10)
#define KT_SERIESFILE_BYTES_MAX                                                             \
	(KT_SERIES_BYTES_MAX + KT_SERIESFILE_HEADER_BYTES_MAX + KT_SERIESFILE_MAGIC_BYTES + \
	 5u * (KT_SAMPLES_PER_ATTEMPT_MAX + 1u))

/* The two structs that a file is made of, for descriptions and for the schema's digest. */
extern const struct kt_family kt_seriesfile_family;
void kt_seriesfile_schema_digest(struct kt_digest *digest);

/* ---- writing ---- */

/* Zeroed memory is one without samples yet. */
struct kt_seriesfile_writer {
	struct kt_buf frames; /* bin(sample)* */
	struct kt_digest_stream digest;
	uint64_t samples;
};

/* body: an encoded struct kt_msg_sample within the limits of series.h, copied as it is. */
void kt_seriesfile_add(struct kt_seriesfile_writer *writer, const void *body, size_t len);
/* The whole file, behind what is in out. Of *header the version, the count and both digests are filled
 * in. The writer is empty afterwards.
 */
void kt_seriesfile_finish(struct kt_seriesfile_writer *writer, struct kt_msg_series_header *header,
			  struct kt_buf *out);
void kt_seriesfile_writer_destroy(struct kt_seriesfile_writer *writer);

/* All of it at once: every sample encoded anew, by ascending seq. -EFBIG, fault INPUT, when one is too large
 * for a file that way (another tool may have used shorter forms); out is then as it was.
 */
int kt_seriesfile_write(const struct kt_series *series, struct kt_msg_series_header *header,
			struct kt_buf *out, struct kt_err *err);

/* ---- reading ---- */

/* series is empty and gets the samples; header's texts live in the arena. Fault INPUT, with the offset in
 * bytes: -EPROTO it is not such a file, is cut or damaged; -ENOTSUP a version that is not known here;
 * -EFBIG a limit of series.h. *series then holds what was read so far.
 */
int kt_seriesfile_read(const void *bytes, size_t len, struct kt_arena *arena,
		       struct kt_msg_series_header *header, struct kt_series *series,
		       struct kt_err *err);

/* Whether the writer knew the same fields as we do; true when the file does not say. */
bool kt_seriesfile_same_schema(const struct kt_msg_series_header *header);

#endif
