#include "worker/guest/gops.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct kt_msg_group group = { .work = "spin" };
static struct kt_msg_cpuset cpuset = { .kind = "llc" };
static struct kt_msg_cgroup make = { .name = "cg" };

/* An op with everything that an op can have. */
static struct kt_msg_op whole(const char *kind)
{
	return (struct kt_msg_op){ .kind = kind,
				   .cgroup = "a",
				   .other = "b",
				   .cpuset = &cpuset,
				   .make = &make,
				   .group = &group,
				   .name = "tag",
				   .variable = "" };
}

/* What the table says an op uses, it is refused without; and nothing else. */
Test(gops, an_op_is_refused_without_what_it_is_about)
{
	static const unsigned int bits[] = { KT_OPS_CGROUP, KT_OPS_OTHER, KT_OPS_CPUSET,
					     KT_OPS_MAKE,   KT_OPS_GROUP, KT_OPS_NAME };

	for (size_t i = 0; i < KT_OPS_N; i++) {
		struct kt_msg_op op = whole(kt_ops[i].name);
		struct kt_err err = { 0 };

		cr_assert_eq(kt_gops_check(&op, &err), 0, "%s: %s", op.kind, err.text);
		for (size_t b = 0; b < sizeof(bits) / sizeof(bits[0]); b++) {
			struct kt_msg_op less = op;
			bool is_used = kt_ops[i].uses & bits[b];

			switch (bits[b]) {
			case KT_OPS_CGROUP:
				less.cgroup = "";
				break;
			case KT_OPS_OTHER:
				less.other = "../x";
				break;
			case KT_OPS_CPUSET:
				less.cpuset = NULL;
				break;
			case KT_OPS_MAKE:
				less.make = NULL;
				break;
			case KT_OPS_GROUP:
				less.group = NULL;
				break;
			default:
				less.name = "";
			}
			cr_assert_eq(kt_gops_check(&less, &err), is_used ? -EINVAL : 0,
				     "%s without use %zu", op.kind, b);
			cr_assert(!is_used || err.fault == KT_FAULT_PEER);
		}
	}
}

Test(gops, an_op_that_is_not_in_the_table_is_refused)
{
	struct kt_msg_op op = whole("reboot");
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gops_check(&op, &err), -EINVAL);
	cr_assert_str_eq(err.text, "there is no op reboot");
}

Test(gops, an_error_is_the_scenarios_the_kernels_or_the_schedulers)
{
	static const struct {
		enum kt_fault fault;
		int code;
		enum kt_cause_id cause;
	} cases[] = {
		{ KT_FAULT_GUEST, EINVAL, KT_CAUSE_ID_op_failed },
		{ KT_FAULT_GUEST, EBUSY, KT_CAUSE_ID_op_failed },
		{ KT_FAULT_INPUT, EINVAL, KT_CAUSE_ID_op_failed },
		{ KT_FAULT_GUEST, ENOSYS, KT_CAUSE_ID_scenario_unsupported },
		{ KT_FAULT_GUEST, ETIMEDOUT, KT_CAUSE_ID_workload_stuck },
		{ KT_FAULT_GUEST, ESRCH, KT_CAUSE_ID_workload_stuck },
		{ KT_FAULT_GUEST, ENOMEM, KT_CAUSE_ID_guest_oom },
		{ KT_FAULT_PEER, EINVAL, KT_CAUSE_ID_protocol },
		{ KT_FAULT_PEER, ETIMEDOUT, KT_CAUSE_ID_protocol },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_err err = { .fault = cases[i].fault, .code = cases[i].code };

		cr_assert_eq(kt_gops_cause(&err), cases[i].cause, "case %zu", i);
	}
}

/* A capture goes to the host, and the op is done when the host says so. */
static uint64_t asked;

static void send(void *arg, uint32_t tag, const void *message)
{
	const struct kt_msg_guest_capture *capture = message;

	cr_assert_eq(tag, KT_TAG_guest_capture);
	cr_assert_str_eq(capture->tag, "tag");
	asked = capture->id;
}

Test(gops, an_op_is_done_when_it_is_really_done)
{
	struct kt_gask ask = { .send = send };
	struct kt_gops ops = { .ask = &ask };
	struct kt_msg_op op = whole("capture");
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gops_begin(&ops, &op, 0, 5, &err), 0);
	cr_assert_eq(ops.op, &op);
	cr_assert_eq(kt_gops_look(&ops, 6, &err), 0);
	kt_gask_seen(&ask, asked);
	cr_assert_eq(kt_gops_look(&ops, 7, &err), 1);
	cr_assert_str_eq(kt_buf_text(&ops.text), "capture tag");
	cr_assert_null(ops.op);
	cr_assert_eq(kt_gops_begin(&ops, &op, 0, 8, &err), 0);
	cr_assert_eq(kt_gops_look(&ops, 8 + KT_GASK_WAIT_NS, &err), -ETIMEDOUT);
	cr_assert_null(ops.op, "it is over");
	kt_gops_destroy(&ops);
}
