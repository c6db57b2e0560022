#include "assertions/lib/ktassert.h"

const char *kt_assert_version(void)
{
	return KT_VERSION;
}
