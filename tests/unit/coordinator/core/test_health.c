#include "coordinator/core/health.h"

#include <criterion/criterion.h>
#include <string.h>

/* A letter is a trouble of that cell, '.' a result that can be judged. */
Test(health, only_trouble_in_a_row_on_different_cells_is_the_hosts)
{
	static const struct {
		const char *history;
		bool is_enough;
	} rows[] = {
		{ "", false },      { "a", false },   { "ab", true },   { "aa", false },
		{ "aaaaa", false }, { "aab", true },  { "a.b", false }, { "a.b.a.b", false },
		{ "a.bb", false },  { "ab.", false }, { ".ab", true },  { "aaa.ab", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_health health = { 0 };
		bool is_enough = false;

		for (const char *at = rows[i].history; *at; at++) {
			is_enough = false;
			if (*at == '.')
				kt_health_result(&health);
			else
				is_enough = kt_health_trouble(&health, (uint64_t)*at);
		}
		cr_assert_eq(is_enough, rows[i].is_enough, "%s", rows[i].history);
	}
}

Test(health, the_pause_doubles_with_each_canary_up_to_a_limit_and_not_for_a_last_resort)
{
	struct kt_health health = { 0 };
	int64_t pause_ns = 500;

	kt_health_wait(&health, false, false, pause_ns, 1000);
	cr_assert_eq(health.canary_at_ns, 1500);
	for (int i = 1; i < 10; i++) {
		kt_health_wait(&health, true, false, pause_ns, 0);
		cr_assert_eq(health.canary_at_ns, pause_ns << i);
	}
	kt_health_wait(&health, true, true, pause_ns, 0);
	cr_assert_eq(health.canary_at_ns, pause_ns);
	for (int i = 0; i < 100; i++)
		kt_health_wait(&health, true, false, pause_ns, 0);
	cr_assert_eq(health.canary_at_ns, KT_HEALTH_PAUSE_NS_MAX);
	kt_health_forget(&health);
	kt_health_wait(&health, false, false, pause_ns, 0);
	cr_assert_eq(health.canary_at_ns, pause_ns);
}

Test(health, what_takes_a_host_down_is_infra)
{
	size_t n = 0;

	for (int i = 0; i < KT_CAUSE_ID_N; i++) {
		const struct kt_cause *cause = kt_cause((enum kt_cause_id)i);

		if (!kt_health_takes_down(cause))
			continue;
		cr_assert(kt_cause_is_infra(cause), "%s", cause->name);
		n++;
	}
	cr_assert_eq(n, 5);
	cr_assert_not(kt_health_takes_down(NULL));
	cr_assert_not(kt_health_takes_down(kt_cause(KT_CAUSE_ID_artifact_missing)));
}
