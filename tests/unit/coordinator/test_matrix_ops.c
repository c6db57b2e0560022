/* Steps of a matrix: holds and loops, the backdrop, and every op of proto/ops.def. */
#include "matrixtext.h"

#include "proto/ops.h"

#define LENGTH(list_) (sizeof(list_) / sizeof((list_)[0]))

/* Ops on what the backdrop made: c and d, in lines 21 and 22; the op stands in line 25. */
#define BACKDROP                                                                        \
	"[scenario.backdrop]\ncgroup = [{ name = 'c', cpuset = '0', payload = 'p' },\n" \
	"{ name = 'd', cpuset = '1' }]\n"
#define OP(op_) BACKDROP "[[scenario.step]]\nhold = '1s'\nops = [" op_ "]\n"

#define MEANS(op_)                                                                             \
	"steps{hold_ns=1000000000 ops{kind=" op_                                               \
	"}} backdrop{cgroups{name=c cpuset{kind=exact list=0} payload=p} {name=d cpuset{kind=" \
	"exact list=1}}}"

static const struct {
	enum kt_ops_id op; /* every one of the table is here */
	struct matrixtext_meaning meaning;
} ops[] = {
	{ KT_OPS_ID_add_cgroup,
	  { OP("{ add_cgroup = { name = 'e', workers = 1, work = 'spin' } }"),
	    MEANS("add_cgroup make{name=e groups{workers=1 work=spin}}") } },
	{ KT_OPS_ID_remove_cgroup,
	  { OP("{ remove_cgroup = 'c' }"), MEANS("remove_cgroup cgroup=c") } },
	{ KT_OPS_ID_set_cpuset,
	  { OP("{ set_cpuset = 'c', to = 'numa(1)' }"),
	    MEANS("set_cpuset cgroup=c cpuset{kind=numa index=1}") } },
	{ KT_OPS_ID_clear_cpuset,
	  { OP("{ clear_cpuset = 'c' }"), MEANS("clear_cpuset cgroup=c") } },
	{ KT_OPS_ID_swap_cpusets,
	  { OP("{ swap_cpusets = ['c', 'd'] }"), MEANS("swap_cpusets cgroup=c other=d") } },
	{ KT_OPS_ID_spawn,
	  { OP("{ spawn = 'c', workers = 2, work = 'spin', nice = 3 }"),
	    MEANS("spawn cgroup=c group{workers=2 work=spin nice=3}") } },
	{ KT_OPS_ID_stop_cgroup, { OP("{ stop_cgroup = 'c' }"), MEANS("stop_cgroup cgroup=c") } },
	{ KT_OPS_ID_set_affinity,
	  { OP("{ set_affinity = 'c', to = 'range(0, 0.5)' }"),
	    MEANS("set_affinity cgroup=c cpuset{kind=range to_ppm=500000}") } },
	{ KT_OPS_ID_move_all_tasks,
	  { OP("{ move_all_tasks = ['c', 'd'] }"), MEANS("move_all_tasks cgroup=c other=d") } },
	{ KT_OPS_ID_run_payload, { OP("{ run_payload = 'p' }"), MEANS("run_payload name=p") } },
	{ KT_OPS_ID_run_payload,
	  { OP("{ run_payload = 'p', cgroup = 'd' }"), MEANS("run_payload cgroup=d name=p") } },
	{ KT_OPS_ID_wait_payload,
	  { OP("{ wait_payload = 'p', deadline = '10s' }"),
	    MEANS("wait_payload name=p deadline_ns=10000000000") } },
	{ KT_OPS_ID_kill_payload, { OP("{ kill_payload = 'p' }"), MEANS("kill_payload name=p") } },
	{ KT_OPS_ID_freeze_cgroup,
	  { OP("{ freeze_cgroup = 'c' }"), MEANS("freeze_cgroup cgroup=c") } },
	{ KT_OPS_ID_unfreeze_cgroup,
	  { OP("{ freeze_cgroup = 'c' }, { unfreeze_cgroup = 'c' }"),
	    MEANS("freeze_cgroup cgroup=c} {kind=unfreeze_cgroup cgroup=c") } },
	{ KT_OPS_ID_capture, { OP("{ capture = 'now' }"), MEANS("capture name=now") } },
	{ KT_OPS_ID_attach_scheduler,
	  { OP("{ detach_scheduler = true }, { attach_scheduler = true }"),
	    MEANS("detach_scheduler} {kind=attach_scheduler") } },
	{ KT_OPS_ID_detach_scheduler,
	  { OP("{ detach_scheduler = true }"), MEANS("detach_scheduler") } },
	{ KT_OPS_ID_restart_scheduler,
	  { OP("{ restart_scheduler = true }"), MEANS("restart_scheduler") } },
	{ KT_OPS_ID_replace_scheduler,
	  { OP("{ replace_scheduler = 'other' }"), MEANS("replace_scheduler name=other") } },
	{ KT_OPS_ID_write_map,
	  { "schedulers = ['scx_kt']\n" OP(
		    "{ write_map = 'scx_kt.bss', variable = 'knob', value = -1 }"),
	    MEANS("write_map name=scx_kt.bss value=-1 variable=knob") } },
	{ KT_OPS_ID_write_map,
	  { "schedulers = ['scx_kt']\n" OP("{ write_map = 'limits', key = 3, value = 5 }"),
	    MEANS("write_map name=limits key=3 value=5") } },
	{ KT_OPS_ID_hotplug_cpu,
	  { OP("{ hotplug_cpu = 1, online = false }, { hotplug_cpu = 1, online = true }"),
	    MEANS("hotplug_cpu cpu=1} {kind=hotplug_cpu cpu=1 online") } },
};

