#include "coordinator/fleetfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* the file, what is said of it; NULL: it is right */
static const struct {
	const char *text;
	const char *says;
} files[] = {
	{ "", NULL },
	{ "listen = \"tcp://127.0.0.1:7400\"\nbulk_listen = \"ipc:///run/b\"\nbandwidth = "
	  "\"100M\"\n",
	  NULL },
	{ "listen = \"ipc:///run/a\"\nkeys = true\n", NULL },
	{ "keys = true\n", "f:1:8: 'keys' without 'listen'" },
	{ "listen = \"ipc:///run/a\"\nkeys = \"yes\"\n", "f:2:8: " },
	{ "bandwidth = \"16K\"\n", NULL },
	{ "unschedulable_after = \"1m\"\n", NULL },
	{ "unschedulable_after = 10\n", "f:1:23: " },
	{ "unschedulable_after = \"0s\"\n", "f:1:23: 'unschedulable_after'" },
	{ "listen = 7400\n", "f:1:10: " },
	{ "listen = \"http://a\"\n", "f:1:10: 'listen': " },
	{ "\n  bandwidth = \"fast\"\n", "f:2:15: 'bandwidth': " },
	{ "bandwidth = \"1K\"\n", "f:1:13: 'bandwidth': " },
	{ "bulk_listen = \"ipc:///run/b\"\n", "f:1:15: 'bulk_listen' without 'listen'" },
	{ "lisen = \"ipc:///run/a\"\n", "did you mean 'listen'" },
	{ "listen = \n", "f:1:" },
};

static void keep(void *arg, const char *line)
{
	char *said = arg;

	if (!said[0])
		snprintf(said, 1024, "%s", line);
}

Test(fleetfile, a_mistake_is_told_with_its_line_and_column)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct kt_fleetfile file;
		struct kt_err err = { 0 };
		char said[1024] = "";
		int status = kt_fleetfile_parse("f", files[i].text, strlen(files[i].text), keep,
						said, &file, &err);

		if (!files[i].says) {
			cr_expect_eq(status, 0, "%s: %s", files[i].text, err.text);
		} else {
			cr_expect_eq(status, -EINVAL, "%s", files[i].text);
			cr_expect_eq(err.fault, KT_FAULT_INPUT, "%s", files[i].text);
			cr_expect(strstr(said, files[i].says), "%s: %s", files[i].text, said);
			cr_expect_null(file.listen);
		}
		kt_fleetfile_fini(&file);
	}
}

Test(fleetfile, what_is_in_it_is_what_was_written)
{
	struct kt_fleetfile file;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_fleetfile_parse("f", files[1].text, strlen(files[1].text), NULL, NULL,
					&file, &err),
		     0, "%s", err.text);
	cr_expect_str_eq(file.listen, "tcp://127.0.0.1:7400");
	cr_expect_str_eq(file.bulk_listen, "ipc:///run/b");
	cr_expect_str_eq(file.bandwidth, "100M");
	kt_fleetfile_fini(&file);
}

Test(fleetfile, none_is_no_mistake)
{
	struct kt_fleetfile file;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_fleetfile_load("/nonexistent", NULL, NULL, &file, &err), 0);
	cr_expect_null(file.doc);
	cr_expect_null(file.listen);
	kt_fleetfile_fini(&file);
}
