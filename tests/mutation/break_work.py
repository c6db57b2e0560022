#!/usr/bin/env python3
"""Every work type broken on purpose, one way at a time: each must be caught by a unit test of worker/guest.

    tests/mutation/break_work.py [--build DIR] [--list] [NAME...]

A break is a line of the table below, or one of the two that every type gets: it does nothing, and it never comes
back from a round. The broken file is compiled, linked before the libraries of the built tree with the program that
is to notice it, and that is run. By hand, on a machine that is not busy: some minutes.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SECONDS = 90  # for one run of a test program; one that hangs is caught
STOPS = "gwork/every_type_stops_within_100_ms"

# Which tests know what a type does.
TESTS = {
    "alone": "spin yield mixed alu bursty idle_churn timer_latency io_sync io_rand_read fork_exit",
    "memory": "cache_pressure cache_yield page_fault numa_sweep",
    "churn": "nice_sweep affinity_churn policy_churn cgroup_churn sequence",
    "together": """pipe cache_pipe futex_ping_pong futex_fan_out fan_out_compute wake_chain thundering_herd
        producer_consumer mutex signal_storm""",
    "priorities": "priority_inversion preempt_storm rt_starvation",
}

# (file below worker/guest, what is wrong with it, the text, what stands there instead, the test program, tests)
BREAKS = [
    ("work/mixed.c", "does not yield", "sched_yield();", "", "alone", "*"),
    ("work/mixed.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "alone", "*"),
    ("work/alu.c", "is as narrow as one chain", "int64_t n = self->params[KT_WORK_PARAM_alu_chains]", "int64_t n = 1", "alone", "*"),
    ("work/bursty.c", "does not sleep", "return kt_gself_sleep(", "return 1 || kt_gself_sleep(", "alone", "*"),
    ("work/bursty.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "alone", "*"),
    ("work/idle_churn.c", "does not sleep", "if (!kt_gself_sleep(", "if (0 && !kt_gself_sleep(", "alone", "*"),
    ("work/idle_churn.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "alone", "*"),
    ("work/timer_latency.c", "sleeps for a period", "if (!timer->due_ns)", "if (1)", "alone", "*"),
    ("work/timer_latency.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "alone", "*"),
    ("work/io_sync.c", "does not wait for the disk", " | O_DSYNC", "", "alone", "*"),
    ("work/io_sync.c", "does not write", "if (pwrite(", "if (0 && pwrite(", "alone", "*"),
    ("work/io_sync.c", "does not sleep", "kt_gself_sleep(", "if (0) kt_gself_sleep(", "alone", "*"),
    ("work/io_rand_read.c", "reads one place", "kt_gself_draw(self) %", "0 %", "alone", "*"),
    ("work/io_rand_read.c", "reads half of the file", "kt_gself_draw(self) %", "(kt_gself_draw(self) | 1) %", "alone", "*"),
    ("work/io_rand_read.c", "does not read", "if (pread(", "if (0 && pread(", "alone", "*"),
    ("work/io_rand_read.c", "does not sleep", "kt_gself_sleep(", "if (0) kt_gself_sleep(", "alone", "*"),
    ("work/fork_exit.c", "does not wait for its child", "waitid(P_PIDFD", "if (0) waitid(P_PIDFD", "alone", "*"),
    ("work/fork_exit.c", "the child does not run", "kt_gself_run(", "if (0) kt_gself_run(", "alone", "*"),
    ("work/cache_pressure.c", "stays on one place", "&walk->at)", "&(size_t){ 0 })", "memory", "*"),
    ("work/cache_yield.c", "stays on one place", "&walk->at)", "&(size_t){ 0 })", "memory", "*"),
    ("work/cache_yield.c", "does not yield", "sched_yield();", "", "alone", "*"),
    ("work/page_fault.c", "keeps its pages", "madvise(self->memory, self->memory_bytes, MADV_DONTNEED) < 0", "0", "memory", "*"),
    ("work/page_fault.c", "touches every other page", "walk->at + page", "walk->at + 2 * page", "memory", "*"),
    ("work/numa_sweep.c", "does not work on it", "kt_gself_walk(", "if (0) kt_gself_walk(", "memory", "*"),
    ("work/numa_sweep.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "churn", "*"),
    ("work/nice_sweep.c", "stays at one", "sweep->nice + 1", "sweep->nice", "churn", "*"),
    ("work/nice_sweep.c", "leaves its nice value behind", "setpriority(PRIO_PROCESS, 0, sweep->before)", "(void)sweep", "churn", "*"),
    ("work/affinity_churn.c", "stays where it is", "cpu != now", "cpu == now", "churn", "*"),
    ("work/affinity_churn.c", "is tied to two", "CPU_SET(choose(self, places), &one);", "one = places->before;", "churn", "*"),
    ("work/policy_churn.c", "leaves out fifo", "if (step->is_realtime)", "if (step->priority)\n\t\treturn false;\n\tif (step->is_realtime)", "churn", "*"),
    ("work/policy_churn.c", "leaves its policy behind", "kt_gsettle_policy(self->group);", "(void)self;", "churn", "*"),
    ("work/cgroup_churn.c", "does not move", 'kt_sysfile_write(path, "0") == 0', "path[0]", "churn", "*"),
    ("work/cgroup_churn.c", "leaves its cgroups behind", "rmdir(path);", "", "churn", "*"),
    ("work/sequence.c", "stays in the first phase", "(sequence->now + 1) %", "0 %", "churn", "*"),
    ("work/sequence.c", "leaves a phase as it was", "kt_gwork_end(", "if (0) kt_gwork_end(", "churn", "*"),
    ("work/ball.c", "throws nothing", "if (write(", "if (0 && write(", "together", "*"),
    ("work/ball.c", "measures no wake-up", "if (waited == KT_GSELF_WOKEN)", "if (0)", "together", "*"),
    ("work/ball.c", "catches what nobody threw", "if (!ball->is_away)", "if (1)", "together", "*"),
    ("work/pipe.c", "throws one byte", "(size_t)self->params[KT_WORK_PARAM_pipe_bytes]", "1", "together", "*"),
    ("work/pipe.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "together", "*"),
    ("work/cache_pipe.c", "stays on one place", "&state->at)", "&(size_t){ 0 })", "memory", "*"),
    ("work/futex_ping_pong.c", "does not wake", "kt_gself_wake(", "if (0) kt_gself_wake(", "together", "*"),
    ("work/futex_ping_pong.c", "does not wait", "if (!wait_for_turn(", "if (0 && !wait_for_turn(", "together", "*"),
    ("work/futex_ping_pong.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "together", "*"),
    ("work/errand.c", "does not wake those it sends", "kt_gself_wake(&errand->round, INT_MAX)", "(void)INT_MAX", "together", "*"),
    ("work/errand.c", "wakes one of them", "&errand->round, INT_MAX", "&errand->round, INT_MAX > 1", "together", "*"),
    ("work/errand.c", "the last answer wakes nobody", "kt_gself_wake(&errand->answers, 1);", ";", "together", "*"),
    ("work/errand.c", "does not wait for answers", "while ((answers", "while (0 && (answers", "together", "*"),
    ("work/futex_fan_out.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "together", "*"),
    ("work/fan_out_compute.c", "does not compute", "compute(self, state);", "", "together", "*"),
    ("work/fan_out_compute.c", "computes once", "(uint64_t)self->params[KT_WORK_PARAM_fan_out_compute_walks]", "1", "together", "*"),
    ("work/fan_out_compute.c", "does not think", "kt_gself_sleep(", "if (0) kt_gself_sleep(", "together", "*"),
    ("work/thundering_herd.c", "makes no pause", "if (!kt_gself_sleep(", "if (0 && !kt_gself_sleep(", "together", "*"),
    ("work/thundering_herd.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "together", "*"),
    ("work/wake_chain.c", "does not wake the next", "kt_gself_wake(", "if (0) kt_gself_wake(", "together", "*"),
    ("work/wake_chain.c", "keeps the token", "(self->index + 1) %", "self->index %", "together", "*"),
    ("work/wake_chain.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "together", "*"),
    ("work/producer_consumer.c", "does not wake a consumer", "kt_gself_wake(&queue->made, 1);", ";", "together", "*"),
    ("work/producer_consumer.c", "does not wake the producer", "kt_gself_wake(&queue->taken, 1);", ";", "together", "*"),
    ("work/producer_consumer.c", "its queue has no end", "made - taken >= depth", "made - taken >= 1000 * depth", "together", "*"),
    ("work/producer_consumer.c", "uses what was not made", "if (!take(", "if (0 && !take(", "together", "*"),
    ("work/producer_consumer.c", "produces for nothing", "kt_gself_run(self, self->params[KT_WORK_PARAM_producer_consumer_produce])", "(void)self", "together", "*"),
    ("work/producer_consumer.c", "consumes for nothing", "kt_gself_run(self, self->params[KT_WORK_PARAM_producer_consumer_consume])", "(void)self", "together", "*"),
    ("work/glock.c", "is no lock", "if (atomic_compare_exchange_strong(&lock->word, &was, 1))", "if (1)", "together", "*"),
    ("work/glock.c", "wakes nobody", "kt_gself_wake(&lock->word, 1);", ";", "together", "*"),
    ("work/glock.c", "is no lock with nice values", "if (atomic_compare_exchange_strong(&lock->word, &was, 1))", "if (1)", "priorities", "*"),
    ("work/glock.c", "hands no priority on", "return inherit ?", "return 0 ?", "priorities", "*"),
    ("work/mutex.c", "does not hold it", "kt_gself_run(self, self->params[KT_WORK_PARAM_mutex_hold])", "(void)self", "together", "*"),
    ("work/mutex.c", "does not work without it", "kt_gself_run(self, self->params[KT_WORK_PARAM_mutex_run])", "(void)self", "together", "*"),
    ("work/signal_storm.c", "sends none", "if (!send_one(self))", "if (0)", "together", "*"),
    ("work/signal_storm.c", "sends one", "i < self->params[KT_WORK_PARAM_signal_storm_signals]", "i < 1", "together", "*"),
    ("work/signal_storm.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "together", "*"),
    ("work/priority_inversion.c", "the high one wants no lock", "return hold(self, HIGH_HOLD_NS);", "return 1;", "priorities", "*"),
    ("work/priority_inversion.c", "the low one does not hold it", "if (!hold(self, hold_ns))", "if (!hold(self, 0))", "priorities", "*"),
    ("work/priority_inversion.c", "the medium ones do not get in between", "return get_in_between(self);", "return kt_gself_sleep(self, 1000000);", "priorities", "*"),
    ("work/priority_inversion.c", "nobody has a rank", "int status = kt_gsettle_policy(&group);", "int status = 0;", "priorities", "*"),
    ("work/preempt_storm.c", "is not real-time", "self->index == 0 ? kt_gsettle_policy(&group) : 0", "group.nice != 0", "priorities", "*"),
    ("work/preempt_storm.c", "does not sleep", "if (!kt_gself_sleep(", "if (0 && !kt_gself_sleep(", "priorities", "*"),
    ("work/preempt_storm.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "priorities", "*"),
    ("work/rt_starvation.c", "is not real-time", "self->index == 0 ? kt_gsettle_policy(&group) : 0", "group.nice != 0", "priorities", "*"),
    ("work/rt_starvation.c", "does not run", "kt_gself_run(", "if (0) kt_gself_run(", "priorities", "*"),
    ("gself.c", "runs on when it must stop", "now_ns < until_ns && !kt_gself_must_stop(self)", "now_ns < until_ns", "gwork", "gwork/every_type_stops_*"),
    ("gself.c", "sleeps on when it must stop", "now_ns < at_ns && !kt_gself_must_stop(self)", "now_ns < at_ns", "gwork", "gwork/every_type_stops_*"),
    ("gself.c", "waits for ever for a futex", "value, &patience,", "value, (&patience, NULL),", "gwork", "gwork/when_one_*"),
    ("gself.c", "waits for ever for a pipe", "poll(&wanted, 1, KT_GSELF_WAIT_NS / KT_NS_PER_MS)", "poll(&wanted, 1, -1)", "gwork", "gwork/when_one_*"),
    ("gself.c", "runs for half of the time", "until_ns = now_ns + ns;", "until_ns = now_ns + ns / 2;", "alone", "*"),
    ("gcrew.c", "all teams share their memory", "slot / crew->team_size * crew->team_bytes", "0", "together", "*"),
    ("gcrew.c", "stop tells nobody", "atomic_store(&crew->shared->must_stop, true);", "(void)crew;", "gwork", STOPS),
    ("gcrew.c", "the gate is open from the beginning", "kt_gworker_open(crew->shared, KT_GWORKER_PLACED)", "kt_gworker_open(crew->shared, KT_GWORKER_OPEN)", "gcrew", "*"),
    ("gmeter.c", "keeps the last ones", "kt_gdraw(&meter->random) % sums->wakes", "place % meter->kept_max", "gmeter", "*"),
    ("gmeter.c", "a round that only waited ends a gap", "if (!units)\n\t\treturn;", "", "gmeter", "*"),
    ("gmeter.c", "begins its gaps at 0", ".last_ns = kt_gtime_now_ns()", ".last_ns = 0", "gmeter", "*"),
    ("gwakes.c", "throws all samples together", "share = smaller(share, (double)n / (double)total);", "", "gwakes", "*"),
    ("gwakes.c", "chooses the first ones", "kt_gdraw(&wakes->random) % (n - i)", "0 % (n - i)", "gwakes", "*"),
    ("gsettle.c", "leaves the policy alone", "status = settle_policy(group, err);", "status = 0;", "gcrew", "*"),
    ("gsettle.c", "leaves the affinity alone", "status = settle_affinity(affinity, err);", "status = 0;", "gcrew", "*"),
    ("gsettle.c", "leaves the memory alone", "int status = settle_memory(group, err);", "int status = 0;", "gcrew", "*"),
    ("gsettle.c", "stays root", "status = settle_user(group, err);", "status = 0;", "gcrew", "*"),
]
ROUND = "static uint64_t round_of(struct kt_gself *self)\n{\n"


class Break:
    def __init__(self, file, what, old, new, program, filter_):
        self.file, self.what, self.program, self.filter = file, what, program, filter_
        with open(f"{ROOT}/worker/guest/{file}") as source:
            text = source.read()
        if text.count(old) < 1:
            sys.exit(f"{file}: {what}: its text is not there: {old}")
        self.text = text.replace(old, new)

    def name(self):
        return f"{self.file}: {self.what}"


def breaks():
    found = [Break(*row) for row in BREAKS]
    for program, types in TESTS.items():
        for name in types.split():
            file = f"work/{name}.c"
            found.append(Break(file, "does nothing", ROUND, ROUND + "\tif (self)\n\t\treturn 1;\n", program, "*"))
            found.append(Break(file, "never comes back", ROUND, ROUND + "\twhile (self)\n\t\t;\n", "gwork", STOPS))
    return found


class Tree:
    """How the built tree compiles a file of worker/guest and links a test."""
    def __init__(self, build):
        self.build = build

    def command(self, target):
        lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", target], check=True, text=True,
                               capture_output=True).stdout.splitlines()
        return lines[-1].split()

    def compile(self, break_, folder):
        layer = "worker/guest/CMakeFiles/kt_worker_guest" + ("_work" if break_.file.startswith("work/") else "")
        words = self.command(f"{layer}.dir/{break_.file}.o")
        compiler = [w for w in words if not w.endswith("ccache")][0]
        flags = [w for w in words if w.startswith(("-I", "-D", "-std"))]
        source = f"{folder}/{os.path.basename(break_.file)}"
        with open(source, "w") as file:
            file.write(break_.text)
        subprocess.run([compiler, *flags, "-w", "-O2", "-c", source, "-o", f"{folder}/broken.o"], check=True)
        return compiler

    def link(self, compiler, program, first, folder):
        words = self.command(f"tests/test_{program}")
        objects = [w for w in words if w.endswith(".o")]
        libraries = [w for w in words if re.search(r"\.(a|so)$", w) or w.startswith("-l")]
        subprocess.run([compiler, "-o", f"{folder}/tests", *first, *objects, *libraries, *libraries], cwd=self.build,
                       check=True)

    def passes(self, folder, program, filter_):
        words = [f"{folder}/{program}", f"--filter={filter_}"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
                              start_new_session=True) as tests:
            try:
                return tests.wait(SECONDS) == 0
            except subprocess.TimeoutExpired:
                os.killpg(tests.pid, 9)
                return False


def is_caught(tree, break_):
    folder = tempfile.mkdtemp(prefix="kt-break.")
    try:
        compiler = tree.compile(break_, folder)
        tree.link(compiler, break_.program, [f"{folder}/broken.o"], folder)
        return not tree.passes(folder, "tests", break_.filter)
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=f"{ROOT}/build", help="a tree built with the release preset")
    parser.add_argument("--list", action="store_true", help="print the breaks, run nothing")
    parser.add_argument("names", nargs="*", help="only those whose name has one of these in it")
    options = parser.parse_args()
    wanted = [b for b in breaks() if not options.names or any(n in b.name() for n in options.names)]
    if options.list:
        print("\n".join(b.name() for b in wanted))
        return 0
    tree = Tree(options.build)
    missed = 0
    for program in sorted({b.program for b in wanted}):  # as they are, the tests pass: else everything is "caught"
        if not tree.passes(f"{options.build}/tests", f"test_{program}", "*"):
            sys.exit(f"test_{program} does not pass as it is; build the tree first, and look at this machine's load")
    for break_ in wanted:
        caught = is_caught(tree, break_)
        missed += not caught
        print(f"{'caught    ' if caught else 'NOT CAUGHT'} {break_.name()} (test_{break_.program})", flush=True)
    print(f"{len(wanted)} breaks, {len(wanted) - missed} caught, {missed} not")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
