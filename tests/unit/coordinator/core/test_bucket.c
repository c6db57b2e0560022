#include "coordinator/core/bucket.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(bucket, a_rate_is_a_whole_number_with_a_unit)
{
	static const struct {
		const char *text;
		uint64_t rate; /* 0: refused */
	} rows[] = {
		{ "100M", 100u << 20 },
		{ "512K", 512u << 10 },
		{ "1G", 1u << 30 },
		{ "16384", 16384 },
		{ "16383", 0 },
		{ "0", 0 },
		{ "", 0 },
		{ "M", 0 },
		{ "-1M", 0 },
		{ " 1M", 0 },
		{ "1m", 0 },
		{ "1MB", 0 },
		{ "1.5M", 0 },
		{ "1048576G", (uint64_t)1 << 50 },
		{ "1048577G", 0 },
		{ "18446744073709551617", 0 },
		{ "99999999999999999999999999999999G", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_err err = { 0 };
		uint64_t rate = 0;
		int status = kt_bucket_parse(rows[i].text, &rate, &err);

		cr_assert_eq(status, rows[i].rate ? 0 : -EINVAL, "%s", rows[i].text);
		cr_assert_eq(rate, rows[i].rate, "%s", rows[i].text);
		cr_assert_eq(err.fault, rows[i].rate ? KT_FAULT_NONE : KT_FAULT_INPUT);
	}
}

/* Looked at every step_ns for a minute: how many bytes went through? */
static double rate_of(uint64_t rate, uint64_t piece, int64_t step_ns)
{
	struct kt_bucket bucket = { .rate = rate };
	uint64_t bytes = 0;

	for (int64_t now_ns = KT_NS_PER_S; now_ns < 61 * KT_NS_PER_S; now_ns += step_ns)
		while (kt_bucket_is_free(&bucket, now_ns)) {
			kt_bucket_take(&bucket, now_ns, piece);
			bytes += piece;
		}
	return (double)bytes / 60;
}

Test(bucket, over_a_minute_the_rate_is_what_was_said)
{
	static const uint64_t rates[] = { 64u << 10, 1u << 20, 100u << 20, 1u << 30 };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		double often = rate_of(rates[i], KT_CHUNK_BYTES_MAX, KT_NS_PER_MS);
		double seldom = rate_of(rates[i], KT_CHUNK_BYTES_MAX, 15 * KT_NS_PER_MS);
		double piece = (double)KT_CHUNK_BYTES_MAX / 60;

		cr_assert_leq(often, (double)rates[i] * 1.001 + piece);
		cr_assert_geq(often, (double)rates[i] * 0.999 - piece);
		cr_assert_geq(seldom, (double)rates[i] * 0.999 - piece);
		cr_assert_leq(seldom, (double)rates[i] * 1.001 + piece);
	}
}

Test(bucket, a_line_that_was_idle_saves_up_no_more_than_the_burst)
{
	struct kt_bucket bucket = { .rate = 1u << 20 };
	int64_t now_ns = 3600 * KT_NS_PER_S;
	uint64_t bytes = 0;

	kt_bucket_take(&bucket, KT_NS_PER_S, 1);
	while (kt_bucket_is_free(&bucket, now_ns)) {
		kt_bucket_take(&bucket, now_ns, 1024);
		bytes += 1024;
	}
	cr_assert_leq(bytes, (1u << 20) / 50 + 2048); /* 20 ms of it */
	cr_assert_gt(kt_bucket_free_at_ns(&bucket), now_ns);
}

Test(bucket, without_a_rate_everything_goes)
{
	struct kt_bucket bucket = { 0 };

	kt_bucket_take(&bucket, 5, KT_FILE_BYTES_MAX);
	cr_assert(kt_bucket_is_free(&bucket, INT64_MIN));
}
