#include "proto/net/allow.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#define A "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define B "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
#define C "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static struct kt_allow *parsed(const char *text)
{
	struct kt_allow *allow = NULL;
	struct kt_err err = { 0 };

	cr_assert(kt_allow_parse("f", text, strlen(text), &allow, &err) == 0, "%s", err.text);
	return allow;
}

static void expect(const struct kt_allow *allow, const char *text)
{
	KT_AUTO_BUF out = { 0 };

	kt_allow_print(allow, &out);
	cr_assert(strcmp(kt_buf_text(&out), text) == 0, "%s", kt_buf_text(&out));
}

Test(allow, a_list_is_looked_up_by_key_and_by_name)
{
	KT_AUTO(kt_allow_destroy)
	struct kt_allow *allow = parsed("# lab\n" A " work lab1 # since\n\n" B "\tobserve  lab2\n");

	cr_assert(allow->n == 2);
	cr_assert(strcmp(kt_allow_find(allow, A)->name, "lab1") == 0);
	cr_assert(kt_allow_find(allow, B)->role == KT_ROLE_OBSERVE);
	cr_assert(kt_allow_find(allow, B)->line == 4);
	cr_assert(kt_allow_find_name(allow, "lab2") == kt_allow_find(allow, B));
	cr_assert(!kt_allow_find(allow, C));
	cr_assert(!kt_allow_find(allow, ""));
	cr_assert(!kt_allow_find_name(allow, "lab3"));
	cr_assert(!kt_allow_find_name(allow, ""));
}

Test(allow, what_a_person_wrote_stays_when_hosts_come_and_go)
{
	KT_AUTO(kt_allow_destroy)
	struct kt_allow *allow =
		parsed("# one\n" A " work lab1 #x\n# two\n" B " work lab2\n# end\n");
	struct kt_err err = { 0 };

	expect(allow, "# one\n" A " work lab1 #x\n# two\n" B " work lab2\n# end\n");
	cr_assert(kt_allow_add(allow, C, KT_ROLE_OBSERVE, "lab3", "a\nb\x01", &err) == 0);
	expect(allow, "# one\n" A " work lab1 #x\n# two\n" B " work lab2\n# end\n" C
		      " observe lab3 # a b \n");
	cr_assert(kt_allow_remove(allow, "lab1"));
	expect(allow, "# one\n# two\n" B " work lab2\n# end\n" C " observe lab3 # a b \n");
	cr_assert(kt_allow_remove(allow, C));
	expect(allow, "# one\n# two\n" B " work lab2\n# end\n");
	cr_assert(!kt_allow_remove(allow, "lab1"));
	cr_assert(kt_allow_remove(allow, B));
	expect(allow, "# one\n# two\n# end\n");
	cr_assert(allow->n == 0 && !kt_allow_find(allow, B));
}

