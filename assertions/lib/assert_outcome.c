#include "assertions/lib/ktassert.h"
#include "assertions/verdict.h"

const char *kt_assert_outcome_name(enum kt_assert_outcome outcome)
{
	return kt_verdict_outcome_name((enum kt_verdict_outcome)outcome);
}
