/* digest.h - content digests: SHA-256, by libsodium, so that sha256sum(1) can check any of them. */
#ifndef KT_DIGEST_H
#define KT_DIGEST_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_DIGEST_BYTES     32
#define KT_DIGEST_HEX_BYTES 65 /* with the 0 at the end */

struct kt_digest {
	uint8_t bytes[KT_DIGEST_BYTES];
};

void kt_digest_of(const void *bytes, size_t len, struct kt_digest *digest);
/* The same of bytes that come in pieces: begin, add..., end. Needs no destruction. */
struct kt_digest_stream {
	uint64_t room[16]; /* digest.c's own */
};
void kt_digest_stream_begin(struct kt_digest_stream *stream);
void kt_digest_stream_add(struct kt_digest_stream *stream, const void *bytes, size_t len);
void kt_digest_stream_end(struct kt_digest_stream *stream, struct kt_digest *digest);
/* Reads fd from its start to its end; *len (may be NULL) is how many bytes there were. Blocks. */
int kt_digest_of_fd(int fd, struct kt_digest *digest, uint64_t *len, struct kt_err *err);
int kt_digest_of_file(const char *path, struct kt_digest *digest, uint64_t *len,
		      struct kt_err *err);
void kt_digest_hex(const struct kt_digest *digest, char hex[KT_DIGEST_HEX_BYTES]);
bool kt_digest_from_hex(const char *hex, struct kt_digest *digest);
bool kt_digest_equal(const struct kt_digest *a, const struct kt_digest *b);

#endif
