#!/usr/bin/env bash
# runqueue_latency = true: a BPF probe sees how long tasks of each cgroup wait for a CPU, under a sched_ext scheduler as
# under the kernel's own, and agrees with the kernel's accounting; without the probe's program a note says so.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

scenario() {
	cat <<-EOS
		[[scenario]]
		name = "$1"
		duration = "2s"
		runqueue_latency = true
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg_0", workers = $2, work = "spin" }]
	EOS
}

{
	printf '[[scheduler]]\nname = "scx_kt"\nbinary = "scx_kt"\n[[scheduler]]\nname = "eevdf"\n'
	scenario alone 1
	scenario crowded 4 # on two CPUs
} | guest_matrix waits
exits 0 ktcoord "$WORK/waits.toml"
nothing_left

# A spinner waits for half of the time when four share two CPUs, for next to nothing when it is alone. scx_kt gives
# slices of 20 ms, so who waits there does so for at least one, mostly.
for scheduler in scx_kt eevdf; do
	for scenario in alone crowded; do
		show_json "$scenario/k/$scheduler/small#0" >"$WORK/cell.json"
		python3 - "$WORK/cell.json" "$scheduler" "$scenario" <<-'EOP'
			import json, sys
			result = [a for a in json.load(open(sys.argv[1]))["attempts"] if a.get("judged", True)][-1]["result"]
			scheduler, scenario = sys.argv[2:]
			name = f"{scenario}/{scheduler}"
			by_cgroup = {l["cgroup"]: l for l in result["latencies"]}
			waits = by_cgroup["cg_0"]
			delay = sum(r["run_delay_ns"] for r in result["reports"]) / 1e9
			total = waits["sum_ns"] / 1e9
			assert sum(b["count"] for b in waits["buckets"]) == waits["total"], f"{name}: {waits}"
			assert abs(total - delay) < 0.1 + 0.1 * delay, f"{name}: the probe {total} s, the kernel {delay} s"
			if scenario == "alone":
			    assert total < 0.3, f"{name}: waits of {total} s"
			else:
			    assert total > 2, f"{name}: waits of {total} s"
			if scenario == "crowded" and scheduler == "scx_kt":
			    long = sum(b["count"] for b in waits["buckets"] if b["below_ns"] > 17_000_000)
			    assert long > waits["total"] / 2, f"{name}: {long} of {waits['total']} waits of a slice: {waits}"
			assert by_cgroup[""]["total"] > 0, f"{name}: nothing else ran in the guest"
			print(f"{name}: {waits['total']} waits, {total:.3f} s, run delay {delay:.3f} s")
		EOP
	done
done

mkdir "$WORK/bin"
cp "$KT_BIN"/{ktcoord,ktworker,ktguest} "$WORK/bin/"
{ printf '[[scheduler]]\nname = "eevdf"\n' && scenario alone 1; } | guest_matrix without
exits 0 "$WORK/bin/ktcoord" "$WORK/without.toml"
ktcoord show last 'alone/k/eevdf/small#0' >"$WORK/out"
says 'run queue latency (cannot be|was not) measured: .*kt_rqlat: No such file'
