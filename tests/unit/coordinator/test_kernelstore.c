#include "coordinator/kernelstore.h"

#include "coordinator/kernels.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct kt_kernelstore_record full = {
	.digest = { .bytes = { 1, 2, 3, 255 } },
	.bytes = 14026688,
	.release = "7.2.13+deb14-cloud-amd64",
	.suite = "sid",
	.package = "linux-binary-7.2.13+deb14-cloud-amd64",
	.package_version = "7.2.13-1",
	.deb_sha256 = "6f0b2361dee2520fca3bd073a2734bec00241d2cb5779d917edc862051d8f59c",
	.sched_ext = KT_KERNELS_EXT_YES,
	.fetched_at_ns = 1795000000123456789,
};

Test(kernelstore, a_record_reads_back_as_it_was_written)
{
	KT_AUTO_FREE char *text = kt_kernelstore_record_text(&full);
	struct kt_kernelstore_record back;
	struct kt_err err;

	cr_assert_eq(kt_kernelstore_record_parse(text, &back, &err), 0, "%s", err.text);
	cr_assert(kt_digest_equal(&back.digest, &full.digest));
	cr_assert_eq(back.bytes, full.bytes);
	cr_assert_str_eq(back.release, full.release);
	cr_assert_str_eq(back.suite, full.suite);
	cr_assert_str_eq(back.package, full.package);
	cr_assert_str_eq(back.package_version, full.package_version);
	cr_assert_str_eq(back.deb_sha256, full.deb_sha256);
	cr_assert_eq(back.sched_ext, full.sched_ext);
	cr_assert_eq(back.fetched_at_ns, full.fetched_at_ns);
}

Test(kernelstore, a_name_reads_back_as_it_was_written)
{
	struct kt_kernelstore_name name = { .name = "sid/linux-image-cloud-amd64",
					    .digest = full.digest,
					    .resolved_at_ns = 1795000000123456789 };
	KT_AUTO_FREE char *text = kt_kernelstore_name_text(&name);
	struct kt_kernelstore_name back;
	struct kt_err err;

	cr_assert_eq(kt_kernelstore_name_parse(text, &back, &err), 0, "%s", err.text);
	cr_assert_str_eq(back.name, name.name);
	cr_assert(kt_digest_equal(&back.digest, &name.digest));
	cr_assert_eq(back.resolved_at_ns, name.resolved_at_ns);
}

/* text with the first `from` replaced */
static char *changed(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	cr_assert(at, "%s", from);
	return kt_must_asprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

Test(kernelstore, a_record_that_is_not_ours_is_refused_with_the_field_named)
{
	static const struct {
		const char *from, *to, *says;
	} rows[] = {
		{ "{", "[", "JSON" },
		{ "\"format\":1", "\"format\":2", "format" },
		{ "\"bytes\":14026688", "\"bytes\":\"many\"", "bytes" },
		{ "\"bytes\":14026688", "\"bytes\":-1", "bytes" },
		{ "\"release\":", "\"realease\":", "release" },
		{ "\"suite\":\"sid\"", "\"suite\":7", "suite" },
		{ "\"suite\":\"sid\"", "\"suite\":\"a\\u0000b\"", "suite" },
		{ "\"suite\":\"sid\"", "\"suite\":\"\\u001b[2J\"", "suite" },
		{ "\"digest\":\"01", "\"digest\":\"zz", "digest" },
		{ "\"deb_sha256\":\"6f", "\"deb_sha256\":\"6f00", "deb_sha256" },
		{ "\"sched_ext\":\"yes\"", "\"sched_ext\":true", "sched_ext" },
	};
	KT_AUTO_FREE char *text = kt_kernelstore_record_text(&full);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		KT_AUTO_FREE char *bad = changed(text, rows[i].from, rows[i].to);
		struct kt_kernelstore_record record;
		struct kt_err err;

		cr_assert_eq(kt_kernelstore_record_parse(bad, &record, &err), -EBADMSG, "row %zu",
			     i);
		cr_assert(strstr(err.text, rows[i].says), "row %zu: %s", i, err.text);
	}
}

Test(kernelstore, names_stay_within_their_folder)
{
	static const char *const good[] = { "sid/linux-image-cloud-amd64", "mine", "7.2" };
	static const char *const bad[] = { "",   "/",    "a/",     "/a",  "a/b/c",
					   "..", "../a", "a/../b", "a_b", "A" };

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		cr_assert_eq(kt_kernelstore_check_name(good[i], NULL), 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_eq(kt_kernelstore_check_name(bad[i], NULL), -EINVAL, "%s", bad[i]);
}
