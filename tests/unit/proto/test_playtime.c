#include "proto/playtime.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>

#define S KT_NS_PER_S

Test(playtime, ops_that_wait_add_to_the_holds)
{
	struct kt_msg_op backdrop_ops[] = { { .kind = "wait_payload", .deadline_ns = 7 * S } };
	struct kt_msg_op ops[] = { { .kind = "restart_scheduler" }, { .kind = "detach_scheduler" },
				   { .kind = "attach_scheduler" },  { .kind = "hotplug_cpu" },
				   { .kind = "set_cpuset" },        { .kind = "no such op" } };
	struct kt_msg_backdrop backdrop = { .ops = backdrop_ops, .n_ops = 1 };
	struct kt_msg_step steps[] = {
		{ .hold_ns = 3 * S, .ops = ops, .n_ops = 6 },
		{ .hold_ns = 4 * S, .ops = ops, .n_ops = 1, .loop_ns = S },
	};
	struct kt_msg_scenario scenario = {
		.duration_ns = 5 * S, .steps = steps, .n_steps = 2, .backdrop = &backdrop
	};
	struct kt_playtime playtime = kt_playtime_of(&scenario, 100 * S, 10 * S);

	cr_assert_eq(playtime.holds_ns, 7 * S);
	cr_assert_eq(playtime.op_ns_max, 110 * S);
	/* backdrop; restart, detach, attach, hotplug; restart twice */
	cr_assert_eq(playtime.ops_ns, (7 + 110 + 10 + 100 + 100 + 2 * 110) * S);
	cr_assert_eq(kt_playtime_extra_ns(&playtime, 0), 110 * S);
	cr_assert_eq(kt_playtime_extra_ns(&playtime, 30 * S), 140 * S);
	cr_assert_eq(kt_playtime_extra_ns(&playtime, INT64_MAX), playtime.ops_ns);
	scenario.duration_ns = 9 * S;
	cr_assert_eq(kt_playtime_of(&scenario, S, S).holds_ns, 9 * S);
}

Test(playtime, a_scenario_without_such_ops_gets_nothing_more)
{
	struct kt_msg_op ops[] = { { .kind = "set_cpuset" } };
	struct kt_msg_step step = { .hold_ns = KT_DURATION_NS_MAX, .ops = ops, .n_ops = 1 };
	struct kt_msg_step steps[] = { step, step };
	struct kt_msg_scenario scenario = { .duration_ns = S, .steps = steps, .n_steps = 2 };
	struct kt_playtime playtime = kt_playtime_of(&scenario, 100 * S, 10 * S);

	cr_assert_eq(playtime.holds_ns, KT_DURATION_NS_MAX);
	cr_assert_eq(kt_playtime_extra_ns(&playtime, 50 * S), 0);
}

Test(playtime, payloads_that_end_with_their_act_get_time_for_it)
{
	struct kt_msg_cgroup cgroups[] = { { .name = "a", .payload = "p" },
					   { .name = "b", .payload = "p" } };
	struct kt_msg_cgroup none = { .name = "a", .payload = "" };
	struct kt_msg_op run = { .kind = "run_payload" };
	struct kt_msg_op make = { .kind = "add_cgroup", .make = &cgroups[0] };
	struct kt_msg_op kills[] = { { .kind = "kill_payload" }, { .kind = "kill_payload" } };
	struct kt_msg_step steps[] = {
		{ .hold_ns = S, .cgroups = cgroups, .n_cgroups = 2 }, /* all at once */
		{ .hold_ns = S, .ops = &run, .n_ops = 1 },
		{ .hold_ns = S, .ops = &make, .n_ops = 1 },
		{ .hold_ns = S, .ops = kills, .n_ops = 2 },
		{ .hold_ns = S, .cgroups = &none, .n_cgroups = 1 },
	};
	struct kt_msg_backdrop backdrop = { .ops = &run, .n_ops = 1 };
	struct kt_msg_scenario scenario = { .duration_ns = S, .steps = steps, .n_steps = 5 };

	cr_assert_eq(kt_playtime_of(&scenario, S, S).ends_ns, 5 * 2 * S);
	scenario.backdrop = &backdrop;
	cr_assert_eq(kt_playtime_of(&scenario, S, S).ends_ns, 6 * 2 * S);
}