Test(allow, every_mistake_is_said_with_file_and_line_and_what_would_be_right)
{
	static const struct {
		const char *text;
		const char *why;
	} rows[] = {
		{ A "\n", "f:1: expected three words: public key, role (work or observe), name" },
		{ A " work\n", "f:1: expected three words" },
		{ A " work # lab1\n", "f:1: expected three words" },
		{ "\n" A " wrok lab1\n", "f:2: no role 'wrok'; did you mean 'work'?" },
		{ A " WORK lab1\n", "f:1: no role 'WORK'" },
		{ A " work lab1 lab2\n", "f:1: 'lab2' is one word too many" },
		{ "short work lab1\n", "f:1: 'short' is no public key" },
		{ "-" A " work lab1\n", "is no public key" },
		{ A " work ../lab\n", "f:1: '../lab' is no name of a host" },
		{ A " work .lab\n", "'.lab' is no name of a host" },
		{ A " work -lab\n", "'-lab' is no name of a host" },
		{ A " work l\xc3\xa4"
		    "b\n",
		  "is no name of a host" },
		{ A " work x\n" B " work x\n", "f:2: the name 'x' has a key already further up" },
		{ A " work x\n" A " work y\n",
		  "f:2: this key is in the list already, as 'x' further up" },
		{ A " work x\r\n", "f:1: byte 48 of the line is a control character (0x0d)" },
		{ A " work x\x7f\n", "is no name of a host" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_allow *allow = NULL;
		struct kt_err err = { 0 };
		int status = kt_allow_parse("f", rows[i].text, strlen(rows[i].text), &allow, &err);

		cr_assert(status == -EINVAL, "row %zu", i);
		cr_assert(err.fault == KT_FAULT_INPUT && !allow);
		cr_assert(strstr(err.text, rows[i].why), "row %zu: %s", i, err.text);
	}
}

Test(allow, a_nul_and_a_line_without_end_are_refused)
{
	static char text[KT_ALLOW_LINE_BYTES_MAX + 2];
	struct kt_allow *allow = NULL;
	struct kt_err err = { 0 };

	cr_assert(kt_allow_parse("f", A " work a\0b", sizeof(A " work a\0b"), &allow, &err) ==
		  -EINVAL);
	cr_assert(strstr(err.text, "control character (0x00)"), "%s", err.text);
	memset(text, '#', sizeof(text) - 1);
	cr_assert(kt_allow_parse("f", text, sizeof(text) - 1, &allow, &err) == -EINVAL);
	cr_assert(strstr(err.text, "f:1: a line of 513 bytes: at most 512"), "%s", err.text);
	cr_assert(kt_allow_parse("f", text, KT_ALLOW_FILE_BYTES_MAX + 1, &allow, &err) == -EINVAL);
}

Test(allow, as_many_keys_as_a_fleet_may_have_and_not_one_more)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = kt_allow_new();
	KT_AUTO(kt_allow_destroy) struct kt_allow *again = NULL;
	KT_AUTO_BUF text = { 0 };
	struct kt_err err = { 0 };
	char key[KT_KEY_CHARS + 1];
	char name[32];

	for (int i = 0; i <= KT_KEYS_MAX; i++) {
		int status;

		snprintf(key, sizeof(key), "a%09d%030d", i, 0);
		snprintf(name, sizeof(name), "h%d", i);
		status = kt_allow_add(allow, key, KT_ROLE_WORK, name, "since 2026-11-23", &err);
		cr_assert((status == 0) == (i < KT_KEYS_MAX), "%d: %s", i, err.text);
	}
	cr_assert(strstr(err.text, "more than 16384 keys"), "%s", err.text);
	kt_allow_print(allow, &text);
	cr_assert(text.len <= KT_ALLOW_FILE_BYTES_MAX);
	cr_assert(kt_allow_parse("f", (char *)text.data, text.len, &again, &err) == 0, "%s",
		  err.text);
	cr_assert(again->n == KT_KEYS_MAX);
}

Test(allow, a_file_that_others_may_change_is_refused_and_none_is_an_empty_list)
{
	char dir[] = "/tmp/kt-allow-XXXXXX";
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = NULL;
	KT_AUTO_FREE char *path = NULL;
	struct kt_allow *again = NULL;
	struct kt_err err = { 0 };

	cr_assert(mkdtemp(dir));
	path = kt_must_asprintf("%s/allowed", dir);
	cr_assert(kt_allow_read(path, &allow, &err) == 0 && allow->n == 0 && !err.code);
	cr_assert(kt_allow_add(allow, A, KT_ROLE_WORK, "lab1", NULL, &err) == 0);
	cr_assert(kt_allow_write(path, allow, &err) == 0, "%s", err.text);
	cr_assert(kt_allow_read(path, &again, &err) == 0 && again->n == 1);
	kt_allow_destroy(&again);
	cr_assert(chmod(path, 0666) == 0);
	cr_assert(kt_allow_read(path, &again, &err) == -EPERM);
	cr_assert(strstr(err.text, "chmod 644"), "%s", err.text);
	unlink(path);
	cr_assert(rmdir(dir) == 0);
}
