/* key.h - a key pair of CURVE, and the file that it is kept in.
 *
 *	ktcoord-key 1
 *	public <40 characters of Z85>
 *	secret <40 characters of Z85>
 *
 * Lines that begin with # and empty ones are skipped. A file without `secret` is the half that may be
 * given away. One with it is read only when it is nobody else's to read (safefile.h). A public key is a
 * host's identity: whoever has the secret one is that host.
 */
#ifndef KT_KEY_H
#define KT_KEY_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#define KT_KEY_CHARS          40 /* of Z85: 32 bytes */
#define KT_KEY_FILE_BYTES_MAX 2048
#define KT_KEY_VERSION        1

struct kt_key {
	char public_key[KT_KEY_CHARS + 1];
	char secret_key[KT_KEY_CHARS + 1]; /* "" when only the public half is known */
};

/* A new pair. Its public half begins with a letter or a digit: so it is neither a comment nor an option. -ENOTSUP,
 * fault HOST: this libzmq has no CURVE.
 */
int kt_key_make(struct kt_key *key, struct kt_err *err);
void kt_key_wipe(struct kt_key *key); /* nothing of it is left in there */
/* 40 characters that are 32 bytes in Z85, the first a letter or a digit. */
bool kt_key_is_public(const char *text);

/* 0 or -EINVAL, fault INPUT, with file:line and what would be right. The halves are proven to belong together. */
int kt_key_parse(const char *file, const char *text, size_t len, struct kt_key *key,
		 struct kt_err *err);
void kt_key_print(const struct kt_key *key, struct kt_buf *out);

/* A pair; a file without the secret half is refused. Faults as kt_safefile_read(). */
int kt_key_read(const char *path, struct kt_key *key, struct kt_err *err);
/* Never replaces a file: -EEXIST. Mode 0600. */
int kt_key_write(const char *path, const struct kt_key *key, struct kt_err *err);
/* What a user names by KEY|FILE: a public key as it is, or the public half in a key file. -EINVAL or as above. */
int kt_key_public(const char *word, char public_key[KT_KEY_CHARS + 1], struct kt_err *err);

#endif
