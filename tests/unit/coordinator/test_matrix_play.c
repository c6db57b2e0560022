/* A scenario as a whole: what could not be done at its moment is refused before anything runs. */
#include "matrixtext.h"

#define LENGTH(list_) (sizeof(list_) / sizeof((list_)[0]))

#define STEP(rest_) "[[scenario.step]]\nhold = '1s'\n" rest_ "\n"
#define OPS(ops_)   STEP("ops = [" ops_ "]")
#define LOOP(ops_)  "[[scenario.step]]\nhold = { loop = '100ms', for = '1s' }\nops = [" ops_ "]\n"
#define SPIN        "workers = 1, work = 'spin'"

/* Lines 20 to 22: c has a worker, d a cpuset, e nothing. */
#define BACKDROP                                                                   \
	"[scenario.backdrop]\ncgroup = [{ name = 'c', cpuset = '0', " SPIN " },\n" \
	"{ name = 'd', cpuset = '1' }, { name = 'e' }]\n"

static const struct matrixtext_refusal refusals[] = {
	/* ops before cgroups, in the backdrop and in a step */
	{ STEP("cgroup = [{ name = 'c', " SPIN " }]\nops = [{ freeze_cgroup = 'c' }]"),
	  "m:23:26: there is no cgroup 'c' yet: ops come before the cgroups of their step" },
	{ "[scenario.backdrop]\ncgroup = [{ name = 'c' }]\nops = [{ freeze_cgroup = 'c' }]\n" STEP(
		  ""),
	  "m:22:26: there is no cgroup 'c' yet: ops come before the cgroups of the backdrop" },
	/* what a step brings goes with it, whether by its list or by an op */
	{ STEP("cgroup = [{ name = 'c' }]") OPS("{ freeze_cgroup = 'c' }"),
	  "m:25:26: there is no cgroup 'c' at this moment: that of line 22 went with its step; one "
	  "of [scenario.backdrop] would stay" },
	{ OPS("{ add_cgroup = { name = 'cg_0' } }") OPS("{ remove_cgroup = 'cg_0' }"),
	  "m:25:26: there is no cgroup 'cg_0' at this moment: that of line 22 went with its step; "
	  "one of [scenario.backdrop] would stay" },
	{ OPS("{ add_cgroup = { name = 'x' } }, { remove_cgroup = 'x' }, { freeze_cgroup = 'x' }"),
	  "m:22:84: there is no cgroup 'x' at this moment" },
	{ BACKDROP OPS("{ freeze_cgroup = 'cc' }"),
	  "m:25:26: there is no cgroup 'cc' at this moment; did you mean 'c'?" },
	{ BACKDROP OPS("{ set_cpuset = 'x9', to = '0' }, { clear_cpuset = 'x9' }, { swap_cpusets = "
		       "['c', 'x9'] }"),
	  "m:25:23: there is no cgroup 'x9' at this moment\nm:25:58: there is no cgroup 'x9' at "
	  "this moment\nm:25:89: there is no cgroup 'x9' at this moment" },
	{ BACKDROP OPS("{ spawn = 'x9', " SPIN " }, { stop_cgroup = 'x9' }, { set_affinity = 'x9', "
		       "to = '0' }, { move_all_tasks = ['x9', 'c'] }"),
	  "m:25:18: there is no cgroup 'x9' at this moment\nm:25:70: there is no cgroup 'x9' at "
	  "this moment\nm:25:95: there is no cgroup 'x9' at this moment\nm:25:133: there is no "
	  "cgroup 'x9' at this moment" },
	{ BACKDROP OPS("{ run_payload = 'p', cgroup = 'x9' }"),
	  "m:25:38: there is no cgroup 'x9' at this moment" },
	/* removing twice, making twice */
	{ BACKDROP OPS("{ remove_cgroup = 'c' }, { remove_cgroup = 'c' }"),
	  "m:25:51: there is no cgroup 'c' at this moment" },
	{ BACKDROP OPS("{ remove_cgroup = 'c' }") OPS("{ remove_cgroup = 'c' }"),
	  "m:28:26: there is no cgroup 'c' at this moment" },
	{ BACKDROP OPS("{ add_cgroup = { name = 'c' } }"),
	  "m:25:32: there is a cgroup 'c' already, of line 21" },
	{ BACKDROP STEP("cgroup = [{ name = 'd' }]"),
	  "m:25:20: there is a cgroup 'd' already, of line 22" },
	{ BACKDROP STEP("ops = [{ add_cgroup = { name = 'f' } }]\ncgroup = [{ name = 'f' }]"),
	  "m:26:20: there is a cgroup 'f' already, of line 25" },
	/* one within another */
	{ STEP("cgroup = [{ name = 'p/c' }, { name = 'p' }]"),
	  "m:22:38: cgroup 'p' stands above 'p/c', which is there already: name it first" },
	{ STEP("cgroup = [{ name = 'p' }, { name = 'p/c' }]") OPS("{ freeze_cgroup = 'p/c' }"),
	  "m:25:26: there is no cgroup 'p/c' at this moment: that of line 22 went with its step; "
	  "one of [scenario.backdrop] would stay" },
	{ BACKDROP OPS("{ add_cgroup = { name = 'e/f' } }, { remove_cgroup = 'e' }, { "
		       "freeze_cgroup = 'e/f' }"),
	  "m:25:86: there is no cgroup 'e/f' at this moment" },
	/* no controllers below processes, wherever they come from */
	{ STEP("cgroup = [{ name = 'p', " SPIN " },\n{ name = 'p/c', cpuset = '0' }]"),
	  "m:23:10: cgroup 'p/c' can have neither cpuset nor limits: 'p' above it has processes of "
	  "its own (line 22), and the kernel lets no such one hand them down" },
	{ STEP("cgroup = [{ name = 'p' },\n{ name = 'p/c/d', memory_max = '1M' }]")
		  STEP("cgroup = [{ name = 'p/c', payload = 'x' }]"),
	  "m:23:10: cgroup 'p/c/d' can have neither cpuset nor limits: 'p/c' above it has "
	  "processes of its own (line 26), and the kernel lets no such one hand them down" },
	{ BACKDROP OPS("{ add_cgroup = { name = 'e/f' } },\n{ set_cpuset = 'e/f', to = '0' },\n{ "
		       "move_all_tasks = ['c', 'e'] }"),
	  "m:26:16: cgroup 'e/f' can have neither cpuset nor limits: 'e' above it has processes of "
	  "its own (line 27), and the kernel lets no such one hand them down" },
	/* two cgroups */
	{ BACKDROP OPS("{ swap_cpusets = ['c', 'e'] }"),
	  "m:25:31: cgroup 'e' has no cpuset of its own at this moment that could be swapped" },
	{ BACKDROP OPS("{ clear_cpuset = 'c' }, { swap_cpusets = ['c', 'd'] }"),
	  "m:25:50: cgroup 'c' has no cpuset of its own at this moment that could be swapped" },
	{ BACKDROP OPS("{ swap_cpusets = ['c', 'c'] }"),
	  "m:25:31: swap_cpusets takes two cgroups, not 'c' twice" },
	{ BACKDROP OPS("{ move_all_tasks = ['d', 'd'] }"),
	  "m:25:33: move_all_tasks takes two cgroups, not 'd' twice" },
	/* the frozen */
	{ BACKDROP OPS("{ unfreeze_cgroup = 'c' }"),
	  "m:25:28: cgroup 'c' is not frozen at this moment" },
	{ BACKDROP OPS("{ freeze_cgroup = 'c' }") OPS("{ freeze_cgroup = 'c' }"),
	  "m:28:26: cgroup 'c' is frozen already at this moment" },
	{ BACKDROP OPS("{ freeze_cgroup = 'c' }, { spawn = 'c', " SPIN
		       " }, { run_payload = 'p', cgroup = 'c' }"),
	  "m:25:33: cgroup 'c' is frozen: nothing can be started in it\nm:25:108: cgroup 'c' is "
	  "frozen: nothing can be started in it" },
	{ BACKDROP OPS("{ freeze_cgroup = 'e' }, { add_cgroup = { name = 'e/f', " SPIN " } }"),
	  "m:25:48: cgroup 'e/f' is frozen: nothing can be started in it" },
	/* workers that stop are thawed */
	{ BACKDROP OPS("{ freeze_cgroup = 'c' }, { stop_cgroup = 'c' }, { unfreeze_cgroup = 'c' }"),
	  "m:25:76: cgroup 'c' is not frozen at this moment" },
	{ BACKDROP OPS("{ spawn = 'c', " SPIN " }, { freeze_cgroup = 'c' }")
		  OPS("{ unfreeze_cgroup = 'c' }"),
	  "m:28:28: cgroup 'c' is not frozen at this moment" },
	/* payloads */
	{ OPS("{ wait_payload = 'p', deadline = '1s' }"),
	  "m:22:25: payload 'p' does not run at this moment: it was not started, or was waited "
	  "for, or ended with its step" },
	{ OPS("{ run_payload = 'p' }, { kill_payload = 'p' }, { wait_payload = 'p', deadline = "
	      "'1s' }"),
	  "m:22:72: payload 'p' does not run at this moment: it was not started, or was waited "
	  "for, or ended with its step" },
	{ OPS("{ run_payload = 'p' }") OPS("{ kill_payload = 'p' }"),
	  "m:25:25: payload 'p' does not run at this moment: it was not started, or was waited "
	  "for, or ended with its step" },
	/* schedulers */
	{ OPS("{ attach_scheduler = true }"),
	  "m:22:10: attach_scheduler: a scheduler is attached at this moment" },
	{ OPS("{ detach_scheduler = true }") OPS("{ detach_scheduler = true }"),
	  "m:25:10: detach_scheduler: no scheduler is attached at this moment" },
	{ OPS("{ detach_scheduler = true }, { restart_scheduler = true }"),
	  "m:22:39: restart_scheduler: no scheduler is attached at this moment" },
	{ OPS("{ detach_scheduler = true }, { write_map = 'm', key = 1, value = 1 }"),
	  "m:22:39: write_map: no scheduler is attached at this moment" },
	/* the kernel's own has nothing to attach, and no maps */
	{ OPS("{ detach_scheduler = true }, { attach_scheduler = true }, { restart_scheduler = "
	      "true }, { write_map = 'm', key = 1, value = 1 }"),
	  "m:22:98: write_map: no scheduler is attached at this moment, in cell a/k/eevdf/big#0" },
	{ OPS("{ replace_scheduler = 'other' }, { write_map = 'm', key = 1, value = 1 }, "
	      "{ detach_scheduler = true }, { attach_scheduler = true },\n"
	      "{ write_map = 'm', key = 1, value = 1 }"),
	  "m:23:3: write_map: no scheduler is attached at this moment, in cell a/k/eevdf/big#0" },
	/* captures */
	{ OPS("{ capture = 'x' }") OPS("{ capture = 'x' }"),
	  "m:25:20: a second capture with the tag 'x'; the first is in line 22" },
	/* CPUs */
	{ OPS("{ hotplug_cpu = 1, online = true }"), "m:22:24: CPU 1 is online at this moment" },
	{ OPS("{ hotplug_cpu = 1, online = false }") OPS("{ hotplug_cpu = 1, online = false }"),
	  "m:25:24: CPU 1 is offline at this moment" },
	/* loops: the second round */
	{ BACKDROP LOOP("{ freeze_cgroup = 'c' }"),
	  "m:25:26: cgroup 'c' is frozen already at this moment, when the loop comes round" },
	{ BACKDROP LOOP("{ remove_cgroup = 'c' }"),
	  "m:25:26: there is no cgroup 'c' at this moment, when the loop comes round" },
	{ BACKDROP LOOP("{ add_cgroup = { name = 'f' } }"),
	  "m:25:32: there is a cgroup 'f' already, of line 25, when the loop comes round" },
	/* once is enough */
	{ BACKDROP LOOP("{ unfreeze_cgroup = 'c' }"),
	  "m:25:28: cgroup 'c' is not frozen at this moment" },
	/* totals: 10 rounds, 2 of these with 409 more */
	{ BACKDROP LOOP("{ spawn = 'c', workers = 410, work = 'spin' }"),
	  "m:17:1: [[scenario]] starts 4101 workers in all; at most 4096" },
	{ "[[scenario.step]]\nhold = { loop = '1ms', for = '5s' }\nops = [{ capture = 'x' }]\n",
	  "m:17:1: [[scenario]] takes 5000 samples in all; at most 4096" },
	{ "[[scenario.step]]\nhold = { loop = '10ms', for = '5s' }\nops = [{ run_payload = 'x' "
	  "}]\n",
	  "m:17:1: [[scenario]] starts 500 payloads in all; at most 256" },
};

