#include "proto/net/strangers.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(strangers, one_that_tries_for_ever_is_told_of_once_a_minute)
{
	struct kt_strangers strangers = { 0 };
	uint64_t n_untold = 0;
	size_t n_told = 0;

	for (int64_t at_s = 0; at_s < 3600; at_s++) {
		uint64_t more = 0;

		if (!kt_strangers_tell(&strangers, at_s * KT_NS_PER_S, "x", &more))
			continue;
		n_told++;
		n_untold += more;
		cr_assert(more == (n_told == 1 ? 0 : 59));
	}
	cr_assert(n_told == 60);
	cr_assert(n_told + n_untold + 59 == 3600, "none is forgotten in the count");
	kt_strangers_destroy(&strangers);
}

Test(strangers, ten_thousand_of_them_are_a_line_a_second)
{
	struct kt_strangers strangers = { 0 };
	size_t n_told = 0;
	uint64_t more;
	char id[32];

	for (int i = 0; i < 10000; i++) { /* a hundred a second */
		snprintf(id, sizeof(id), "10.0.%d.%d", i / 256, i % 256);
		n_told += kt_strangers_tell(&strangers, i * KT_NS_PER_S / 100, id, &more);
	}
	cr_assert(n_told >= KT_STRANGERS_BURST + 99 && n_told <= KT_STRANGERS_BURST + 101, "%zu",
		  n_told);
	/* Who is long ago is forgotten, not kept for ever: the table is bounded. */
	cr_assert(kt_strangers_tell(&strangers, 1000 * KT_NS_PER_S, "10.0.0.0", &more));
	kt_strangers_destroy(&strangers);
}

Test(strangers, a_new_one_is_told_of_although_another_is_not)
{
	struct kt_strangers strangers = { 0 };
	uint64_t more;

	cr_assert(kt_strangers_tell(&strangers, 5, "a", &more) && more == 0);
	cr_assert(!kt_strangers_tell(&strangers, 6, "a", &more));
	cr_assert(kt_strangers_tell(&strangers, 7, "b", &more) && more == 1);
	cr_assert(kt_strangers_tell(&strangers, 5 + KT_STRANGERS_AGAIN_NS, "a", &more) &&
		  more == 0);
	kt_strangers_destroy(&strangers);
	kt_strangers_destroy(&strangers);
}
