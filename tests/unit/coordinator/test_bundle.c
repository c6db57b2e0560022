#include "coordinator/bundle.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has(const struct kt_bundle *bundle, const char *part)
{
	for (size_t i = 0; i < bundle->n; i++)
		if (strstr(bundle->files[i].guest_path, part))
			return true;
	return false;
}

Test(bundle, a_dynamic_program_brings_its_libraries_and_its_interpreter)
{
	struct kt_bundle bundle;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_bundle_collect("/proc/self/exe", &bundle, &err), 0, "%s", err.text);
	cr_assert_str_eq(bundle.files[0].guest_path, "/kt/bin/exe");
	cr_assert(has(&bundle, "/kt/lib/libc.so.6"));
	cr_assert(has(&bundle, "/kt/lib/libcriterion"));
	cr_assert(has(&bundle, "/kt/lib/libgit2"), "what its libraries need comes too");
	cr_assert(strstr(bundle.args[0], "/kt/lib/ld-linux"), "%s", bundle.args[0]);
	cr_assert_str_eq(bundle.args[bundle.n_args - 1], "/kt/bin/exe");
	kt_bundle_destroy(&bundle);
}

/* The libraries that were found really make the program run, started as the guest will start it. */
Test(bundle, the_bundle_is_complete)
{
	char dir[] = "/tmp/kt-test-bundle.XXXXXX";
	struct kt_bundle bundle;
	struct kt_err err = { 0 };
	char command[8192];
	int at = 0;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(kt_bundle_collect("/bin/ls", &bundle, &err), 0, "%s", err.text);
	for (size_t i = 0; i < bundle.n; i++)
		at += snprintf(command + at, sizeof(command) - (size_t)at, "cp -L %s %s/%s && ",
			       bundle.files[i].host_path, dir,
			       strrchr(bundle.files[i].guest_path, '/') + 1);
	snprintf(command + at, sizeof(command) - (size_t)at,
		 "%s/%s --inhibit-cache --library-path %s %s/ls %s >/dev/null; r=$?; rm -r %s; "
		 "exit $r",
		 dir, strrchr(bundle.args[0], '/') + 1, dir, dir, dir, dir);
	cr_assert_eq(system(command), 0);
	kt_bundle_destroy(&bundle);
}

Test(bundle, what_is_no_program_is_said_to_be_none)
{
	struct kt_bundle bundle;
	struct kt_err err = { 0 };

	cr_assert_lt(kt_bundle_collect("/etc/passwd", &bundle, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert(strstr(err.text, "/etc/passwd"), "%s", err.text);
	cr_assert_lt(kt_bundle_collect("/nonexistent", &bundle, &err), 0);
}
