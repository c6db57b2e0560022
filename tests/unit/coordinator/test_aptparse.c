#include "coordinator/aptparse.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define N(array_) (sizeof(array_) / sizeof((array_)[0]))

#define MAIN "Debian|Debian|main|Packages|deb|http://mirror.example/debian"

Test(aptparse, the_mirror_is_the_first_target_that_is_debians_own_main)
{
	static const struct {
		const char *text, *uri, *file;
		unsigned int entry;
	} rows[] = {
		{ MAIN "|http://mirror.example/debian/|/etc/apt/sources.list.d/debian.sources:1\n",
		  "http://mirror.example/debian/", "/etc/apt/sources.list.d/debian.sources", 1 },
		{ "Debian|Debian-Security|main|Packages|deb|http://s.example|http://s.example/|/"
		  "a.sources:2\n"
		  "Debian|Debian "
		  "Backports|main|Packages|deb|http://b.example|http://b.example/|/a.sources:3\n"
		  "Other|Other|main|Packages|deb|http://o.example|http://o.example/|/o.list:1\n"
		  "Debian|Debian|contrib|Packages|deb|http://c.example|http://c.example/|/"
		  "c.list:1\n"
		  "Debian|Debian|main|Translations|deb|http://t.example|http://t.example/|/"
		  "t.list:1\n"
		  "Debian|Debian|main|Packages|deb|http://m.example|http://m.example/|/etc/apt/"
		  "sources.list:17\n",
		  "http://m.example/", "/etc/apt/sources.list", 17 },
		/* an apt without REPO_URI */
		{ MAIN "|$(REPO_URI)|/a:b.list:3\n", "http://mirror.example/debian", "/a:b.list",
		  3 },
		{ MAIN "||/a.list:3\n", "http://mirror.example/debian", "/a.list", 3 },
		{ "", NULL, NULL, 0 },
		{ "\n\n||||||||\n", NULL, NULL, 0 },
		{ MAIN "|http://m.example/|/a.list\n", NULL, NULL, 0 },
		{ MAIN "|http://m.example/|/a.list:0\n", NULL, NULL, 0 },
		{ MAIN "|http://m.example/|/a.list:x\n", NULL, NULL, 0 },
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct kt_aptparse_target target;

		cr_assert_eq(kt_aptparse_target(rows[i].text, &target), rows[i].uri != NULL,
			     "row %zu", i);
		if (!rows[i].uri)
			continue;
		cr_assert_str_eq(target.uri, rows[i].uri, "row %zu", i);
		cr_assert_str_eq(target.entry_file, rows[i].file, "row %zu", i);
		cr_assert_eq(target.entry, rows[i].entry, "row %zu", i);
	}
}

static const char stanzas[] =
	"# a comment\n"
	"Types: deb\nURIs: http://a.example\nSigned-By: /keys/a.gpg /keys/b.gpg\n"
	"\n# another\n\n"
	"Types: deb\nsigned-by:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n"
	"Suites: sid\n\n"
	"Types: deb\nURIs: http://c.example\n";

Test(aptparse, the_signers_of_an_entry_are_copied_as_they_stand)
{
	static const struct {
		const char *text, *signers; /* signers NULL: no such entry */
		unsigned int entry;
		bool deb822;
	} rows[] = {
		{ stanzas, "/keys/a.gpg /keys/b.gpg", 1, true },
		{ stanzas, "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME", 2, true },
		{ stanzas, "", 3, true },
		{ stanzas, NULL, 4, true },
		{ "deb http://a.example sid main\n", "", 1, false },
		{ "# x\ndeb [arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg] http://a.example sid "
		  "main\n",
		  "/keys/a.gpg /keys/b.gpg", 2, false },
		{ "deb [ signed-by=/keys/a.gpg ] http://a.example sid main\n", "/keys/a.gpg", 1,
		  false },
		{ "# x\n", NULL, 1, false },
		{ "deb http://a.example sid main\n", NULL, 2, false },
	};

	for (size_t i = 0; i < N(rows); i++) {
		static char signers[KT_APTPARSE_SIGNERS_BYTES];
		bool found =
			kt_aptparse_signers(rows[i].text, rows[i].deb822, rows[i].entry, signers);

		cr_assert_eq(found, rows[i].signers != NULL, "row %zu", i);
		if (found)
			cr_assert_str_eq(signers, rows[i].signers, "row %zu", i);
	}
}

