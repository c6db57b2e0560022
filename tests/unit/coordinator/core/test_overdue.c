#include "coordinator/core/overdue.h"
#include "proto/patience.h"

#include <criterion/criterion.h>

static struct kt_msg_job *job(struct kt_msg_scenario *scenario, struct kt_msg_topology *topology,
			      uint64_t kernel_bytes)
{
	static uint8_t digest[KT_DIGEST_BYTES];
	static struct kt_msg_kernel kernel;
	static struct kt_msg_scheduler scheduler = { .name = "s" };
	static struct kt_msg_job made;

	kernel = (struct kt_msg_kernel){ .name = "k", .bytes = kernel_bytes };
	if (kernel_bytes)
		kernel.digest = (struct kt_bin){ digest, sizeof(digest) };
	made = (struct kt_msg_job){ .kernel = &kernel,
				    .scheduler = &scheduler,
				    .topology = topology,
				    .scenario = scenario };
	return &made;
}

Test(overdue, it_is_twice_all_that_a_worker_may_take_itself)
{
	struct kt_msg_scenario scenario = { .duration_ns = 3600 * KT_NS_PER_S };
	struct kt_msg_topology topology = { .numa_nodes = 1, .llcs = 1, .cores = 4, .threads = 1 };
	int64_t plain_ns = kt_overdue_ns(job(&scenario, &topology, 0));
	int64_t own_ns = scenario.duration_ns;

	for (int what = 0; what < KT_PATIENCE_N; what++)
		own_ns += kt_patience_ns((enum kt_patience)what, false, 4, 0);
	cr_assert_geq(plain_ns, 2 * own_ns);
	cr_assert_leq(plain_ns, 2 * own_ns + 1800 * KT_NS_PER_S, "nor much longer");
	topology.cores = 64;
	cr_assert_gt(kt_overdue_ns(job(&scenario, &topology, 0)), plain_ns, "larger guests");
	topology.cores = 4;
	cr_assert_geq(kt_overdue_ns(job(&scenario, &topology, 100 << 20)),
		      plain_ns + 2 * 800 * KT_NS_PER_S, "100 MB over 1 Mbit/s");
}

Test(overdue, the_longest_job_does_not_overflow)
{
	static struct kt_msg_step steps[KT_STEPS_MAX];
	struct kt_msg_scenario scenario = { .duration_ns = KT_DURATION_NS_MAX,
					    .watchdog_ns = KT_DURATION_NS_MAX,
					    .samples = KT_SAMPLES_MAX,
					    .steps = steps,
					    .n_steps = KT_STEPS_MAX };
	struct kt_msg_topology topology = {
		.numa_nodes = 16, .llcs = 16, .cores = 16, .threads = 2
	};

	for (size_t i = 0; i < KT_STEPS_MAX; i++)
		steps[i].hold_ns = KT_DURATION_NS_MAX;
	cr_assert_gt(kt_overdue_ns(job(&scenario, &topology, KT_FILE_BYTES_MAX)),
		     2 * KT_DURATION_NS_MAX);
}
