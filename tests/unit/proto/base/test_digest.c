#include "proto/base/digest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

Test(digest, it_is_what_sha256sum_prints)
{
	struct kt_digest digest;
	struct kt_digest back;
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_of("abc", 3, &digest);
	kt_digest_hex(&digest, hex);
	cr_assert(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") ==
		  0);
	cr_assert(kt_digest_from_hex(hex, &back));
	cr_assert(kt_digest_equal(&digest, &back));
	kt_digest_of("", 0, &back);
	cr_assert(!kt_digest_equal(&digest, &back));
}

Test(digest, hex_of_another_length_or_alphabet_is_refused)
{
	struct kt_digest digest;
	char hex[KT_DIGEST_HEX_BYTES + 1];

	for (size_t len = 0; len <= KT_DIGEST_HEX_BYTES; len++) {
		memset(hex, 'a', len);
		hex[len] = 0;
		cr_assert(kt_digest_from_hex(hex, &digest) == (len == KT_DIGEST_HEX_BYTES - 1));
	}
	hex[KT_DIGEST_HEX_BYTES - 1] = 0;
	for (const char *c = "gxz: -/"; *c; c++) {
		hex[63] = *c;
		cr_assert(!kt_digest_from_hex(hex, &digest), "'%c'", *c);
	}
}

Test(digest, a_file_gives_the_digest_of_its_bytes_from_its_start)
{
	static uint8_t bytes[(256 << 10) + 17];
	struct kt_digest expected;
	struct kt_digest digest;
	struct kt_err err;
	uint64_t len = 0;
	FILE *file = tmpfile();

	memset(bytes, 0x5a, sizeof(bytes));
	kt_digest_of(bytes, sizeof(bytes), &expected);
	cr_assert(fwrite(bytes, 1, sizeof(bytes), file) == sizeof(bytes));
	cr_assert(fflush(file) == 0); /* the offset is now at the end */
	cr_assert(kt_digest_of_fd(fileno(file), &digest, &len, &err) == 0, "%s", err.text);
	cr_assert(len == sizeof(bytes));
	cr_assert(kt_digest_equal(&digest, &expected));
	fclose(file);
	cr_assert(kt_digest_of_file("/nonexistent/x", &digest, NULL, &err) == -ENOENT);
	cr_assert(strstr(err.text, "/nonexistent/x"));
	cr_assert(kt_digest_of_file("/", &digest, NULL, &err) == -EISDIR);
}