Test(matrix_play, what_could_not_be_done_is_refused_where_it_stands)
{
	matrixtext_expect_refusals(refusals, LENGTH(refusals));
}

/* All that looks like one of the above and is right. */
static const char *const right[] = {
	/* a loop's later rounds see what the step brought */
	BACKDROP LOOP("{ freeze_cgroup = 'c' }, { unfreeze_cgroup = 'c' }"),
	BACKDROP LOOP("{ swap_cpusets = ['c', 'd'] }"),
	LOOP("{ add_cgroup = { name = 'f', " SPIN " } }, { remove_cgroup = 'f' }"),
	LOOP("{ detach_scheduler = true }, { attach_scheduler = true }"),
	LOOP("{ hotplug_cpu = 1, online = false }, { hotplug_cpu = 1, online = true }"),
	LOOP("{ run_payload = 'p' }, { wait_payload = 'p', deadline = '1s' }"),
	LOOP("{ capture = 'x' }"),
	LOOP("{ restart_scheduler = true }"),
	/* its ops come behind its cgroups */
	LOOP("{ set_cpuset = 'own', to = '0' }") "cgroup = [{ name = 'own' }]\n",
	/* each step makes its own */
	STEP("cgroup = [{ name = 'c' }]") STEP("cgroup = [{ name = 'c' }]"),
	/* left frozen: who must stop is thawed, the backdrop's stays */
	BACKDROP OPS("{ freeze_cgroup = 'c' }"),
	BACKDROP OPS("{ freeze_cgroup = 'c' }") OPS("{ unfreeze_cgroup = 'c' }"),
	BACKDROP OPS("{ freeze_cgroup = 'c' }, { remove_cgroup = 'c' }, { add_cgroup = { name = "
		     "'c', " SPIN " } }"),
	/* what the backdrop started runs on */
	"[scenario.backdrop]\nops = [{ run_payload = 'p' }]\n" STEP("")
		OPS("{ wait_payload = 'p', deadline = '1s' }"),
	/* workers above, no controllers below */
	STEP("cgroup = [{ name = 'p', " SPIN " }, { name = 'p/c', " SPIN " }]"),
	/* limits below one that nobody works in */
	STEP("cgroup = [{ name = 'p', cpuset = '0-1' }, { name = 'p/c' }, "
	     "{ name = 'p/c/d', memory_max = '1M', " SPIN " }]"),
	/* another in its place */
	OPS("{ detach_scheduler = true }, { replace_scheduler = 'other' }, { write_map = 'm', key "
	    "= 1, value = 1 }, { replace_scheduler = 'scx_kt' }"),
	/* those above come with it */
	STEP("cgroup = [{ name = 'p/c' }]\n")
		OPS("{ add_cgroup = { name = 'p/c' } }, { freeze_cgroup = 'p' }"),
	BACKDROP LOOP("{ spawn = 'c', workers = 409, work = 'spin' }"),
	/* maps, and no cell of the kernel's own scheduler; or another in its place */
	"schedulers = ['scx_kt', 'other']\n" OPS("{ write_map = 'm', key = 1, value = 1 }"),
	OPS("{ replace_scheduler = 'other' }, { write_map = 'm', key = 1, value = 1 }"),
};