Test(matrix_ops, every_op_of_the_table_is_read)
{
	bool is_read[KT_OPS_N] = { false };

	for (size_t i = 0; i < LENGTH(ops); i++) {
		matrixtext_expect_meanings(&ops[i].meaning, 1);
		is_read[ops[i].op] = true;
	}
	for (size_t i = 0; i < KT_OPS_N; i++)
		cr_expect(is_read[i], "%s", kt_ops[i].name);
}

static const struct matrixtext_meaning meanings[] = {
	{ "[[scenario.step]]\nhold = { loop = '100ms', for = '50%' }\nops = [{ capture = 'x' }]\n",
	  "steps{hold_ns=5000000000 ops{kind=capture name=x} loop_ns=100000000}" },
	{ "[[scenario.step]]\nhold = { for = 0.5, loop = '1ms' }\n"
	  "ops = [{ restart_scheduler = true }]\n",
	  "steps{hold_ns=5000000000 ops{kind=restart_scheduler} loop_ns=1000000}" },
	{ "[scenario.backdrop]\nops = [{ hotplug_cpu = 2, online = false }]\n"
	  "[[scenario.step]]\nhold = 'full'\n",
	  "steps{hold_ns=10000000000} backdrop{ops{kind=hotplug_cpu cpu=2}}" },
	{ "stall = '5s'\nrunqueue_latency = true\nabout = 'What.'\ngroup = 'basic'\n"
	  "[[scenario.step]]\nhold = 'full'\n",
	  "steps{hold_ns=10000000000} stall_ns=5000000000 runqueue_latency" },
};

Test(matrix_ops, loops_and_the_backdrop_are_read)
{
	matrixtext_expect_meanings(meanings, LENGTH(meanings));
}

#define LOOP(hold_, ops_) "[[scenario.step]]\nhold = " hold_ "\n" ops_ "\n"

