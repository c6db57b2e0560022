/* Cgroups of a matrix: their names and limits, and the groups of workers in them. */
#include "matrixtext.h"

#define LENGTH(list_) (sizeof(list_) / sizeof((list_)[0]))

#define STEP          "[[scenario.step]]\nhold = '1s'\n"
#define CGROUP(rest_) STEP "cgroup = [{ name = 'c', " rest_ " }]\n"
#define GROUP(rest_)  CGROUP("workers = 1, work = 'spin', " rest_)

#define MEANS(rest_) "steps{hold_ns=1000000000 cgroups{name=c " rest_ "}}"
#define SPIN         "groups{workers=1 work=spin"

static const struct matrixtext_meaning meanings[] = {
	/* nobody in it */
	{ STEP "cgroup = [{ name = 'c' }, { name = 'c/d.e/f-g' }]\n",
	  "steps{hold_ns=1000000000 cgroups{name=c} {name=c/d.e/f-g}}" },
	/* the short form is one group */
	{ CGROUP("workers = 3, work = 'spin'"), MEANS("groups{workers=3 work=spin}") },
	{ CGROUP("groups = [{ workers = 3, work = 'spin' }, { workers_pct = 2, work = 'spin' }]"),
	  MEANS("groups{workers=3 work=spin} {workers_ppm=2000000 work=spin}") },
	{ CGROUP("workers_pct = 0.5, work = 'spin', params = {}"),
	  MEANS("groups{workers_ppm=500000 work=spin}") },
	{ CGROUP("workers_pct = 0.000001, work = 'spin'"),
	  MEANS("groups{workers_ppm=1 work=spin}") },
	/* policies */
	{ GROUP("policy = 'batch', nice = -20"), MEANS(SPIN " policy=batch nice=-20}") },
	{ GROUP("nice = 19"), MEANS(SPIN " nice=19}") },
	{ GROUP("policy = 'idle'"), MEANS(SPIN " policy=idle}") },
	{ GROUP("policy = 'ext'"), MEANS(SPIN " policy=ext}") },
	{ GROUP("policy = 'fifo', priority = 1"), MEANS(SPIN " policy=fifo priority=1}") },
	{ GROUP("policy = 'rr', priority = 49"), MEANS(SPIN " policy=rr priority=49}") },
	{ GROUP("policy = 'deadline', runtime = '1ms', deadline = '5ms', period = '10ms'"),
	  MEANS(SPIN
		" policy=deadline runtime_ns=1000000 deadline_ns=5000000 period_ns=10000000}") },
	{ GROUP("policy = 'deadline', runtime = '1ms', deadline = '5ms'"),
	  MEANS(SPIN
		" policy=deadline runtime_ns=1000000 deadline_ns=5000000 period_ns=5000000}") },
	/* parameters, in the unit of their work type */
	{ CGROUP("workers = 1, work = 'bursty', params = { sleep = '2ms', run = '1.5us' }"),
	  MEANS("groups{workers=1 work=bursty params{name=run value=1500} {name=sleep "
		"value=2000000}}") },
	{ CGROUP("workers = 1, work = 'cache_pressure', params = { bytes = '64K' }"),
	  MEANS("groups{workers=1 work=cache_pressure params{name=bytes value=65536}}") },
	{ CGROUP("workers = 2, work = 'pipe', params = { bytes = 8 }"),
	  MEANS("groups{workers=2 work=pipe params{name=bytes value=8}}") },
	/* as many as work together */
	{ CGROUP("workers = 4, work = 'pipe'"), MEANS("groups{workers=4 work=pipe}") },
	{ CGROUP("workers = 6, work = 'futex_fan_out', params = { fan_out = 2 }"),
	  MEANS("groups{workers=6 work=futex_fan_out params{name=fan_out value=2}}") },
	{ CGROUP("workers = 5, work = 'futex_fan_out'"),
	  MEANS("groups{workers=5 work=futex_fan_out}") },
	{ CGROUP("workers = 1, work = 'sequence', phases = [{ work = 'spin', duration = '10ms' }, "
		 "{ work = 'bursty', duration = '1s', params = { run = '1ms' } }]"),
	  MEANS("groups{workers=1 work=sequence phases{work=spin duration_ns=10000000} "
		"{work=bursty params{name=run value=1000000} duration_ns=1000000000}}") },
	/* where and as whom */
	{ GROUP("cpuset = 'llc(1)', affinity = '2', uid = 1000, gid = 65535"),
	  MEANS(SPIN " affinity{kind=exact list=2} uid=1000 gid=65535} cpuset{kind=llc index=1}") },
	{ GROUP("mem_policy = 'interleave', mem_nodes = '0-1'"),
	  MEANS(SPIN " mem_policy=interleave mem_nodes=0-1}") },
	{ GROUP("mem_policy = 'local'"), MEANS(SPIN " mem_policy=local}") },
	/* limits are what the kernel's files take */
	{ CGROUP("cpu_max = '50%'"), MEANS("limits{file=cpu.max text=50000 100000}") },
	{ CGROUP("cpu_max = '1%'"), MEANS("limits{file=cpu.max text=1000 100000}") },
	{ CGROUP("cpu_max = '250%'"), MEANS("limits{file=cpu.max text=250000 100000}") },
	{ CGROUP("cpu_max = 'max'"), MEANS("limits{file=cpu.max text=max 100000}") },
	{ CGROUP("memory_max = '64M', memory_high = 'max', memory_low = '1024K', pids_max = 7, "
		 "io_weight = 1, cpu_weight = 10000"),
	  MEANS("limits{file=cpu.weight text=10000} {file=memory.max text=67108864} "
		"{file=memory.high text=max} {file=memory.low text=1048576} {file=io.weight "
		"text=1} {file=pids.max text=7}") },
};

