/* CPUs in a matrix: their texts, and whether they fit the guests they are for. */
#include "matrixtext.h"

#include "coordinator/core/matrix/cpusettext.h"

#define LENGTH(list_) (sizeof(list_) / sizeof((list_)[0]))

#define STEP "[[scenario.step]]\nhold = 'full'\n"

static const struct {
	const char *text;
	const char *message;
} texts[] = {
	{ "llc(0)", "kind=llc" },
	{ "llc( 3 )", "kind=llc index=3" },
	{ "numa(1)", "kind=numa index=1" },
	{ "range(0, 0.5)", "kind=range to_ppm=500000" },
	{ "range(0.333333,1)", "kind=range from_ppm=333333 to_ppm=1000000" },
	{ "range(0.000001, 1.0)", "kind=range from_ppm=1 to_ppm=1000000" },
	{ "disjoint(1, 2)", "kind=disjoint index=1 of=2" },
	{ "overlap(0, 4, 0.25)", "kind=overlap of=4 from_ppm=250000" },
	{ "overlap(3, 4, 1)", "kind=overlap index=3 of=4 from_ppm=1000000" },
	{ "0-3,5", "kind=exact list=0-3,5" },
	{ "254", "kind=exact list=254" },
};

Test(matrix_cpusets, a_text_is_the_message_that_the_guest_resolves)
{
	for (size_t i = 0; i < LENGTH(texts); i++) {
		struct kt_msg_cpuset spec;
		KT_AUTO_BUF message = { 0 };
		struct kt_err err = { 0 };
		char again[128];
		struct kt_msg_cpuset twice;

		cr_expect_eq(kt_cpusettext_parse(texts[i].text, &spec, &err), 0, "%s", err.text);
		matrixtext_print(&kt_schema_cpuset, &spec, &message);
		cr_expect_str_eq(kt_buf_text(&message), texts[i].message);
		/* what messages call it means the same */
		kt_cpuset_describe(&spec, again, sizeof(again));
		cr_expect_eq(kt_cpusettext_parse(again, &twice, &err), 0, "%s", err.text);
		cr_expect_eq(spec.index, twice.index);
		cr_expect_eq(spec.of, twice.of);
		cr_expect_eq(spec.from_ppm, twice.from_ppm);
		cr_expect_eq(spec.to_ppm, twice.to_ppm);
	}
}

static const char *const nonsense[] = {
	"",
	" ",
	"llc",
	"llc()",
	"llc(x)",
	"llc(-1)",
	"llc(256)",
	"llc(1",
	"llc(1) ",
	"llc(1, 2)",
	"lcc(0)",
	"numa(0.5)",
	"range(0)",
	"range(0, 1.1)",
	"range(0, 1.000001)",
	"range(0.5, 0.5)",
	"range(0.6, 0.5)",
	"range(0, .5)",
	"range(0, 0.)",
	"range(0, 0.1234567)",
	"range(0, nan)",
	"disjoint(2, 2)",
	"disjoint(0, 0)",
	"disjoint(0 2)",
	"overlap(0, 2)",
	"overlap(0, 2, 2)",
	"overlap(0, 2, 0.5, 1)",
	"3-1",
	"0-",
	"0,,1",
	"300",
	"0x1",
	"a",
};

Test(matrix_cpusets, what_is_no_cpuset_is_refused)
{
	for (size_t i = 0; i < LENGTH(nonsense); i++) {
		struct kt_msg_cpuset spec;
		struct kt_err err = { 0 };

		cr_expect_eq(kt_cpusettext_parse(nonsense[i], &spec, &err), -EINVAL, "%s",
			     nonsense[i]);
		cr_expect_eq(err.fault, KT_FAULT_INPUT);
	}
}

#define CGROUP(rest_) STEP "cgroup = [{ name = 'c', workers = 1, work = 'spin', " rest_ " }]\n"

