/* verdict.c - a verdict plug-in: what examples/temporal.toml asserts, as a program.
 *
 * Both counters are projected out of the samples, must progress and may never fall; the scheduler's own one
 * must stay below a limit. Then something that no assertion can say: the two must tell the same story.
 *
 *	make                            with libktassert installed (pkg-config finds it)
 *	ktcoord matrix.toml             in this folder
 */
#include <ktassert.h>
#include <ktassert_plugin.h>

#include <stdio.h>

#define OF(array_) (sizeof(array_) / sizeof((array_)[0]))

/* What must hold of a series, in the words of a matrix. */
static const struct {
	const char *series;
	const char *assertion;
} rules[] = {
	{ "bpf:nr_dispatched", "nondecreasing = true, must_progress = true, min_samples = 2" },
	{ "stats:nr_dispatched", "nondecreasing = true, must_progress = true, min_samples = 2,"
				 "each = { at_most = 1_000_000_000_000 }" },
};

/* The last sample in which both have a value: the scheduler says no more than the kernel's memory shows. The
 * statistics are asked for while the guest still runs, a moment before its memory is read.
 */
static void compare(const struct kt_assert_column *seen, const struct kt_assert_column *said,
		    struct kt_assert_verdict *verdict)
{
	for (size_t i = kt_assert_column_size(seen); i-- > 0;) {
		if (kt_assert_column_kind(seen, i) != KT_ASSERT_U64 ||
		    kt_assert_column_kind(said, i) != KT_ASSERT_U64)
			continue;
		kt_assert_verdict_say(verdict,
				      kt_assert_column_u64(said, i) > kt_assert_column_u64(seen, i)
					      ? KT_ASSERT_FAIL
					      : KT_ASSERT_PASS,
				      "same story",
				      "at %s the scheduler says %llu dispatches, its memory %llu",
				      kt_assert_column_tag(seen, i),
				      (unsigned long long)kt_assert_column_u64(said, i),
				      (unsigned long long)kt_assert_column_u64(seen, i));
		return;
	}
	kt_assert_verdict_say(verdict, KT_ASSERT_INCONCLUSIVE, "same story",
			      "in no sample both counters could be read");
}

KT_ASSERT_PLUGIN(const struct kt_assert_series *series, struct kt_assert_verdict *verdict)
{
	struct kt_assert_column *columns[OF(rules)] = { 0 };
	struct kt_assert_error error;
	int status = 0;

	for (size_t i = 0; i < OF(rules) && status == 0; i++) {
		status = kt_assert_column_of(series, rules[i].series, &columns[i], &error);
		if (status == 0)
			status = kt_assert_judge_column(verdict, columns[i], rules[i].assertion,
							&error);
	}
	if (status == 0)
		compare(columns[0], columns[1], verdict);
	else
		fprintf(stderr, "%s\n", error.text); /* ktcoord keeps what is printed */
	for (size_t i = 0; i < OF(rules); i++)
		kt_assert_column_destroy(&columns[i]);
	return status;
}