Test(matrix_play, what_can_be_done_is_taken)
{
	for (size_t i = 0; i < LENGTH(right); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF problems = { 0 };

		cr_expect_eq(matrixtext_parse(right[i], &matrix, &problems), 0, "%s: %s", right[i],
			     kt_buf_text(&problems));
	}
}

/* Captures are samples: what is asserted of a series may rest on them alone. */
Test(matrix_play, samples_on_demand_count)
{
	static const char enough[] = LOOP(
		"{ capture = 'x' }") "[[scenario.assert]]\nseries = 'bpf:n'\nmin_samples = 10\n";
	static const char too_few[] = LOOP(
		"{ capture = 'x' }") "[[scenario.assert]]\nseries = 'bpf:n'\nmin_samples = 11\n";
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF problems = { 0 };

	cr_assert_eq(matrixtext_parse(enough, &matrix, &problems), 0, "%s", kt_buf_text(&problems));
	cr_assert_eq(matrix->scenarios[0].n_captures, 10);
	kt_matrix_destroy(&matrix);
	cr_assert_eq(matrixtext_parse(too_few, &matrix, &problems), -EINVAL);
	cr_assert_str_eq(
		kt_buf_text(&problems),
		"m:25:15: min_samples = 11 can never be reached: scenario 'a' takes 10 samples\n");
}

