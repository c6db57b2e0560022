#include "proto/schema.h"

#include <string.h>

/* Apart from schema.c, so that the guest's programs need no hash library. */
void kt_schema_digest(const struct kt_family *family, struct kt_digest *digest)
{
	/* The tables never change, and a coordinator is asked at every HELLO. */
	static _Thread_local const struct kt_family *known;
	static _Thread_local struct kt_digest digest_of_known;
	KT_AUTO_BUF described = { 0 };
	KT_AUTO_BUF canonical = { 0 };
	const char *line;
	const char *end;

	if (family == known) {
		*digest = digest_of_known;
		return;
	}
	kt_codec_describe(family, &described);
	for (line = kt_buf_text(&described); (end = strchr(line, '\n')); line = end + 1) {
		const char *sentence = strstr(line, " ; ");

		kt_buf_append(&canonical, line,
			      (size_t)((sentence && sentence < end ? sentence : end) - line));
		kt_buf_puts(&canonical, "\n");
	}
	kt_digest_of(canonical.data, canonical.len, digest);
	known = family;
	digest_of_known = *digest;
}
