#include "fixture.h"

#include <errno.h>

static int append(struct kt_series *series, uint64_t seq, struct kt_err *err)
{
	KT_AUTO_BUF body = { 0 };
	struct kt_value value = kt_value_u64(seq * 10);

	fixture_body(seq, (int64_t)seq * 100, "", "stats", &value, "", &body);
	return kt_series_append(series, body.data, body.len, err);
}

Test(series, keeps_samples_by_number_however_they_come)
{
	static const uint64_t orders[][5] = {
		{ 0, 1, 2, 3, 4 }, { 4, 3, 2, 1, 0 }, { 2, 0, 4, 1, 3 }, { 1, 0, 3, 2, 4 }
	};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		KT_AUTO_SERIES series = { 0 };

		for (size_t j = 0; j < 5; j++)
			cr_assert_eq(append(&series, orders[i][j], NULL), 0);
		cr_assert_eq(series.n, 5);
		for (size_t j = 0; j < 5; j++) {
			const struct kt_msg_sample *sample = kt_series_at(&series, j);
			const struct kt_msg_axis *axis =
				kt_series_axis_of(sample, KT_SERIES_AXIS_STATS);

			cr_assert_eq(sample->seq, j);
			cr_assert_not_null(axis);
			cr_assert_eq(axis->value.u64, j * 10);
			cr_assert_null(kt_series_axis_of(sample, KT_SERIES_AXIS_BPF));
		}
	}
}

Test(series, refuses_a_sample_that_is_there_already)
{
	KT_AUTO_SERIES series = { 0 };
	struct kt_err err = { 0 };

	cr_assert_eq(append(&series, 3, &err), 0);
	cr_assert_eq(append(&series, 1, &err), 0);
	cr_assert_eq(append(&series, 3, &err), -EEXIST);
	cr_assert_eq(err.fault, KT_FAULT_PEER);
	cr_assert_eq(append(&series, 1, &err), -EEXIST);
	cr_assert_eq(series.n, 2);
}

Test(series, refuses_what_is_too_large_and_stays_as_it_was)
{
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_FREE uint8_t *large = calloc(1, KT_SAMPLE_BYTES_MAX + 1);
	KT_AUTO_BUF body = { 0 };
	struct kt_err err = { 0 };
	struct kt_value value = kt_value_u64(1);

	cr_assert_eq(append(&series, 0, &err), 0);
	cr_assert_eq(kt_series_append(&series, large, KT_SAMPLE_BYTES_MAX + 1, &err), -EFBIG);
	fixture_body(7, 100, "", "stats", &value, "", &body);
	for (size_t len = 0; len < body.len; len++) {
		cr_assert_eq(kt_series_append(&series, body.data, len, &err), -EPROTO);
		cr_assert_eq(err.fault, KT_FAULT_PEER);
	}
	series.bytes = KT_SERIES_BYTES_MAX;
	cr_assert_eq(append(&series, 1, &err), -EFBIG);
	cr_assert_eq(series.n, 1);
}

Test(series, holds_as_many_samples_as_the_limit_and_no_more)
{
	KT_AUTO_SERIES series = { 0 };

	for (uint64_t seq = 0; seq < KT_SAMPLES_PER_ATTEMPT_MAX; seq++)
		cr_assert_eq(append(&series, seq, NULL), 0);
	cr_assert_eq(append(&series, KT_SAMPLES_PER_ATTEMPT_MAX, NULL), -EFBIG);
	cr_assert_eq(series.n, KT_SAMPLES_PER_ATTEMPT_MAX);
}

Test(series, refuses_an_axis_that_is_there_twice)
{
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_BUF body = { 0 };
	struct kt_msg_axis axes[] = { { .name = "bpf", .error = "", .text = "" },
				      { .name = "bpf", .error = "", .text = "" } };
	struct kt_msg_sample sample = { .tag = "a", .placeholder = "", .axes = axes, .n_axes = 2 };

	kt_codec_encode(&kt_schema_sample, &sample, &body);
	cr_assert_eq(kt_series_append(&series, body.data, body.len, NULL), -EPROTO);
	cr_assert_eq(series.n, 0);
}
