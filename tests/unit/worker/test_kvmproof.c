#include "worker/kvmproof.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>

/* Whatever this host has: the proof comes back in time, with a reason. */
Test(kvmproof, always_ends_with_a_reason)
{
	struct kt_kvmproof proof;

	cr_assert_eq(kt_kvmproof_run(&proof), 0);
	cr_assert_neq(proof.reason[0], 0);
	cr_assert_lt(proof.took_ns, 10 * KT_NS_PER_S);
}
