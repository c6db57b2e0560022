#include "worker/cage.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static size_t cages(void)
{
	char pattern[64];
	glob_t found = { 0 };
	size_t n = 0;

	/* Two levels are enough for where tests run. */
	for (int depth = 0; depth < 3; depth++) {
		static const char *const between[] = { "", "*/", "*/*/" };

		snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/%sktcoord-%d", between[depth],
			 (int)getpid());
		if (glob(pattern, 0, NULL, &found) == 0)
			n += found.gl_pathc;
		globfree(&found);
	}
	return n;
}

Test(cage, what_is_made_is_removed_and_what_cannot_be_limited_is_said)
{
	static const char *const resources[] = { "memory", "pids", "cpu" };
	struct kt_cage_limits limits = { 1 << 30, 64, 2 };
	KT_AUTO_BUF notes = { 0 };
	struct kt_cage *cage = kt_cage_create(&limits, &notes);

	for (size_t i = 0; i < 3; i++)
		cr_assert(strstr(kt_cage_describe(cage), resources[i]) ||
				  strstr(kt_buf_text(&notes), resources[i]),
			  "%s is neither limited (%s) nor said to be without (%s)", resources[i],
			  kt_cage_describe(cage), kt_buf_text(&notes));
	kt_cage_sweep();
	cr_assert(!kt_cage_saw_oom(cage));
	kt_cage_destroy(&cage);
	cr_assert_null(cage);
	cr_assert_eq(cages(), 0);
}
