/* A scenario of a matrix, told in words. */
#include "matrixtext.h"

#include "coordinator/core/matrix/playbill.h"
#include "proto/ops.h"

static const char text[] =
	"schedulers = ['scx_kt']\n"
	"[scenario.backdrop]\n"
	"cgroup = [{ name = 'bg', cpuset = 'numa(1)', cpu_max = '50%', workers_pct = 0.5, work = "
	"'pipe' }]\n"
	"ops = [{ hotplug_cpu = 7, online = false }, { run_payload = 'p' }]\n"
	"[[scenario.step]]\nhold = '5s'\n"
	"ops = [{ write_map = 'm.bss', variable = 'knob', value = 1 }, { write_map = 'm', key = 3, "
	"value = -1 },\n"
	"{ run_payload = 'p', cgroup = 'bg' }, { wait_payload = 'p', deadline = '1m' }, { "
	"run_payload = 'p' }, { kill_payload = 'p' },\n"
	"{ add_cgroup = { name = 'x', cpuset = 'llc(0)', pids_max = 7, workers = 1, work = "
	"'bursty', params = { run = '1ms' } } },\n"
	"{ swap_cpusets = ['bg', 'x'] }, { move_all_tasks = ['x', 'bg'] }, { set_affinity = 'x', "
	"to = '5-6' },\n"
	"{ freeze_cgroup = 'x' }, { unfreeze_cgroup = 'x' }, { stop_cgroup = 'x' }, { clear_cpuset "
	"= 'x' }, { remove_cgroup = 'x' },\n"
	"{ capture = 'now' }, { detach_scheduler = true }, { attach_scheduler = true }, { "
	"restart_scheduler = true }, { replace_scheduler = 'other' }]\n"
	"cgroup = [{ name = 'c', payload = 'p', groups = [{ workers = 2, work = 'cache_pipe', "
	"params = { bytes = '64K' }, policy = 'fifo', priority = 3, affinity = '0-1' },\n"
	"{ workers = 1, work = 'sequence', phases = [{ work = 'spin', duration = '1ms' }, { work = "
	"'bursty', params = { sleep = '2ms' }, duration = '2ms' }] },\n"
	"{ workers = 1, work = 'spin', policy = 'deadline', runtime = '1ms', deadline = '2ms', "
	"mem_policy = 'bind', mem_nodes = '0', uid = 3, gid = 4 }] }]\n"
	"[[scenario.step]]\nhold = { loop = '500ms', for = '5s' }\n"
	"ops = [{ set_cpuset = 'd', to = 'overlap(0, 2, 0.5)' }, { spawn = 'd', workers = 2, work "
	"= 'spin', nice = 3 }]\n"
	"cgroup = [{ name = 'd', memory_max = '64M', memory_high = 'max' }]\n";

static const char words[] =
	"  backdrop\n"
	"    hotplug_cpu 7 offline\n"
	"    run_payload p\n"
	"    cgroup bg: cpuset numa(1), cpu.max 50000 100000\n"
	"      0.5 per CPU pipe, rounded up to a multiple of 2\n"
	"  step 0, from 0s to 5s\n"
	"    write_map m.bss: knob = 1\n"
	"    write_map m: [3] = -1\n"
	"    run_payload p in bg\n"
	"    wait_payload p within 1m00s\n"
	"    run_payload p\n"
	"    kill_payload p\n"
	"    add_cgroup x: cpuset llc(0), pids.max 7; 1 bursty (run = 1ms)\n"
	"    swap_cpusets bg, x\n"
	"    move_all_tasks x, bg\n"
	"    set_affinity x to 5-6\n"
	"    freeze_cgroup x\n"
	"    unfreeze_cgroup x\n"
	"    stop_cgroup x\n"
	"    clear_cpuset x\n"
	"    remove_cgroup x\n"
	"    capture now\n"
	"    detach_scheduler\n"
	"    attach_scheduler\n"
	"    restart_scheduler\n"
	"    replace_scheduler other\n"
	"    cgroup c\n"
	"      2 cache_pipe (bytes = 64K), policy fifo 3, affinity 0-1\n"
	"      1 sequence: spin for 1ms, then bursty (sleep = 2ms) for 2ms\n"
	"      1 spin, policy deadline 1ms within 2ms every 2ms, memory bind 0, "
	"user 3, group 4\n"
	"      payload p\n"
	"  step 1, from 5s to 10s\n"
	"    cgroup d: memory.max 67108864, memory.high max\n"
	"    every 500ms: set_cpuset d to overlap(0, 2, 0.5)\n"
	"    every 500ms: spawn d: 2 spin, nice 3\n";

Test(matrix_playbill, it_says_what_will_happen_in_its_order)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF problems = { 0 };
	KT_AUTO_BUF said = { 0 };

	cr_assert_eq(matrixtext_parse(text, &matrix, &problems), 0, "%s", kt_buf_text(&problems));
	kt_playbill_print(&matrix->scenarios[0].msg, 2, &said);
	cr_expect_str_eq(kt_buf_text(&said), words);
	for (size_t i = 0; i < KT_OPS_N; i++)
		cr_expect(strstr(words, kt_ops[i].name), "%s", kt_ops[i].name);
}
