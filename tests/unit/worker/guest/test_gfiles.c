#include "worker/guest/gfiles.h"

#include <criterion/criterion.h>
#include <string.h>

Test(gfiles, a_path_stays_below_the_root)
{
	static const struct {
		const char *path;
		bool ok;
	} cases[] = {
		{ "/kt/bin/scx_kt", true },
		{ "/kt/a", true },
		{ "/kt/...", true },
		{ "/kt/..a/.b", true },
		{ "/kt", false },
		{ "/kt/", false },
		{ "/kt//a", false },
		{ "/kt/a/", false },
		{ "/kt/.", false },
		{ "/kt/..", false },
		{ "/kt/a/../../etc", false },
		{ "/kt/./a", false },
		{ "/ktx/a", false },
		{ "kt/a", false },
		{ "", false },
		{ "/etc/passwd", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_gfiles_path_ok(cases[i].path), cases[i].ok, "%s", cases[i].path);
}