Test(matrix_groups, what_is_written_is_what_the_guest_gets)
{
	matrixtext_expect_meanings(meanings, LENGTH(meanings));
}

static const struct matrixtext_refusal refusals[] = {
	/* names */
	{ STEP "cgroup = [{ workers = 1, work = 'spin' }]\n",
	  "m:22:11: cgroup needs 'name': what the guest calls it; e.g. name = \"cg_0\"" },
	{ STEP "cgroup = [{ name = '/c' }]\n",
	  "m:22:20: name '/c' in cgroup: letters, digits, '_', '.' and '-', its first no '.' or "
	  "'-'; with '/' between, one within another" },
	{ STEP "cgroup = [{ name = 'c/' }]\n",
	  "m:22:20: name 'c/' in cgroup: letters, digits, '_', '.' and '-', its first no '.' or "
	  "'-'; with '/' between, one within another" },
	{ STEP "cgroup = [{ name = 'c/../d' }]\n",
	  "m:22:20: name 'c/../d' in cgroup: letters, digits, '_', '.' and '-', its first no '.' "
	  "or '-'; with '/' between, one within another" },
	{ STEP "cgroup = [{ name = 'c/memory.max' }]\n",
	  "m:22:20: name 'memory.max' in cgroup: the kernel's own files there begin with "
	  "'memory.'; choose another" },
	{ STEP "cgroup = [{ name = 'a/b/c/d/e/f/g/h/i' }]\n",
	  "m:22:20: name 'a/b/c/d/e/f/g/h/i' in cgroup: at most 8 deep" },
	/* groups */
	{ CGROUP("workers = 1"),
	  "m:22:11: cgroup needs 'work': what they do; e.g. work = \"spin\"" },
	{ CGROUP("work = 'spin'"), "m:22:11: cgroup needs 'workers' or 'workers_pct': how many "
				   "processes; e.g. workers = 1" },
	{ GROUP("workers_pct = 1.0"),
	  "m:22:53: cgroup has both 'workers' and 'workers_pct'; keep one" },
	{ CGROUP("workers_pct = 0.0, work = 'spin'"),
	  "m:22:39: 'workers_pct' in cgroup is 0; it is more than 0 and at most 1000, 1.0 for a "
	  "worker per CPU" },
	{ CGROUP("workers_pct = nan, work = 'spin'"),
	  "m:22:39: 'workers_pct' in cgroup is nan; it is more than 0 and at most 1000, 1.0 for a "
	  "worker per CPU" },
	{ CGROUP("workers_pct = 1001, work = 'spin'"),
	  "m:22:39: 'workers_pct' in cgroup is 1001; it is more than 0 and at most 1000, 1.0 for a "
	  "worker per CPU" },
	{ CGROUP("groups = [{ workers = 1, work = 'spin' }], nice = 3"),
	  "m:22:68: 'nice' in cgroup stands beside 'groups'; put it into the group that it is "
	  "about" },
	{ CGROUP("groups = []"), "m:22:34: 'groups' in cgroup is empty: its workers, by what they "
				 "do; e.g. groups = [{ workers = 2, work = \"spin\" }]" },
	{ CGROUP("groups = [{ workers = 1, work = 'spin', name = 'd' }]"),
	  "m:22:65: unknown key 'name' in group; did you mean 'nice'?" },
	{ CGROUP("wrokers = 1"),
	  "m:22:25: unknown key 'wrokers' in cgroup; did you mean 'workers'?" },
	{ GROUP("params = { hz = 3 }"), "m:22:64: work 'spin' has no parameters" },
	{ GROUP("phases = [{ work = 'spin', duration = '1ms' }]"),
	  "m:22:53: 'phases' goes with work 'sequence', not with 'spin'" },
	/* parameters */
	{ CGROUP("workers = 1, work = 'bursty', params = { slep = '2ms' }"),
	  "m:22:66: unknown bursty parameter 'slep' in cgroup; did you mean 'sleep'?" },
	{ CGROUP("workers = 1, work = 'bursty', params = { sleep = 2 }"),
	  "m:22:74: parameter 'sleep' of work 'bursty' is a time: how long it sleeps; e.g. sleep = "
	  "\"5ms\"" },
	{ CGROUP("workers = 1, work = 'bursty', params = { sleep = '2s' }"),
	  "m:22:74: parameter 'sleep' of work 'bursty' goes from \"1us\" to \"1s\": how long it "
	  "sleeps" },
	{ CGROUP("workers = 2, work = 'cache_pipe', params = { bytes = 8192 }"),
	  "m:22:78: parameter 'bytes' of work 'cache_pipe' is a size: how much memory each; e.g. "
	  "bytes = \"64K\"" },
	{ CGROUP("workers = 2, work = 'cache_pipe', params = { bytes = '65M' }"),
	  "m:22:78: parameter 'bytes' of work 'cache_pipe' goes from \"4K\" to \"64M\": how much "
	  "memory each" },
	{ CGROUP("workers = 5, work = 'futex_fan_out', params = { fan_out = '4' }"),
	  "m:22:83: parameter 'fan_out' of work 'futex_fan_out' is a whole number: how many "
	  "others; "
	  "e.g. fan_out = 4" },
	/* together */
	{ CGROUP("workers = 3, work = 'pipe'"),
	  "m:22:35: work 'pipe' has 2 workers that work together; 3 is no multiple of it" },
	{ CGROUP("workers = 5, work = 'futex_fan_out', params = { fan_out = 5 }"),
	  "m:22:35: work 'futex_fan_out' has 6 workers that work together; 5 is no multiple of "
	  "it" },
	{ CGROUP("workers = 1, work = 'sequence'"),
	  "m:22:11: work 'sequence' needs 'phases': what comes after what; e.g. phases = [{ work = "
	  "\"spin\", duration = \"10ms\" }]" },
	{ CGROUP("workers = 1, work = 'sequence', phases = [{ work = 'pipe', duration = '1s' }]"),
	  "m:22:76: work 'pipe' cannot be a phase: workers of a sequence work alone" },
	{ CGROUP("workers = 1, work = 'sequence', phases = [{ work = 'spin' }]"),
	  "m:22:67: phase needs 'duration': how long, until the next phase; e.g. duration = "
	  "\"10ms\"" },
	/* policies */
	{ GROUP("policy = 'batsh'"),
	  "m:22:62: unknown policy 'batsh' in cgroup; did you mean 'batch'?" },
	{ GROUP("policy = 'fifo'"), "m:22:62: policy fifo needs 'priority'" },
	{ GROUP("policy = 'rr', priority = 0"),
	  "m:22:79: 'priority' in cgroup is 0; it goes from 1 to 49" },
	{ GROUP("priority = 3"),
	  "m:22:53: 'priority' goes with policy fifo or rr, not with normal" },
	{ GROUP("policy = 'idle', nice = 3"),
	  "m:22:70: 'nice' goes with policy normal, batch or ext, not with idle" },
	{ GROUP("nice = -21"), "m:22:60: 'nice' in cgroup is -21; it goes from -20 to 19" },
	{ GROUP("nice = 20"), "m:22:60: 'nice' in cgroup is 20; it goes from -20 to 19" },
	{ GROUP("policy = 'deadline'"),
	  "m:22:62: policy deadline needs 'runtime'\nm:22:62: policy deadline needs 'deadline'" },
	{ GROUP("policy = 'deadline', runtime = '6ms', deadline = '5ms'"),
	  "m:22:84: 'runtime' is more than 'deadline'; runtime <= deadline <= period" },
	{ GROUP("policy = 'deadline', runtime = '1ms', deadline = '5ms', period = '4ms'"),
	  "m:22:102: 'deadline' is more than 'period'; runtime <= deadline <= period" },
	{ GROUP("policy = 'deadline', runtime = '10us', deadline = '50us'"),
	  "m:22:103: a 'deadline' of less than 100us needs a 'period' of 100us or more" },
	{ GROUP("policy = 'deadline', runtime = '1ms', deadline = '5s'"),
	  "m:22:102: 'deadline' in cgroup is \"5s\"; it goes from 1.02us to 4.19s" },
	{ GROUP("policy = 'deadline', runtime = '1ms', deadline = '5ms', affinity = '0'"),
	  "m:22:109: 'affinity' goes with policy normal, batch, idle, fifo, rr or ext, not with "
	  "deadline" },
	{ GROUP("period = '1ms'"), "m:22:53: 'period' goes with policy deadline, not with normal" },
	/* memory, users */
	{ GROUP("mem_policy = 'bind'"),
	  "m:22:66: mem_policy bind needs 'mem_nodes'; e.g. mem_nodes = \"0\"" },
	{ GROUP("mem_nodes = '0'"),
	  "m:22:53: 'mem_nodes' goes with mem_policy bind, preferred or interleave" },
	{ GROUP("mem_policy = 'local', mem_nodes = '0'"),
	  "m:22:75: 'mem_nodes' goes with mem_policy bind, preferred or interleave" },
	{ GROUP("mem_policy = 'bind', mem_nodes = 'x'"),
	  "m:22:86: 'mem_nodes' in cgroup: 'x' is no list of NUMA nodes; e.g. mem_nodes = "
	  "\"0-1\"" },
	{ GROUP("uid = 65536"), "m:22:59: 'uid' in cgroup is 65536; it goes from 0 to 65535" },
	/* limits */
	{ CGROUP("cpu_max = '0%'"), "m:22:35: 'cpu_max' in cgroup: '0%' is no share of a CPU, 1% "
				    "to 25500%, nor \"max\"; e.g. cpu_max = \"50%\"" },
	{ CGROUP("cpu_max = '1.5%'"), "m:22:35: 'cpu_max' in cgroup: '1.5%' is no share of a CPU, "
				      "1% to 25500%, nor \"max\"; e.g. cpu_max = \"50%\"" },
	{ CGROUP("cpu_max = '50'"), "m:22:35: 'cpu_max' in cgroup: '50' is no share of a CPU, 1% "
				    "to 25500%, nor \"max\"; e.g. cpu_max = \"50%\"" },
	{ CGROUP("cpu_weight = 0"),
	  "m:22:38: 'cpu_weight' in cgroup is 0; it goes from 1 to 10000" },
	{ CGROUP("memory_max = '1K'"),
	  "m:22:38: 'memory_max' in cgroup is \"1K\"; it goes from 1M to 65536M" },
	{ CGROUP("memory_max = '1'"), "m:22:38: 'memory_max' in cgroup: '1' is no size; a whole "
				      "number and K, M or G, e.g. memory_max = \"64M\"" },
	{ CGROUP("pids_max = 4194305"),
	  "m:22:36: 'pids_max' in cgroup is 4194305; it goes from 1 to 4194304" },
};

Test(matrix_groups, what_cannot_be_is_refused_where_it_stands)
{
	matrixtext_expect_refusals(refusals, LENGTH(refusals));
}