/* Cell 0 has scx_kt, cell 1 other. */
Test(matrix_play, a_cell_carries_the_schedulers_that_its_scenario_changes_to)
{
	static const struct {
		const char *scenario;
		uint64_t cell;
		const char *others;
	} cases[] = {
		{ STEP(""), 0, "" },
		{ OPS("{ replace_scheduler = 'other' }"), 0, "other " },
		{ OPS("{ replace_scheduler = 'other' }"), 1, "" },
		{ OPS("{ replace_scheduler = 'other' }") OPS("{ replace_scheduler = 'scx_kt' }"), 1,
		  "scx_kt " },
		{ "[scenario.backdrop]\nops = [{ replace_scheduler = 'other' }]\n" STEP(""), 0,
		  "other " },
		{ OPS("{ capture = 'other' }"), 0, "" },
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF problems = { 0 };
		KT_AUTO_BUF others = { 0 };
		struct kt_msg_job job;

		cr_assert_eq(matrixtext_parse(cases[i].scenario, &matrix, &problems), 0, "%s",
			     kt_buf_text(&problems));
		kt_matrix_job(matrix, cases[i].cell, &arena, &job);
		for (size_t s = 0; s < job.n_schedulers; s++) {
			kt_buf_printf(&others, "%s ", job.schedulers[s].name);
			cr_assert_eq(job.schedulers[s].n_args, 1);
		}
		cr_assert_str_eq(kt_buf_text(&others), cases[i].others, "case %zu", i);
	}
}
