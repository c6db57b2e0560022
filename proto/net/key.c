#include "proto/net/key.h"
#include "proto/base/must.h"
#include "proto/base/safefile.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define KEY_BYTES 32

static bool is_z85(const char *text)
{
	uint8_t bytes[KEY_BYTES];
	bool is;

	/* The decoder wants a multiple of five, and knows which five characters are too much for 32 bits. */
	is = strlen(text) == KT_KEY_CHARS && zmq_z85_decode(bytes, text) != NULL;
	explicit_bzero(bytes, sizeof(bytes));
	return is;
}

bool kt_key_is_public(const char *text)
{
	return isalnum((unsigned char)text[0]) && is_z85(text);
}

int kt_key_make(struct kt_key *key, struct kt_err *err)
{
	do {
		if (zmq_curve_keypair(key->public_key, key->secret_key) < 0)
			return kt_err_set(err, KT_FAULT_HOST, errno,
					  "making a key pair: %s: libzmq must be built with CURVE",
					  zmq_strerror(errno));
	} while (!kt_key_is_public(key->public_key));
	return 0;
}

void kt_key_wipe(struct kt_key *key)
{
	explicit_bzero(key, sizeof(*key));
}

/* ---- reading ---- */

struct line {
	const char *at;
	size_t len;
	size_t number;
};

/* The next line that says something. */
static bool next_line(const char **at, const char *end, struct line *line)
{
	while (*at < end) {
		const char *newline = memchr(*at, '\n', (size_t)(end - *at));
		const char *stop = newline ? newline : end;

		line->at = *at;
		line->len = (size_t)(stop - *at);
		line->number++;
		*at = newline ? newline + 1 : end;
		if (line->len && line->at[0] != '#')
			return true;
	}
	return false;
}

/* "word value": the value, when the line begins so. */
static bool begins(const struct line *line, const char *word, const char **value, size_t *n)
{
	size_t len = strlen(word);

	if (line->len <= len || memcmp(line->at, word, len) != 0 || line->at[len] != ' ')
		return false;
	*value = line->at + len + 1;
	*n = line->len - len - 1;
	return true;
}

static int read_half(const char *file, const struct line *line, const char *word, const char *value,
		     size_t n, char half[KT_KEY_CHARS + 1], struct kt_err *err)
{
	bool is_public = strcmp(word, "public") == 0;

	if (half[0])
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s:%zu: a second '%s': one key pair per file", file,
				  line->number, word);
	if (n == KT_KEY_CHARS && !memchr(value, 0, n)) {
		memcpy(half, value, n);
		half[n] = 0;
		if (is_public ? kt_key_is_public(half) : is_z85(half))
			return 0;
	}
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "%s:%zu: '%s' takes a key of %d characters of Z85%s", file, line->number,
			  word, KT_KEY_CHARS,
			  is_public ? " that begins with a letter or a digit" : "");
}

static int read_line(const char *file, const struct line *line, struct kt_key *key,
		     struct kt_err *err)
{
	const char *value;
	size_t n;

	if (begins(line, "public", &value, &n))
		return read_half(file, line, "public", value, n, key->public_key, err);
	if (begins(line, "secret", &value, &n))
		return read_half(file, line, "secret", value, n, key->secret_key, err);
	/* The line is not repeated: it may be a secret with a wrong word before it. */
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "%s:%zu: expected 'public KEY' or 'secret KEY'", file, line->number);
}

static bool is_pair(const struct kt_key *key)
{
	char derived[KT_KEY_CHARS + 1];

	return zmq_curve_public(derived, key->secret_key) == 0 &&
	       strcmp(derived, key->public_key) == 0;
}

static int parse(const char *file, const char *text, size_t len, struct kt_key *key,
		 struct kt_err *err)
{
	const char *end = text + len;
	struct line line = { 0 };
	const char *version;
	size_t n = 0;
	int status;

	if (len > KT_KEY_FILE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: more than the %d bytes that a key file may have", file,
				  KT_KEY_FILE_BYTES_MAX);
	if (!next_line(&text, end, &line) || !begins(&line, "ktcoord-key", &version, &n))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s:%zu: this is no key file: its first line is 'ktcoord-key %d'",
				  file, line.number ? line.number : 1, KT_KEY_VERSION);
	if (n != 1 || version[0] != '0' + KT_KEY_VERSION)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s:%zu: a key file of another version: this program reads "
				  "'ktcoord-key %d'",
				  file, line.number, KT_KEY_VERSION);
	while (next_line(&text, end, &line)) {
		status = read_line(file, &line, key, err);
		if (status < 0)
			return status;
	}
	if (!key->public_key[0])
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: the line 'public KEY' is missing", file);
	if (key->secret_key[0] && !is_pair(key))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: the public key is not that of the secret key: the file was "
				  "damaged or put together by hand",
				  file);
	return 0;
}

int kt_key_parse(const char *file, const char *text, size_t len, struct kt_key *key,
		 struct kt_err *err)
{
	int status;

	*key = (struct kt_key){ .public_key = "" };
	status = parse(file, text, len, key, err);
	if (status < 0)
		kt_key_wipe(key);
	return status;
}

void kt_key_print(const struct kt_key *key, struct kt_buf *out)
{
	kt_buf_printf(out, "ktcoord-key %d\npublic %s\n", KT_KEY_VERSION, key->public_key);
	if (key->secret_key[0])
		kt_buf_printf(out,
			      "# whoever has the next line is this host\n"
			      "secret %s\n",
			      key->secret_key);
}

/* ---- files ---- */

static int read_file(const char *path, struct kt_key *key, struct kt_err *err)
{
	KT_AUTO(kt_safefile_wipe) struct kt_buf bytes = { 0 };
	mode_t mode = 0;
	int status = kt_safefile_read(path, KT_KEY_FILE_BYTES_MAX, &bytes, &mode, err);

	if (status == 0)
		status = kt_key_parse(path, (const char *)bytes.data, bytes.len, key, err);
	if (status == 0 && key->secret_key[0])
		status = kt_safefile_guard(path, mode, KT_SAFEFILE_SECRET, err);
	if (status < 0)
		kt_key_wipe(key);
	return status;
}

int kt_key_read(const char *path, struct kt_key *key, struct kt_err *err)
{
	int status = read_file(path, key, err);

	if (status < 0 || key->secret_key[0])
		return status;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "%s has only the public half: name the file with the pair", path);
}

int kt_key_write(const char *path, const struct kt_key *key, struct kt_err *err)
{
	KT_AUTO(kt_safefile_wipe) struct kt_buf bytes = { 0 };

	kt_must(kt_buf_reserve(&bytes, KT_KEY_FILE_BYTES_MAX)); /* it does not move */
	kt_key_print(key, &bytes);
	return kt_safefile_write(path, KT_SAFEFILE_SECRET, false, bytes.data, bytes.len, err);
}

int kt_key_public(const char *word, char public_key[KT_KEY_CHARS + 1], struct kt_err *err)
{
	struct kt_key key = { .public_key = "" };
	int status;

	if (access(word, F_OK) < 0 && kt_key_is_public(word)) {
		memcpy(public_key, word, KT_KEY_CHARS + 1);
		return 0;
	}
	/* 40 characters without a name in them: a key that lost one, or was cut by the shell. */
	if (access(word, F_OK) < 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%.200s' is neither a file nor a public key (%d characters of "
				  "Z85, in single quotes); this has %zu",
				  word, KT_KEY_CHARS, strlen(word));
	status = read_file(word, &key, err);
	if (status == 0)
		memcpy(public_key, key.public_key, sizeof(key.public_key));
	kt_key_wipe(&key);
	return status;
}
