#include "proto/job.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct kt_bin digest_of(char fill)
{
	static uint8_t bytes[256][KT_DIGEST_BYTES];

	memset(bytes[(uint8_t)fill], fill, KT_DIGEST_BYTES);
	return (struct kt_bin){ bytes[(uint8_t)fill], KT_DIGEST_BYTES };
}

Test(job, every_program_of_a_job_is_an_artifact_and_shared_ones_are_fetched_once)
{
	struct kt_msg_file own[] = {
		{ .path = "/kt/bin/a", .digest = digest_of('a'), .bytes = 1 },
		{ .path = "/kt/lib/c", .digest = digest_of('c'), .bytes = 2 }
	};
	struct kt_msg_file others[] = {
		{ .path = "/kt/bin/b", .digest = digest_of('b'), .bytes = 3 },
		{ .path = "/kt/lib/c", .digest = digest_of('c'), .bytes = 2 }
	};
	struct kt_msg_file loads[] = {
		{ .path = "/kt/bin/p", .digest = digest_of('p'), .bytes = 4 }
	};
	struct kt_msg_kernel kernel = { .name = "k", .digest = digest_of('k'), .bytes = 5 };
	struct kt_msg_scheduler scheduler = { .name = "a", .files = own, .n_files = 2 };
	struct kt_msg_scheduler other = { .name = "b", .files = others, .n_files = 2 };
	struct kt_msg_payload payload = { .name = "p", .files = loads, .n_files = 1 };
	struct kt_msg_job job = { .kernel = &kernel,
				  .scheduler = &scheduler,
				  .schedulers = &other,
				  .n_schedulers = 1,
				  .payloads = &payload,
				  .n_payloads = 1 };
	static const char expected[] = "kacbp";
	struct kt_job_artifact list[KT_FILES_MAX];
	struct kt_err err = { 0 };

	cr_assert_eq(kt_job_artifacts(&job, list, &err), 5, "%s", err.text);
	for (size_t i = 0; expected[i]; i++)
		cr_assert_eq(list[i].digest.bytes[0], expected[i], "artifact %zu", i);
	loads[0].digest.len = 3;
	cr_assert_eq(kt_job_artifacts(&job, list, &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
}