static const struct matrixtext_refusal refusals[] = {
	/* what is no op */
	{ OP("{ frezee_cgroup = 'c' }"),
	  "m:25:10: unknown op 'frezee_cgroup' in [[scenario.step]]; did you mean "
	  "'freeze_cgroup'?" },
	{ OP("{ to = 'llc(0)', set_cpus = 'c' }"),
	  "m:25:25: unknown op 'set_cpus' in [[scenario.step]]; did you mean 'set_cpuset'?" },
	{ OP("{}"),
	  "m:25:8: an op without a name; e.g. { set_cpuset = \"cg_0\", to = \"llc(0)\" }" },
	{ OP("'freeze_cgroup'"),
	  "m:25:8: 'ops' in [[scenario.step]] takes tables, not a string; e.g. ops = [{ "
	  "freeze_cgroup = \"cg_0\" }]" },
	/* two ops in one table; a key of another op */
	{ OP("{ stop_cgroup = 'c', freeze_cgroup = 'c' }"),
	  "m:25:10: two ops in one table, freeze_cgroup and stop_cgroup: each has a { } of its "
	  "own" },
	{ OP("{ stop_cgroup = 'c', to = 'llc(0)' }"),
	  "m:25:29: unknown key 'to' in op stop_cgroup; known: stop_cgroup" },
	/* what an op takes */
	{ OP("{ freeze_cgroup = true }"),
	  "m:25:26: 'freeze_cgroup' in op freeze_cgroup must be a string, not true or false; e.g. "
	  "freeze_cgroup = \"cg_0\"" },
	{ OP("{ set_cpuset = 'c' }"),
	  "m:25:8: op set_cpuset needs 'to': which CPUs; e.g. to = \"llc(0)\"" },
	{ OP("{ swap_cpusets = ['c'] }"),
	  "m:25:25: 'swap_cpusets' takes two cgroups; e.g. swap_cpusets = [\"cg_0\", \"cg_1\"]" },
	{ OP("{ move_all_tasks = ['c', 3] }"),
	  "m:25:33: 'move_all_tasks' takes two cgroups, not an integer; e.g. move_all_tasks = "
	  "[\"cg_0\", \"cg_1\"]" },
	{ OP("{ spawn = 'c' }"),
	  "m:25:8: op spawn needs the workers: how many, and what they do; e.g. workers = 2, work "
	  "= \"spin\"" },
	{ OP("{ spawn = 'c', workers = 2, work = 'spn' }"),
	  "m:25:43: unknown work type 'spn' in op spawn; did you mean 'spin'?" },
	{ OP("{ wait_payload = 'p' }"),
	  "m:25:8: op wait_payload needs 'deadline': how long it may take; e.g. deadline = "
	  "\"10s\"" },
	{ OP("{ detach_scheduler = false }"),
	  "m:25:29: 'detach_scheduler' is done or left out, not false; e.g. detach_scheduler = "
	  "true" },
	{ OP("{ replace_scheduler = 'othr' }"),
	  "m:25:30: unknown scheduler 'othr' in op replace_scheduler; did you mean 'other'?" },
	{ OP("{ replace_scheduler = 'eevdf' }"),
	  "m:25:30: scheduler 'eevdf' is the kernel's own: nothing can be loaded; "
	  "detach_scheduler leaves the guest to it" },
	{ OP("{ write_map = 'm', value = 1 }"),
	  "m:25:8: op write_map needs 'variable' (of .bss, .data) or 'key' (of an array or a "
	  "hash), "
	  "one of them; e.g. write_map = \"scx_kt.bss\", variable = \"knob\", value = 1" },
	{ OP("{ write_map = 'm', value = 1, key = 1, variable = 'x' }"),
	  "m:25:8: op write_map needs 'variable' (of .bss, .data) or 'key' (of an array or a "
	  "hash), "
	  "one of them; e.g. write_map = \"scx_kt.bss\", variable = \"knob\", value = 1" },
	{ OP("{ write_map = 'm', key = 1 }"),
	  "m:25:8: op write_map needs 'value': what it is to be; e.g. value = 1" },
	{ OP("{ hotplug_cpu = 1 }"),
	  "m:25:8: op hotplug_cpu needs 'online': what the CPU is to be; e.g. online = false" },
	{ OP("{ hotplug_cpu = 255, online = false }"),
	  "m:25:24: 'hotplug_cpu' in op hotplug_cpu is 255; it goes from 0 to 254" },
	{ OP("{ hotplug_cpu = 0, online = false }"),
	  "m:25:24: CPU 0 cannot be taken offline: x86 kernels keep it" },
	{ OP("{ capture = 'periodic_000' }"),
	  "m:25:20: tag 'periodic_000': tags that begin with 'periodic_' are those of the samples "
	  "that come by themselves" },
	{ OP("{ capture = 'a b' }"),
	  "m:25:20: name 'a b' in op capture: only letters, digits, '_', '.' and '-'" },
	/* loops */
	{ LOOP("{ loop = '100ms', for = 'full' }", ""),
	  "m:21:17: a loop does ops again, and this step has none" },
	{ LOOP("{ loop = '1s', for = '1s' }", "ops = [{ capture = 'x' }]"),
	  "m:21:17: the step has ended before its ops are done again; leave 'loop' out, or make it "
	  "shorter" },
	{ LOOP("{ loop = '100us', for = '1s' }", "ops = [{ capture = 'x' }]"),
	  "m:21:17: 'loop' in hold of [[scenario.step]] is \"100us\"; it goes from 1ms to 24h00m" },
	{ LOOP("{ loop = '1s' }", "ops = [{ capture = 'x' }]"),
	  "m:21:8: hold of [[scenario.step]] needs 'for': how long it lasts; e.g. for = \"50%\"" },
	{ LOOP("{ loop = '1s', for = '0s' }", "ops = [{ capture = 'x' }]"),
	  "m:21:29: 'for' in hold of [[scenario.step]] is \"0s\"; it is \"full\", a share of the "
	  "duration (\"50%\", 0.5) or a time of more than 0 (\"3s\")" },
	{ "[scenario.backdrop]\nhold = '1s'\n[[scenario.step]]\nhold = 'full'\n",
	  "m:21:1: unknown key 'hold' in [scenario.backdrop]; known: cgroup, ops" },
};

Test(matrix_ops, what_an_op_does_not_take_is_refused_where_it_stands)
{
	matrixtext_expect_refusals(refusals, LENGTH(refusals));
}
