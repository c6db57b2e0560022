#include "proto/patience.h"

#include <criterion/criterion.h>

Test(patience, every_row_is_filled_and_grows_with_the_guest)
{
	for (int what = 0; what < KT_PATIENCE_N; what++)
		for (int kvm = 0; kvm < 2; kvm++) {
			int64_t small = kt_patience_ns(what, kvm, 1, 0);
			int64_t large = kt_patience_ns(what, kvm, 255, 1024);

			cr_assert_gt(small, 0, "row %d", what);
			cr_assert_geq(large, small, "row %d", what);
			cr_assert_leq(kt_patience_ns(what, true, 8, 1),
				      kt_patience_ns(what, false, 8, 1), "row %d", what);
		}
}

Test(patience, a_boot_is_expected_long_before_it_is_given_up)
{
	for (uint64_t cpus = 1; cpus < 256; cpus++)
		cr_assert_lt(4 * kt_patience_expected_ns(KT_PATIENCE_BOOT, false, cpus),
			     kt_patience_ns(KT_PATIENCE_BOOT, false, cpus, 0));
}