static const struct matrixtext_refusal refusals[] = {
	{ CGROUP("cpuset = 'lcc(0)'"),
	  "m:22:62: 'cpuset' in cgroup: 'lcc(0)' names no CPUs; there is llc(i), numa(i), range(a, "
	  "b), disjoint(i, of), overlap(i, of, f) or CPUs as in 0-3,5" },
	{ CGROUP("cpuset = 'llc(0'"),
	  "m:22:62: 'cpuset' in cgroup: 'llc(0' does not read; shares are numbers from 0 to 1, the "
	  "rest whole ones, e.g. \"llc(0)\"" },
	{ CGROUP("cpuset = 'range(0.5, 0)'"),
	  "m:22:62: 'cpuset' in cgroup: 'range(0.5, 0)': a range begins before it ends; e.g. "
	  "\"range(0, 0.5)\"" },
	{ CGROUP("cpuset = 'disjoint(2, 2)'"),
	  "m:22:62: 'cpuset' in cgroup: 'disjoint(2, 2)': parts are counted from 0; e.g. "
	  "\"disjoint(0, 2)\"" },
	/* the machine */
	{ CGROUP("cpuset = 'llc(4)'"),
	  "m:22:62: llc(4): the guest has 4 LLCs, counted from 0, in cell a/k/scx_kt/big#0" },
	{ CGROUP("cpuset = 'numa(2)'"), "m:22:62: numa(2): the guest has 2 NUMA nodes, counted "
					"from 0, in cell a/k/scx_kt/big#0" },
	{ CGROUP("cpuset = '6-8'"), "m:22:62: 6-8: there is no CPU 8; the guest has 8, counted "
				    "from 0, in cell a/k/scx_kt/big#0" },
	{ CGROUP("cpuset = 'disjoint(0, 8)'"),
	  "m:22:62: disjoint: there is no part 0 of 8 of 7 usable CPUs, counted from 0, in cell "
	  "a/k/scx_kt/big#0" },
	{ CGROUP("cpuset = 'range(0, 0.1)'"),
	  "m:22:62: range(0, 0.1) comes out empty with 7 usable CPUs, in cell a/k/scx_kt/big#0" },
	{ CGROUP("affinity = '8'"), "m:22:64: 8: there is no CPU 8; the guest has 8, counted from "
				    "0, in cell a/k/scx_kt/big#0" },
	{ CGROUP("cpuset = 'llc(0)', affinity = '3'"),
	  "m:22:83: the affinity has none of the CPUs of cgroup 'c': 0-1, in cell "
	  "a/k/scx_kt/big#0" },
	{ CGROUP("mem_policy = 'bind', mem_nodes = '1-2'"),
	  "m:22:86: there is no NUMA node 2; the guest has 2, counted from 0, in cell "
	  "a/k/scx_kt/big#0" },
	{ CGROUP("cpuset = '0-6', policy = 'deadline', runtime = '1ms', deadline = '10ms'"),
	  "m:22:78: policy deadline is for tasks that may run on every CPU; cgroup 'c' has 0-6 of "
	  "8, in cell a/k/scx_kt/big#0" },
	{ STEP "cgroup = [{ name = 'c', cpuset = 'llc(1)' }]\n[[scenario.step]]\nhold = '1s'\n",
	  "m:23:1: this step ends 11s after the scenario began, but its duration is 10s; hold "
	  "shorter or make the duration longer" },
	{ STEP "ops = [{ add_cgroup = { name = 'c' } },\n{ set_cpuset = 'c', to = 'llc(7)' },\n{ "
	       "set_cpuset = 'c', to = 'llc(1)' },\n{ set_affinity = 'c', to = '2' },\n{ "
	       "set_affinity = 'c', to = '4-7' },\n{ clear_cpuset = 'c' },\n{ set_affinity = 'c', "
	       "to = '4-7' },\n{ hotplug_cpu = 8, online = false }]\n",
	  "m:23:26: llc(7): the guest has 4 LLCs, counted from 0, in cell "
	  "a/k/scx_kt/big#0\nm:26:28: the affinity has none of the CPUs of cgroup 'c': 2-3, in "
	  "cell a/k/scx_kt/big#0\nm:29:17: there is no CPU 8; the guest has 8, counted from 0, in "
	  "cell a/k/scx_kt/big#0" },
	/* as many workers as its share of the CPUs is: 8 CPUs * 600 in each */
	{ STEP "cgroup = [{ name = 'c', workers_pct = 600, work = 'spin' }]\n",
	  "m:17:1: [[scenario]] starts 4800 workers in all; at most 4096, in cell "
	  "a/k/scx_kt/big#0" },
};