Test(aptparse, a_key_too_long_for_its_place_is_refused_not_cut)
{
	static char text[2 * KT_APTPARSE_SIGNERS_BYTES] = "Types: deb\nSigned-By:\n";
	static char signers[KT_APTPARSE_SIGNERS_BYTES];
	size_t len = strlen(text);

	while (len + 64 < sizeof text) {
		memcpy(text + len,
		       " 0123456789012345678901234567890123456789012345678901234567890\n", 63);
		len += 63;
	}
	cr_assert_not(kt_aptparse_signers(text, true, 1, signers));
}

Test(aptparse, dependencies_lead_to_the_image)
{
	static const struct {
		const char *depends, *image, *base;
	} rows[] = {
		{ "linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)",
		  "linux-image-6.1.0-50-cloud-amd64", "" },
		{ "linux-base-cloud-amd64 (= 7.2.13-1), linux-image-7.2.13+deb14-cloud-amd64 (= "
		  "7.2.13-1)",
		  "linux-image-7.2.13+deb14-cloud-amd64", "linux-base-cloud-amd64" },
		{ "dracut | initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool, "
		  "linux-base-7.2.13+deb14-cloud-amd64 (= 7.2.13-1), "
		  "linux-binary-7.2.13+deb14-cloud-amd64 (= 7.2.13-1), "
		  "linux-modules-7.2.13+deb14-cloud-amd64 (= 7.2.13-1)",
		  "linux-binary-7.2.13+deb14-cloud-amd64", "linux-base-7.2.13+deb14-cloud-amd64" },
		{ "kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | "
		  "linux-initramfs-tool",
		  "", "" },
		{ "linux-binary-x:amd64", "linux-binary-x", "" },
		{ "linux-image-../../etc/passwd", "", "" },
		{ ",,|, ,linux-image-", "linux-image-", "" },
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct kt_aptparse_package package;
		char text[1024];

		snprintf(
			text, sizeof text,
			"Package: linux-image-cloud-amd64\nVersion: 7.2.13-1~bpo13+1\nDepends: %s\n"
			"Size: 1708\nSHA256: abcd\n\nPackage: another\nDepends: linux-binary-no\n",
			rows[i].depends);
		cr_assert(kt_aptparse_package(text, &package), "row %zu", i);
		cr_assert_str_eq(package.name, "linux-image-cloud-amd64");
		cr_assert_str_eq(package.version, "7.2.13-1~bpo13+1");
		cr_assert_str_eq(package.image, rows[i].image, "row %zu: %s", i, package.image);
		cr_assert_str_eq(package.base, rows[i].base, "row %zu: %s", i, package.base);
		cr_assert_eq(package.bytes, 1708);
		cr_assert_str_eq(package.sha256, "abcd");
	}
}

Test(aptparse, a_package_that_could_be_an_option_or_a_path_is_refused)
{
	static const char *const rows[] = { "Package: -o\nVersion: 1\n",
					    "Package: a/b\nVersion: 1\n",
					    "Package: a\nVersion: 1;rm\n",
					    "Package: a\n",
					    "Version: 1\n",
					    "",
					    "\nPackage: a\nVersion: 1\n" };
	struct kt_aptparse_package package;

	for (size_t i = 0; i < N(rows); i++)
		cr_assert_not(kt_aptparse_package(rows[i], &package), "row %zu", i);
}

Test(aptparse, status_lines_tell_percent)
{
	unsigned int percent = 7;

	cr_assert(kt_aptparse_status("dlstatus:3:18.1167:Retrieving file 3 of 3", &percent));
	cr_assert_eq(percent, 18);
	cr_assert(kt_aptparse_status("dlstatus:1:100.0000:x", &percent));
	cr_assert_eq(percent, 100);
	cr_assert(kt_aptparse_status("dlstatus:", &percent));
	cr_assert_eq(percent, 0);
	cr_assert_not(kt_aptparse_status("pmstatus:x:50:y", &percent));
	cr_assert_not(kt_aptparse_status("", &percent));
}

Test(aptparse, words_cannot_leave_their_folder_or_be_options)
{
	static const char *const good[] = { "sid", "trixie-backports",
					    "linux-image-7.2.13+deb14-cloud-amd64", "7.1" };
	static const char *const bad[] = { "",    "-o",  ".hidden", "..", "a/b",
					   "Sid", "a b", "a_b",     "a\n" };

	for (size_t i = 0; i < N(good); i++)
		cr_assert(kt_aptparse_word(good[i]), "%s", good[i]);
	for (size_t i = 0; i < N(bad); i++)
		cr_assert_not(kt_aptparse_word(bad[i]), "%s", bad[i]);
}
