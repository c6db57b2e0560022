#include "proto/base/digest.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

_Static_assert(KT_DIGEST_BYTES == crypto_hash_sha256_BYTES, "a digest is a SHA-256");

void kt_digest_of(const void *bytes, size_t len, struct kt_digest *digest)
{
	crypto_hash_sha256(digest->bytes, bytes, len);
}

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct kt_digest_stream),
	       "a stream has room for libsodium's state");

static crypto_hash_sha256_state *state_of(struct kt_digest_stream *stream)
{
	return (void *)stream->room;
}

void kt_digest_stream_begin(struct kt_digest_stream *stream)
{
	crypto_hash_sha256_init(state_of(stream));
}

void kt_digest_stream_add(struct kt_digest_stream *stream, const void *bytes, size_t len)
{
	crypto_hash_sha256_update(state_of(stream), bytes, len);
}

void kt_digest_stream_end(struct kt_digest_stream *stream, struct kt_digest *digest)
{
	crypto_hash_sha256_final(state_of(stream), digest->bytes);
}

int kt_digest_of_fd(int fd, struct kt_digest *digest, uint64_t *len, struct kt_err *err)
{
	crypto_hash_sha256_state state;
	static _Thread_local uint8_t piece[256 << 10];
	uint64_t at = 0;
	ssize_t n;

	crypto_hash_sha256_init(&state);
	while ((n = pread(fd, piece, sizeof(piece), (off_t)at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "reading to digest");
		crypto_hash_sha256_update(&state, piece, (size_t)n);
		at += (uint64_t)n;
	}
	crypto_hash_sha256_final(&state, digest->bytes);
	if (len)
		*len = at;
	return 0;
}

int kt_digest_of_file(const char *path, struct kt_digest *digest, uint64_t *len, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "opening %s", path);
	if (kt_digest_of_fd(fd, digest, len, err) < 0)
		return kt_err_wrap(err, "%s", path);
	return 0;
}

void kt_digest_hex(const struct kt_digest *digest, char hex[KT_DIGEST_HEX_BYTES])
{
	sodium_bin2hex(hex, KT_DIGEST_HEX_BYTES, digest->bytes, KT_DIGEST_BYTES);
}

bool kt_digest_from_hex(const char *hex, struct kt_digest *digest)
{
	size_t len = 0;

	return strlen(hex) == KT_DIGEST_HEX_BYTES - 1 &&
	       sodium_hex2bin(digest->bytes, KT_DIGEST_BYTES, hex, KT_DIGEST_HEX_BYTES - 1, NULL,
			      &len, NULL) == 0 &&
	       len == KT_DIGEST_BYTES;
}

bool kt_digest_equal(const struct kt_digest *a, const struct kt_digest *b)
{
	return memcmp(a->bytes, b->bytes, KT_DIGEST_BYTES) == 0;
}
