#!/usr/bin/env bash
# CPUs, threads, last-level caches, NUMA nodes, their memory and distances are in the guest what the topology says, and
# the result tells what the guest saw. A host whose QEMU makes another machine is infra trouble: retried, no verdict.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

scenario='
[[scheduler]]
name = "eevdf"
[[scenario]]
name = "short"
duration = "500ms"
samples = 1
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "monitor:cpus[0].nr_running"
each = { at_least = 0 }
'

# Its first topology, small, is 1n1l2c1t.
guest_matrix shapes <<<'
[[topology]]
name = "smt"
cpus = "1n2l2c2t"
[[topology]]
name = "numa"
cpus = "2n4l2c1t"
[[topology]]
name = "sixteen"
cpus = "2n4l4c1t"
[[topology]]
name = "far"
cpus = "2n4l2c1t"
nodes = [{ memory = "512M", distances = [10, 31] }, { memory = "0M", distances = [21, 10] }]
'"$scenario"
exits 0 ktcoord "$WORK/shapes.toml"

# sees TOPOLOGY PATTERN: what the guest of that cell told of itself.
sees() {
	local seen
	seen=$(show_json "short/k/eevdf/$1#0" | sed -n 's/.*"topology": "\([0-9]* CPUs;[^"]*\)".*/\1/p')
	[[ $seen =~ $2 ]] || fail "$1: the guest saw '$seen', which does not match: $2"
}

sees small '^2 CPUs; LLCs 0-1; cores 0 1; node 0: CPUs 0-1, [0-9]+ MiB, distances 10$'
sees smt '^8 CPUs; LLCs 0-3 4-7; cores 0-1 2-3 4-5 6-7; node 0: CPUs 0-7, 4[0-9]+ MiB, distances 10$'
sees numa 'LLCs 0-1 2-3 4-5 6-7; cores 0 1 2 3 4 5 6 7; node 0: CPUs 0-3, 2[0-9]+ MiB, distances 10 20; node 1: CPUs 4-7, 2[0-9]+ MiB, distances 20 10$'
sees sixteen '^16 CPUs; LLCs 0-3 4-7 8-11 12-15; .*node 0: CPUs 0-7, .*node 1: CPUs 8-15, '
sees far 'node 0: CPUs 0-3, 4[0-9]+ MiB, distances 10 31; node 1: CPUs 4-7, 0 MiB, distances 21 10$'
nothing_left

# A QEMU that makes one LLC of two, first on PATH.
lying=$WORK/lying
mkdir "$lying"
printf '#!/bin/bash\nexec %s "${@/#8,sockets=*/8,sockets=1,dies=1,cores=4,threads=2}"\n' \
	"$(command -v qemu-system-x86_64)" >"$lying/qemu-system-x86_64"
chmod 755 "$WORK" "$lying" "$lying/qemu-system-x86_64" # QEMU is started as nobody
guest_matrix lies <<<"$scenario"
sed -i 's/1n1l2c1t/1n2l2c2t/; s/^name = "lies"/&\nattempts = 2/' "$WORK/lies.toml"
PATH="$lying:$PATH" exits 3 ktcoord --cold "$WORK/lies.toml"
says 'topology_mismatch.*asked 1n2l2c2t: LLC 0 = CPUs 0-3; the guest sees 0-7'
says_not '^(PASS|FAIL)'
[ "$(grep -c 'infra .*topology_mismatch' "$WORK/out")" -eq 2 ] || fail "it was not tried twice"
nothing_left
