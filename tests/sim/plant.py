#!/usr/bin/env python3
"""Deliberate bugs in the real cores: each must be caught by the simulation (tests/sim/ktsim).

    tests/sim/plant.py [--build DIR] [--seeds N] [--sample N [--seed S]] [--list] [NAME...]

Each bug is one to three replaced texts; a text that is no longer there fails the run, so that the bugs follow the
code. The changed files are compiled and linked before the libraries of the built tree; seeds are run until a
promise is broken. Prints one line per bug: how many seeds it took, and which promise caught it.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SECONDS = 300  # for the seeds of one bug
ATTEMPTS = "coordinator/core/attempts.c"
LEASES = "coordinator/core/leases.c"
CLOCKFIT = "coordinator/core/clockfit.c"
DESK = "coordinator/core/desk.c"
ORDERS = "coordinator/core/orders.c"
DISPATCH = "coordinator/core/dispatch.c"
ENDINGS = "coordinator/core/endings.c"
SESSIONS = "coordinator/core/sessions.c"
WAITING = "coordinator/core/waiting.c"
PLACEMENT = "coordinator/core/placement.c"
SWEEP = "coordinator/core/sweep.c"
DUTY = "worker/core/duty.c"
HELD = "worker/core/held.h"
COORD = "tests/sim/coord.c"  # the hands, as coordinator/server.c has them
CREW = "tests/sim/crew.c"  # as worker/agent.c has them

# name, what it does, [(file, text, instead)]
BUGS = [
    ("no_epoch_check", "a result counts for whatever lease its cell has now", [
        (ATTEMPTS, "kt_fleet_lease(&d->fleet, epoch);",
         "kt_fleet_lease(&d->fleet, cell < d->sweep->n_cells ? d->sweep->cells[cell].epoch : 0);"),
        (SWEEP, "has_lease(tag) && epoch != cell->epoch", "has_lease(tag) && epoch > sweep->epoch")]),
    ("ack_before_kept", "a sample more is acknowledged than is kept", [
        (ATTEMPTS, "acknowledge(out, host, sample->epoch, lease->n_samples, false);",
         "acknowledge(out, host, sample->epoch, lease->n_samples + 1, false);")]),
    ("ack_before_commit", "the hands send before they commit", [
        (COORD, "	if (c->n_durable < c->n_entries) {\n		begin_commit(w);\n		return;\n	}\n", ""),
        (COORD, "	promises_replay(w);\n",
         "	if (c->n_durable < c->n_entries) {\n		begin_commit(w);\n		return;\n	}\n	promises_replay(w);\n")]),
    ("no_expiry", "expired leases are not given again", [
        (LEASES, "if (lease->expires_at_ns <= d->now_ns) {", "if (d->now_ns < 0) {")]),
    ("late_is_judged", "a result of a lease that expired is taken, when nobody has the cell", [
        (ATTEMPTS, "	if (!lease)\n		return on_late_result(d, host, msg, out);\n	lease->seen = true;",
         "	struct kt_lease dead = { .host = (struct kt_host *)host, .n_samples = msg->result->samples_total };\n"
         "	bool late = !lease;\n\n"
         "	if (late && (msg->cell >= d->sweep->n_cells || d->sweep->cells[msg->cell].epoch != msg->epoch ||\n"
         "		     d->sweep->cells[msg->cell].state != KT_CELL_PENDING))\n"
         "		return on_late_result(d, host, msg, out);\n"
         "	if (late)\n		lease = &dead;\n"
         "	if (late && cause->side != KT_CAUSE_NONE)\n		return;\n"),
        (ATTEMPTS, "	kt_fleet_drop_lease(&d->fleet, lease);\n	kt_endings_ask",
         "	if (!late)\n		kt_fleet_drop_lease(&d->fleet, lease);\n	kt_endings_ask"),
        (SWEEP, "{ KT_TAG_fact_ended, FROM(LEASED), KT_CELL_ENDED }",
         "{ KT_TAG_fact_ended, FROM(LEASED) | FROM(PENDING), KT_CELL_ENDED }")]),
    ("any_host_ends_it", "a lease is ended by whoever names its cell and epoch", [
        (ATTEMPTS, "lease->cell == cell && lease->host == host ? lease", "lease->cell == cell ? lease")]),
    ("epochs_restart", "epochs begin anew with each term", [
        (SWEEP, "		sweep->term++;\n", "		sweep->term++;\n		sweep->epoch = 0;\n")]),
    ("no_grace", "leases of an earlier term expire at once after a restart", [
        (DISPATCH, "now_ns + config->grace_ns", "now_ns + config->sync_ns")]),
    ("forgets_on_disconnect", "the worker forgets finished results when the connection breaks", [
        (DUTY, "	case KT_DUTY_IN_DOWN:\n",
         "	case KT_DUTY_IN_DOWN:\n		for (size_t i = 0; i < duty->n_leases; i++)\n"
         "			move(duty, &duty->leases[i], KT_HELD_ON_ACKED, input, NULL, effects);\n")]),
    ("sends_before_kept", "the worker sends samples that its disk does not have", [
        (DUTY, "if (lease->samples_sent < lease->samples_kept) {", "if (lease->samples_sent < lease->samples_seen) {"),
        (DUTY, "lease->samples_sent == piece->seq && piece->seq < lease->samples_kept",
         "lease->samples_sent == piece->seq")]),
    ("trims_what_was_sent", "the spool lets go of what was sent, not of what was acknowledged", [
        (DUTY, "durable = ack->samples < lease->samples_sent ? ack->samples : lease->samples_sent;",
         "durable = lease->samples_sent;")]),
    ("double_grant", "a cell that comes back is given twice", [
        (WAITING, "	kt_placement_return(d->placement, cell, ready_at_ns);\n",
         "	kt_placement_return(d->placement, cell, ready_at_ns);\n"
         "	kt_placement_return(d->placement, cell, ready_at_ns);\n"),
        (PLACEMENT, "if (c->state == KT_CELL_PENDING && (!is_fresh || c->epoch == 0)) {",
         "if ((c->state == KT_CELL_PENDING && (!is_fresh || c->epoch == 0)) ||\n"
         "		    (c->state == KT_CELL_LEASED && !is_fresh)) {"),
        (SWEEP, "{ KT_TAG_fact_granted, FROM(PENDING), KT_CELL_LEASED }",
         "{ KT_TAG_fact_granted, FROM(PENDING) | FROM(LEASED), KT_CELL_LEASED }")]),
    ("leases_take_no_room", "what a host was granted is not counted when it asks again", [
        (PLACEMENT, "		n_leases++;\n		charge(p, place, room, lease->cell);", "		n_leases++;")]),
    ("the_dying_take_no_room", "guests of leases that are no more are not counted", [
        (PLACEMENT, "		if ((!known || known->host != host) && held->cell < p->sweep->n_cells)\n"
                    "			charge(p, place, room, held->cell);", "		(void)known;")]),
    ("memory_is_free", "only CPUs are counted", [
        (PLACEMENT, "	subtract(&room->mem_bytes, demand.mem_bytes);\n", "")]),
    ("a_late_grant_has_room", "a worker takes what comes late, whatever it runs", [
        (DUTY, "!has_room(duty, grant->job->topology)", "has_room(duty, grant->job->topology) && false")]),
    ("a_pair_waits_for_ever", "a pair stays with a host that fails it, or is away", [
        (PLACEMENT, ">= FAILED_TWICE", ">= FAILED_TWICE + 1000"),
        (PLACEMENT, "			free_pairs(p, place);", "			(void)free_pairs;")]),
    ("one_grant_too_many", "a worker is given one cell more than it has slots", [
        (LEASES, "host->room = sync->slots_free > offered ? sync->slots_free - offered : 0;",
         "host->room = sync->slots_free + 1;")]),
    ("oversubscribes", "the worker starts whatever it is given", [
        (DUTY, "else if (kt_duty_active(duty) >= duty->config.slots)", "else if (kt_duty_active(duty) > duty->config.slots)")]),
    ("charges_cancels", "what a user ended is charged to the cell", [
        (ATTEMPTS, "cause->side != KT_CAUSE_USER &&\n	       !((host", "!((host")]),
    ("revokes_once", "only a lease that the coordinator still knows is revoked", [
        (LEASES, '} else if (!is_phase(held->phase, "done")) {', '} else if (lease && !is_phase(held->phase, "done")) {')]),
    ("retries_failures", "what the guest did is tried again", [
        (ATTEMPTS, "if (kt_cause_is_infra(cause) || cause->side == KT_CAUSE_USER)\n		return",
         "if (cause->side != KT_CAUSE_NONE)\n		return")]),
    ("judges_incomplete", "a result is taken though samples of it are missing", [
        (ATTEMPTS, "msg->result->samples_total != lease->n_samples) {", "msg->result->samples_total < lease->n_samples) {")]),
    ("keeps_gaps", "samples are kept in whatever order they come", [
        (ATTEMPTS, "if (sample->seq > lease->n_samples) {", "if (sample->seq > lease->n_samples + 1) {"),
        (ATTEMPTS, "if (sample->seq == lease->n_samples) {", "if (sample->seq >= lease->n_samples) {")]),
    ("keeps_twice", "a sample that comes twice is kept twice", [
        (ATTEMPTS, "if (sample->seq == lease->n_samples) {", "if (sample->seq <= lease->n_samples) {")]),
    ("counts_anew", "after a restart nobody knows which samples are kept", [
        (DISPATCH, "		lease->n_samples = n;", "		lease->n_samples = 0;")]),
    ("never_judged", "what ended before a restart is not judged after it", [
        (DISPATCH, "			kt_endings_ask(out, i, cell->epoch);", "			(void)cell;")]),
    ("judged_twice", "an answer that comes again is a verdict again", [
        (ENDINGS, "d->sweep->cells[in->cell].state != KT_CELL_ENDED ||\n	    d->sweep->cells[in->cell].epoch != in->epoch",
         "d->sweep->cells[in->cell].epoch != in->epoch"),
        (SWEEP, "{ KT_TAG_fact_judged, FROM(ENDED), KT_CELL_JUDGED }",
         "{ KT_TAG_fact_judged, FROM(ENDED) | FROM(JUDGED), KT_CELL_JUDGED }"),
        (DISPATCH, "		if (cell->state == KT_CELL_ENDED)\n", "		if (cell->state == KT_CELL_ENDED || cell->state == KT_CELL_JUDGED)\n")]),
    ("does_not_forgive", "leases expire while the coordinator stands still", [
        (DISPATCH, "	kt_leases_forgive_absence(d);\n", "")]),
    ("never_resends", "a result whose message was lost is not sent again", [
        (DUTY, "				rewind_sent(&duty->leases[i]);", "				(void)rewind_sent;")]),
    ("any_session", "what belongs to an earlier session counts", [
        (DISPATCH, "if (!host || host->session != session_of(in->tag, in->body)) {", "(void)session_of;\n	if (!host) {")]),
    ("old_syncs_count", "a SYNC that was overtaken or came twice counts", [
        (LEASES, "	if (sync->seq <= host->sync_seq)\n		return;\n", "")]),
    ("unseen_stay", "another process under the same name gets the leases of the former one", [
        (SESSIONS, "		if (!lease->seen)\n", "		if (!lease->seen && !lease->cell)\n")]),
    ("any_name", "a key may speak in the name of another", [
        (SESSIONS, "	if (in->who && strcmp(in->who, hello->worker_id) != 0) {", "	if (in->who && !*hello->worker_id) {")]),
    ("any_role", "a key that may only look gets work", [
        (SESSIONS, "	if (in->role != KT_ROLE_WORK) {", "	if (in->role > KT_ROLE_OBSERVE + 5) {")]),
    ("never_let_in", "a host in quarantine stays there, whatever its canary gave", [
        (ENDINGS, "if (!is_canary || host->admission", "if (is_canary || host->admission")]),
    ("flock_of_canaries", "a host in quarantine is given as many cells as it has slots", [
        (LEASES, "return host->n_leases == 0 && d->now_ns", "return d->now_ns")]),
    ("drained_gets_work", "a host that an operator drains is given cells", [
        (LEASES, "if (host->draining || host->foreign || host->admission == KT_ADMISSION_DRAINED)\n		return false;",
         "if (host->draining || host->foreign)\n		return false;\n	if (host->admission == KT_ADMISSION_DRAINED)\n		return true;")]),
    ("forgets_who_is_drained", "who is drained is forgotten when the coordinator restarts", [
        (DESK, "	host->admission = kt_sweep_admission(d->sweep, id);\n", "")]),
    ("cancelled_runs_on", "the lease of a cell that was cancelled stays", [
        (ORDERS, "	kt_fleet_drop_lease(&d->fleet, lease);\n", "")]),
    ("cancels_what_has_its_end", "a cell that has its end is cancelled all the same", [
        (ORDERS, "		if (has_end(cell))\n", "		if (cell->state == KT_CELL_CANCELLED && has_end(cell))\n"),
        (SWEEP, "FROM(PENDING) | FROM(LEASED) | FROM(ENDED), KT_CELL_CANCELLED }",
         "~FROM(CANCELLED), KT_CELL_CANCELLED }")]),
    ("buried_alive", "a guest is taken for dead as soon as it is told to die", [
        (LEASES, "		if (!lists(sync, dying->epoch) &&\n		    (!sync->clock || (sync->clock->echo_ns >= dying->since_wall_ns &&\n				      sync->clock->echo_ns <= d->wall_ns)))\n",
         "		if (dying->epoch && lists)\n")]),
    ("clocks_are_exact", "the error of a clock's estimate is said to be a tenth of what it is", [
        (CLOCKFIT, "told->error_ns = aged_error_ns(exchange, now_ns);",
         "told->error_ns = aged_error_ns(exchange, now_ns) / 10;")]),
    ("poison_after_one", "a cell is poison when it took down one host", [
        (SWEEP, "return downs && downs->n == KT_POISON_HOSTS;", "return downs && downs->n >= 1;")]),
    ("stops_are_charged", "what a worker gives up because it is told to stop is charged", [
        (LEASES, '					"the worker left and gave it up",\n					kt_endings_is_worn(d, lease->cell), NULL);',
         '					"the worker left and gave it up", true, NULL);')]),
    ("neighbours_of_poison", "cells that always fail together go on together", [
        (PLACEMENT, "		    !kt_elsewhere_crowds(p->sweep, place->host, *cell) &&\n", ""),
        (PLACEMENT, "	if (kt_elsewhere_crowds(p->sweep, host, cell))\n		return false;\n", "")]),
    ("revoked_run_on", "the worker does not kill the guest of a revoked lease", [
        (HELD, "X(RUNNING, REVOKED, ENDING, CANCEL)   \\", "X(RUNNING, REVOKED, ENDING, NOTHING)  \\")]),
    ("slot_free_too_soon", "a slot is free while its guest is still dying", [
        (HELD, 'X(ENDING, true, "revoked;', 'X(ENDING, false, "revoked;')]),
    ("tries_for_ever", "a cell is never given up", [
        (ENDINGS, "d->sweep->cells[cell].charged < d->sweep->attempts_max)",
         "d->sweep->cells[cell].charged < d->sweep->attempts_max + 200)")]),
    ("gives_up_early", "a cell is given up a try too early", [
        (ENDINGS, "d->sweep->cells[cell].charged < d->sweep->attempts_max)",
         "d->sweep->cells[cell].charged + 1u < d->sweep->attempts_max)")]),
    ("spool_is_not_waited_for", "the hands say kept before they commit", [
        (CREW, "	write_spool(c);\n	for (size_t i = 0; i < c->n_pending; i++)\n",
         "	for (size_t i = 0; i < c->n_pending; i++)\n")]),
    ("states_come_again", "a STATE that comes twice grants twice", [
        (DUTY, "	if (state->seq > 0 && state->seq <= duty->state_seq)\n		return;\n", "")]),
]
# A header's text is in these.
USERS = {HELD: ["worker/core/held.c"]}


def read(path):
    with open(f"{ROOT}/{path}") as file:
        return file.read()


class Tree:
    """How the built tree compiles a file and links ktsim."""
    def __init__(self, build):
        self.build = build
        link = self.command("tests/ktsim")
        self.compiler = [w for w in link if w.endswith(("gcc", "cc", "clang"))][0]
        self.objects = [w for w in link if w.endswith(".o")]
        self.libraries = [w for w in link if w.endswith((".a", ".so")) or w.startswith("-l")]
        self.link_flags = [w for w in link if w.startswith("-fsanitize")]
        self.flags = [w for w in self.command(next(o for o in self.objects if o.endswith("world.c.o")))
                      if w.startswith(("-I", "-D", "-std", "-fsanitize"))]
        core = self.command("coordinator/CMakeFiles/kt_coordinator_core.dir/core/dispatch.c.o")
        self.flags += [w for w in core if w.startswith(("-I", "-D")) and w not in self.flags]

    def command(self, target):
        lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", target], check=True, text=True,
                               capture_output=True).stdout.splitlines()
        return shlex.split(lines[-1])


def plant(tree, bug, folder):
    """The simulation with the bug in it; the reason when it cannot be planted."""
    name, _, edits = bug
    texts, sources, program = {}, [], f"{folder}/ktsim"
    for path, text, instead in edits:
        texts.setdefault(path, read(path))
        if texts[path].count(text) != 1:
            return None, f"{path} has it {texts[path].count(text)} times: {text.strip().splitlines()[0].strip()}"
        texts[path] = texts[path].replace(text, instead)
    for path, text in texts.items():
        os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
        with open(f"{folder}/{path}", "w") as file:
            file.write(text)
        for user in [path] if path.endswith(".c") else USERS[path]:
            sources.append((user, f"{folder}/{user}" if user in texts else f"{ROOT}/{user}"))
    objects = []
    for path, source in sources:
        objects.append(f"{folder}/{len(objects)}.o")
        done = subprocess.run([tree.compiler, f"-I{folder}", *tree.flags, "-w", "-O1", "-c", source, "-o", objects[-1]],
                              capture_output=True, text=True)
        if done.returncode:
            return None, f"it does not compile: {done.stderr.splitlines()[:3]}"
    rest = [o for o in tree.objects if not any(o.endswith(f"sim/{os.path.basename(p)}.o") for p, _ in sources
                                               if p.startswith("tests/sim/"))]
    done = subprocess.run([tree.compiler, "-o", program, *tree.link_flags, *objects, *rest, *tree.libraries],
                          cwd=tree.build, capture_output=True, text=True)
    return (program, None) if done.returncode == 0 else (None, f"it does not link: {done.stderr[:300]}")


def hunt(tree, bug, seeds):
    """(bug, seeds needed or None, by what or why not, seconds)"""
    folder = tempfile.mkdtemp(prefix="kt-plant.")
    began = time.time()
    try:
        program, why = plant(tree, bug, folder)
        if not program:
            return bug, None, why, 0
        try:
            done = subprocess.run([program, "--seeds", f"1..{seeds}", "--no-shrink"], capture_output=True, text=True,
                                  timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return bug, None, f"not found in {SECONDS} s", time.time() - began
        said = done.stdout + done.stderr
        seed = re.search(r"--seed (\d+)", said)
        if done.returncode == 0 or not seed:
            return bug, None, f"not caught by {seeds} seeds" if done.returncode == 0 else said[-300:], time.time() - began
        broken = re.search(r"BROKEN (\S+) (\S+):", said)
        must = re.search(r"BUG: (.{0,60})", said)
        by = f"{broken[1]} {broken[2]}" if broken else f"kt_must: {must[1]}" if must else "abort"
        return bug, int(seed[1]), by, time.time() - began
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=f"{ROOT}/build", help="a tree in which ktsim is built")
    parser.add_argument("--seeds", type=int, default=5000, help="that may be needed for one bug")
    parser.add_argument("--sample", type=int, help="only so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-j", type=int, default=os.cpu_count(), help="at the same time")
    parser.add_argument("--list", action="store_true", help="print the bugs, run nothing")
    parser.add_argument("names", nargs="*", help="of bugs; all of them")
    options = parser.parse_args()
    bugs = [b for b in BUGS if not options.names or b[0] in options.names]
    if options.sample:
        bugs = random.Random(options.seed).sample(bugs, min(options.sample, len(bugs)))
    if options.list:
        print("\n".join(f"{name:24} {what}" for name, what, _ in bugs))
        return 0
    tree = Tree(options.build)
    missed = 0
    print(f"{'bug':24} {'seeds':>5}  {'caught by':28} what")
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for bug, seeds, by, _ in pool.map(lambda b: hunt(tree, b, options.seeds), bugs):
            missed += seeds is None
            print(f"{bug[0]:24} {seeds if seeds is not None else '-':>5}  {by:28} {bug[1]}", flush=True)
    print(f"{len(bugs)} bugs, {len(bugs) - missed} caught, {missed} not")
    return 1 if missed or not bugs else 0


if __name__ == "__main__":
    sys.exit(main())
