#include "proto/net/key.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A pair of rfc.zeromq.org/spec/26, except that its public half begins with a letter. */
#define PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define OTHER  "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

Test(key, a_new_pair_is_whole_and_its_own)
{
	struct kt_key keys[20];
	struct kt_err err = { 0 };

	for (size_t i = 0; i < 20; i++) {
		cr_assert(kt_key_make(&keys[i], &err) == 0, "%s", err.text);
		cr_assert(kt_key_is_public(keys[i].public_key));
		cr_assert(isalnum((unsigned char)keys[i].public_key[0]), "neither # nor -");
		for (size_t k = 0; k < i; k++)
			cr_assert(strcmp(keys[i].secret_key, keys[k].secret_key) != 0);
	}
	kt_key_wipe(&keys[0]);
	for (size_t i = 0; i < sizeof(keys[0]); i++)
		cr_assert(((char *)&keys[0])[i] == 0);
}

Test(key, what_is_printed_is_parsed)
{
	struct kt_err err = { 0 };

	for (int i = 0; i < 50; i++) {
		KT_AUTO_BUF text = { 0 };
		struct kt_key key, same;

		cr_assert(kt_key_make(&key, &err) == 0);
		if (i % 2)
			memset(key.secret_key, 0, sizeof(key.secret_key)); /* the public half */
		kt_key_print(&key, &text);
		cr_assert(kt_key_parse("f", (char *)text.data, text.len, &same, &err) == 0, "%s",
			  err.text);
		cr_assert(memcmp(&key, &same, sizeof(key)) == 0);
	}
}

Test(key, every_mistake_in_a_file_is_said_with_its_line)
{
	static const struct {
		const char *text;
		const char *why; /* NULL: it is well */
	} rows[] = {
		{ "ktcoord-key 1\npublic " PUBLIC "\nsecret " SECRET "\n", NULL },
		{ "ktcoord-key 1\npublic " PUBLIC "\nsecret " SECRET, NULL },
		{ "# mine\n\nktcoord-key 1\n#\nsecret " SECRET "\npublic " PUBLIC "\n", NULL },
		{ "ktcoord-key 1\npublic " PUBLIC "\n", NULL },
		{ "", "f:1: this is no key file" },
		{ "\n\n", "this is no key file" },
		{ "hello\n", "f:1: this is no key file: its first line is 'ktcoord-key 1'" },
		{ "ktcoord-key 2\npublic " PUBLIC "\n", "f:1: a key file of another version" },
		{ "ktcoord-key 11\npublic " PUBLIC "\n", "f:1: a key file of another version" },
		{ "ktcoord-key\npublic " PUBLIC "\n", "f:1: this is no key file" },
		{ "ktcoord-key 1\n", "f: the line 'public KEY' is missing" },
		{ "ktcoord-key 1\nsecret " SECRET "\n", "f: the line 'public KEY' is missing" },
		{ "ktcoord-key 1\npublic " PUBLIC "\npublic " PUBLIC "\n",
		  "f:3: a second 'public'" },
		{ "ktcoord-key 1\nsecret " SECRET "\nsecret " SECRET "\n",
		  "f:3: a second 'secret'" },
		{ "ktcoord-key 1\npublic " PUBLIC " \n", "f:2: 'public' takes a key of 40" },
		{ "ktcoord-key 1\npublic " PUBLIC "\r\n", "f:2: 'public' takes a key of 40" },
		{ "ktcoord-key 1\npublic abc\n", "f:2: 'public' takes a key of 40" },
		{ "ktcoord-key 1\npublic #####"
		  "#####"
		  "#####"
		  "#####"
		  "#####"
		  "#####"
		  "#####"
		  "#####"
		  "\n",
		  "f:2: 'public' takes a key of 40" },
		{ "ktcoord-key 1\npublic ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n",
		  "f:2: 'public'" },
		{ "ktcoord-key 1\nsecret abc\n", "f:2: 'secret' takes a key of 40" },
		{ "ktcoord-key 1\nsecrt " SECRET "\n",
		  "f:2: expected 'public KEY' or 'secret KEY'" },
		{ "ktcoord-key 1\npublic " OTHER "\nsecret " SECRET "\n",
		  "the public key is not that of the secret key" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_err err = { 0 };
		struct kt_key key;
		int status = kt_key_parse("f", rows[i].text, strlen(rows[i].text), &key, &err);

		cr_assert((status == 0) == !rows[i].why, "row %zu: %s", i, err.text);
		if (!rows[i].why)
			continue;
		cr_assert(status == -EINVAL && err.fault == KT_FAULT_INPUT);
		cr_assert(strstr(err.text, rows[i].why), "row %zu: %s", i, err.text);
		cr_assert(!strstr(err.text, SECRET), "row %zu tells the secret: %s", i, err.text);
		cr_assert(!key.secret_key[0] && !key.public_key[0], "nothing is left of it");
	}
}

Test(key, files_are_0600_never_replaced_and_refused_when_others_may_read_them)
{
	char dir[] = "/tmp/kt-key-XXXXXX";
	KT_AUTO_FREE char *path = NULL;
	struct kt_key key, other, same;
	char public_key[KT_KEY_CHARS + 1];
	struct kt_err err = { 0 };
	struct stat file;
	int fd;

	cr_assert(mkdtemp(dir));
	path = kt_must_asprintf("%s/k", dir);
	cr_assert(kt_key_make(&key, &err) == 0 && kt_key_make(&other, &err) == 0);
	umask(0);
	cr_assert(kt_key_write(path, &key, &err) == 0, "%s", err.text);
	cr_assert(stat(path, &file) == 0 && (file.st_mode & 07777) == 0600);
	cr_assert(kt_key_write(path, &other, &err) == -EEXIST);
	cr_assert(kt_key_read(path, &same, &err) == 0);
	cr_assert(memcmp(&key, &same, sizeof(key)) == 0);
	cr_assert(kt_key_public(path, public_key, &err) == 0);
	cr_assert(strcmp(public_key, key.public_key) == 0);
	for (mode_t bit = 01; bit <= 040; bit <<= 1) {
		cr_assert(chmod(path, 0600 | bit) == 0);
		cr_assert(kt_key_read(path, &same, &err) == -EPERM, "mode %o", 0600 | bit);
		cr_assert(strstr(err.text, "chmod 600"), "%s", err.text);
		cr_assert(!same.secret_key[0]);
		cr_assert(kt_key_public(path, public_key, &err) == -EPERM);
	}
	/* The public half alone is nobody's secret, and no pair. */
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	cr_assert(dprintf(fd, "ktcoord-key 1\npublic %s\n", key.public_key) > 0);
	close(fd);
	cr_assert(chmod(path, 0644) == 0);
	cr_assert(kt_key_public(path, public_key, &err) == 0);
	cr_assert(kt_key_read(path, &same, &err) == -EINVAL);
	cr_assert(strstr(err.text, "only the public half"), "%s", err.text);
	cr_assert(truncate(path, KT_KEY_FILE_BYTES_MAX + 1) == 0);
	cr_assert(kt_key_read(path, &same, &err) == -EFBIG);
	unlink(path);
	cr_assert(kt_key_read(path, &same, &err) == -ENOENT);
	cr_assert(kt_key_public(key.public_key, public_key, &err) == 0);
	key.public_key[39] = 0;
	cr_assert(kt_key_public(key.public_key, public_key, &err) == -EINVAL);
	cr_assert(strstr(err.text, "this has 39"), "%s", err.text);
	cr_assert(rmdir(dir) == 0);
}
