#include "proto/base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(err, texts_read_from_the_outside_in)
{
	struct kt_err err = { 0 };

	cr_assert(kt_err_sys(&err, KT_FAULT_HOST, EACCES, "opening %s", "/dev/kvm") == -EACCES);
	cr_assert(kt_err_wrap(&err, "booting cell %d", 7) == -EACCES);
	cr_assert(strcmp(err.text, "booting cell 7: opening /dev/kvm: Permission denied") == 0,
		  "%s", err.text);
	cr_assert(err.code == EACCES);
	cr_assert(err.fault == KT_FAULT_HOST);
}

Test(err, nobody_need_care_for_the_text)
{
	cr_assert(kt_err_set(NULL, KT_FAULT_PEER, EPROTO, "x") == -EPROTO);
	cr_assert(kt_err_sys(NULL, KT_FAULT_PEER, EPROTO, "x") == -EPROTO);
	cr_assert(kt_err_wrap(NULL, "x") < 0);
}

Test(err, a_long_text_is_cut_and_says_so)
{
	char text[2 * KT_ERR_TEXT_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (size_t len = KT_ERR_TEXT_MAX - 40; len < KT_ERR_TEXT_MAX + 40; len++) {
		struct kt_err errs[3] = { 0 };
		size_t whole[3];

		kt_err_set(&errs[0], KT_FAULT_BUG, EIO, "%.*s", (int)len, text);
		kt_err_sys(&errs[1], KT_FAULT_BUG, EIO, "%.*s", (int)len, text);
		kt_err_set(&errs[2], KT_FAULT_BUG, EIO, "inner");
		kt_err_wrap(&errs[2], "%.*s", (int)len, text);
		whole[0] = len;
		whole[1] = len + strlen(": ") + strlen(strerror(EIO));
		whole[2] = len + strlen(": inner");
		for (size_t i = 0; i < 3; i++) {
			size_t n = strlen(errs[i].text);

			if (whole[i] < KT_ERR_TEXT_MAX) {
				cr_assert(n == whole[i]);
				continue;
			}
			cr_assert(n == KT_ERR_TEXT_MAX - 1, "%zu, case %zu: %zu", len, i, n);
			cr_assert(strcmp(errs[i].text + n - 3, "...") == 0, "case %zu", i);
		}
	}
}

Test(err, every_fault_has_a_name_of_its_own)
{
	for (int a = 0; a < KT_FAULT_N; a++)
		for (int b = 0; b < a; b++)
			cr_assert(strcmp(kt_err_fault_name((enum kt_fault)a),
					 kt_err_fault_name((enum kt_fault)b)) != 0);
}
