#include "worker/guest/gcgroup.h"

#include <criterion/criterion.h>

Test(gcgroup, a_name_is_one_component)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "cg_0", true }, { "...", true },  { "", false },  { ".", false },
		{ "..", false },  { "a/b", false }, { "/", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_gcgroup_name_ok(cases[i].name), cases[i].ok, "%s", cases[i].name);
}
