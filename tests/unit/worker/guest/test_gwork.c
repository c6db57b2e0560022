/* Every work type on this machine: what the table says of it holds. What each does: tests/unit/worker/guest/work. */
#include "tests/unit/worker/guest/crewed.h"

#include <errno.h>

static struct crewed crewed;

static struct kt_msg_phase_of_work phases[] = {
	{ .work = "spin", .duration_ns = 20 * KT_NS_PER_MS },
	{ .work = "bursty", .duration_ns = 20 * KT_NS_PER_MS },
};

/* The smallest crew of it, with the defaults of its parameters. */
static uint32_t smallest(const struct kt_work *work, struct kt_msg_group *group)
{
	int64_t params[KT_WORK_PARAM_N];

	*group = crewed_group(work->name);
	if (work->id == KT_WORK_ID_sequence) {
		group->phases = phases;
		group->n_phases = sizeof(phases) / sizeof(phases[0]);
	}
	cr_assert_eq(kt_gwork_params(work, NULL, 0, params, NULL), 0);
	return kt_gwork_team_size(work, params);
}

Test(gwork, every_type_works_with_its_defaults_and_stops)
{
	for (size_t i = 0; i < KT_WORK_N; i++) {
		struct kt_msg_group group;
		uint32_t n = smallest(&kt_work[i], &group);
		const struct kt_gcrew_spec spec = { .cgroup = "", .group = &group, .workers = n };
		struct kt_err err = { 0 };
		int status = crewed_gather(&crewed, &spec, &err);

		if (status == -EPERM || status == -EACCES || status == -EROFS) {
			fprintf(stderr, "%s is not tested: %s\n", group.work, err.text);
			crewed_end(&crewed);
			continue;
		}
		cr_assert_eq(status, 0, "%s", err.text);
		crewed_go(&crewed);
		usleep(150000);
		crewed_stop(&crewed);
		cr_expect_eq(crewed.n_missing, 0, "%s", group.work);
		for (uint32_t k = 0; k < n; k++)
			cr_expect_gt(crewed.reports[k].work_units, 0, "worker %u of %s", k,
				     group.work);
		crewed_end(&crewed);
	}
}

Test(gwork, workers_that_work_together_come_in_whole_teams)
{
	for (size_t i = 0; i < KT_WORK_N; i++) {
		struct kt_msg_group group;
		uint32_t n = smallest(&kt_work[i], &group);
		const struct kt_gcrew_spec spec = { .cgroup = "",
						    .group = &group,
						    .workers = 2 * n + 1 };
		struct kt_err err = { 0 };

		if (n == 1)
			continue;
		cr_expect_eq(crewed_gather(&crewed, &spec, &err), -EINVAL, "%s", group.work);
		cr_expect(strstr(err.text, "work together"), "%s", err.text);
		crewed_end(&crewed);
	}
}

Test(gwork, parameters_are_those_of_the_table)
{
	const struct kt_work *bursty = kt_work_by_name("bursty");
	struct kt_msg_param params[] = { { .name = "run", .value = 7000 } };
	int64_t values[KT_WORK_PARAM_N];
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gwork_params(bursty, params, 1, values, &err), 0);
	cr_expect_eq(values[KT_WORK_PARAM_bursty_run], 7000);
	cr_expect_eq(values[KT_WORK_PARAM_bursty_sleep], 5 * KT_NS_PER_MS);
	params[0].name = "jump";
	cr_expect_eq(kt_gwork_params(bursty, params, 1, values, &err), -EINVAL);
	cr_expect_str_eq(err.text, "bursty has no parameter jump");
	params[0] = (struct kt_msg_param){ .name = "run", .value = 999 };
	cr_expect_eq(kt_gwork_params(bursty, params, 1, values, &err), -ERANGE);
	cr_expect_str_eq(err.text, "run of bursty is 999: from 1000 to 1000000000");
}

Test(gwork, the_table_is_in_order)
{
	for (size_t i = 0; i < KT_WORK_N; i++) {
		const struct kt_work *work = &kt_work[i];
		size_t n;
		const struct kt_work_param *params = kt_work_params_of(work, &n);

		cr_expect_leq(n, KT_PARAMS_MAX, "%s", work->name);
		cr_expect(!*work->by || kt_work_param_by_name(work, work->by), "%s has no %s",
			  work->name, work->by);
		cr_expect(work->size || *work->by, "%s", work->name);
		for (size_t k = 0; k < n; k++) {
			cr_expect_leq(params[k].min, params[k].value, "%s of %s", params[k].name,
				      work->name);
			cr_expect_leq(params[k].value, params[k].max, "%s of %s", params[k].name,
				      work->name);
		}
	}
}