Test(matrix_cpusets, what_does_not_fit_the_guest_is_refused_with_the_cell)
{
	matrixtext_expect_refusals(refusals, LENGTH(refusals));
}

/* Every topology of the scenario is looked at, and only those. */
Test(matrix_cpusets, each_topology_of_a_scenario_must_fit)
{
	static const char more[] =
		CGROUP("cpuset = 'llc(3)'") "[[topology]]\nname = 'tiny'\ncpus = '1n1l2c1t'\n";
	static const char chosen[] = "topologies = ['big']\n" CGROUP(
		"cpuset = 'llc(3)'") "[[topology]]\nname = 'tiny'\ncpus = '1n1l2c1t'\n";
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF problems = { 0 };

	cr_assert_eq(matrixtext_parse(more, &matrix, &problems), -EINVAL);
	cr_assert_str_eq(kt_buf_text(&problems), "m:22:62: llc(3): the guest has 1 LLC, counted "
						 "from 0, in cell a/k/scx_kt/tiny#0\n");
	kt_buf_reset(&problems);
	cr_assert_eq(matrixtext_parse(chosen, &matrix, &problems), 0, "%s", kt_buf_text(&problems));
}

/* A child's CPUs are those that it shares with its parent, or its parent's. */
Test(matrix_cpusets, a_cgroup_within_another_has_no_more_cpus_than_that)
{
	static const char nested[] =
		STEP "cgroup = [{ name = 'p', cpuset = 'numa(1)' },\n{ name = 'p/c', cpuset = "
		     "'3-4', workers = 1, work = 'spin', affinity = '3' },\n{ name = 'p/d', cpuset "
		     "= '0-1', workers = 1, work = 'spin', affinity = '5' }]\n";
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF problems = { 0 };

	cr_assert_eq(matrixtext_parse(nested, &matrix, &problems), -EINVAL);
	cr_assert_str_eq(kt_buf_text(&problems), "m:23:72: the affinity has none of the CPUs of "
						 "cgroup 'p/c': 4, in cell a/k/scx_kt/big#0\n");
}

Test(matrix_cpusets, memory_comes_from_nodes_that_have_some)
{
	static const struct {
		const char *nodes;
		const char *problems;
	} lists[] = {
		{ "0-1", "" },
		{ "1", "m:23:86: none of the NUMA nodes 1 has memory, in cell a/k/scx_kt/far#0\n" },
	};

	for (size_t i = 0; i < LENGTH(lists); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF problems = { 0 };
		KT_AUTO_BUF text = { 0 };

		kt_buf_printf(&text,
			      "topologies = ['far']\n" CGROUP("mem_policy = 'bind', mem_nodes = "
							      "'%s'") "[[topology]]\n"
								      "name = 'far'\ncpus = "
								      "'2n2l1c1t'\nnodes = [{ "
								      "memory = '512M', "
								      "distances = [10, 31] }, { "
								      "memory = '0M', distances = "
								      "[31, 10] }]\n",
			      lists[i].nodes);
		matrixtext_parse(kt_buf_text(&text), &matrix, &problems);
		cr_expect_str_eq(kt_buf_text(&problems), lists[i].problems);
	}
}
