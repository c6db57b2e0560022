#include "proto/fieldtext.h"
#include "proto/schema.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(fieldtext, a_field_is_set_as_its_table_says)
{
	static const struct {
		const char *name;
		const char *text;
		const char *says; /* NULL: it is taken */
	} rows[] = {
		{ "cgroup", "cg_0", NULL },
		{ "index", "4096", NULL },
		{ "index", "4097", "index of worker_report cannot be '4097'" },
		{ "index", "-1", "cannot be" },
		{ "index", "", "cannot be" },
		{ "index", "1x", "cannot be" },
		{ "index", "99999999999999999999", "cannot be" },
		{ "wall_ns", "2.5s", NULL },
		{ "wall_ns", "1000", NULL },
		{ "wall_ns", "-1", "cannot be" },
		{ "wall_ns", "25h", "cannot be" },
		{ "gap_ns_max", "3ms", NULL },
		{ "work_units", "3ms", "cannot be" }, /* it is no time */
		{ "work",
		  "123456789-123456789-123456789-123456789-123456789-123456789-123456789-"
		  "123456789-123456789-123456789-123456789-123456789-123456789",
		  "cannot be" },
		{ "work_unit", "1",
		  "worker_report has no 'work_unit'; did you mean 'work_units'?" },
	};
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_worker_report report;

	kt_fieldtext_init(&kt_schema_worker_report, &report);
	cr_assert_str_eq(report.missing, "");
	cr_assert_eq(report.work_units, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_err err = { 0 };
		int status = kt_fieldtext_set(&kt_schema_worker_report, &report, rows[i].name,
					      rows[i].text, &arena, &err);

		cr_assert_eq(status, rows[i].says ? -EINVAL : 0, "%s=%s: %s", rows[i].name,
			     rows[i].text, err.text);
		if (!rows[i].says)
			continue;
		cr_assert(strstr(err.text, rows[i].says), "%s", err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
	cr_assert_str_eq(report.cgroup, "cg_0");
}

Test(fieldtext, every_kind_of_field)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_wake_report wakes;
	struct kt_msg_payload_report payload;
	struct kt_msg_moment moment;
	struct kt_msg_result result;

	kt_fieldtext_init(&kt_schema_wake_report, &wakes);
	cr_assert_eq(kt_fieldtext_set(&kt_schema_wake_report, &wakes, "mean_ns", "1500.5", &arena,
				      NULL),
		     0);
	cr_assert_eq(wakes.mean_ns, 1500.5);
	cr_assert_eq(
		kt_fieldtext_set(&kt_schema_wake_report, &wakes, "ns_max", "2us", &arena, NULL), 0);
	cr_assert_eq(wakes.ns_max, 2000);
	cr_assert_eq(kt_fieldtext_set(&kt_schema_wake_report, &wakes, "mean_ns", "2us", &arena,
				      NULL),
		     0);
	cr_assert_eq(wakes.mean_ns, 2000);
	cr_assert_neq(kt_fieldtext_set(&kt_schema_wake_report, &wakes, "mean_ns", "2ux", &arena,
				       NULL),
		      0);
	kt_fieldtext_init(&kt_schema_payload_report, &payload);
	cr_assert_eq(kt_fieldtext_set(&kt_schema_payload_report, &payload, "out", "{}\n", &arena,
				      NULL),
		     0);
	cr_assert_eq(payload.out.len, 3);
	cr_assert_eq(memcmp(payload.out.data, "{}\n", 3), 0);
	cr_assert_eq(kt_fieldtext_set(&kt_schema_payload_report, &payload, "status", "-9", &arena,
				      NULL),
		     0);
	cr_assert_eq(payload.status, -9);
	kt_fieldtext_init(&kt_schema_moment, &moment);
	cr_assert_eq(kt_fieldtext_set(&kt_schema_moment, &moment, "failed", "true", &arena, NULL),
		     0);
	cr_assert(moment.failed);
	cr_assert_eq(kt_fieldtext_set(&kt_schema_moment, &moment, "failed", "false", &arena, NULL),
		     0);
	cr_assert(!moment.failed);
	cr_assert_neq(kt_fieldtext_set(&kt_schema_moment, &moment, "failed", "yes", &arena, NULL),
		      0);
	kt_fieldtext_init(&kt_schema_result, &result);
	cr_assert_neq(kt_fieldtext_set(&kt_schema_result, &result, "reports", "", &arena, NULL), 0,
		      "a list is no text");
}
