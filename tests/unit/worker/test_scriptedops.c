#include "worker/scriptedops.h"

#include <criterion/criterion.h>

Test(scriptedops, every_op_has_its_moment_a_loops_one_in_each_round)
{
	struct kt_msg_cgroup made = { .name = "x" };
	struct kt_msg_op before[] = { { .kind = "hotplug_cpu", .cgroup = "", .name = "" } };
	struct kt_msg_op once[] = {
		{ .kind = "freeze_cgroup", .cgroup = "c", .name = "" },
		{ .kind = "add_cgroup", .make = &made, .cgroup = "", .name = "" },
	};
	struct kt_msg_op again[] = { { .kind = "capture", .cgroup = "", .name = "now" } };
	struct kt_msg_backdrop backdrop = { .ops = before, .n_ops = 1 };
	struct kt_msg_step steps[] = {
		{ .hold_ns = 1000, .ops = once, .n_ops = 2 },
		{ .hold_ns = 250, .ops = again, .n_ops = 1, .loop_ns = 100 },
	};
	struct kt_msg_scenario scenario = { .backdrop = &backdrop, .steps = steps, .n_steps = 2 };
	static const struct {
		const char *detail;
		int64_t elapsed_ns;
	} expected[] = {
		{ "hotplug_cpu", 0 },    { "freeze_cgroup c", 0 }, { "add_cgroup x", 0 },
		{ "capture now", 1000 }, { "capture now", 1100 },  { "capture now", 1200 },
	};
	struct kt_msg_moment moments[8];
	KT_AUTO_ARENA arena = { 0 };

	cr_assert_eq(kt_scriptedops_fill(&scenario, 7, &arena, moments, 8), 6);
	for (size_t i = 0; i < 6; i++) {
		cr_expect_str_eq(moments[i].name, "op");
		cr_expect_eq(moments[i].at_ns, 7);
		cr_expect_str_eq(moments[i].detail, expected[i].detail);
		cr_expect_eq(moments[i].elapsed_ns, expected[i].elapsed_ns);
	}
	cr_assert_eq(kt_scriptedops_fill(&scenario, 7, &arena, moments, 4), 4);
}
