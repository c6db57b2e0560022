#!/usr/bin/env bash
# A few scenarios of the catalogue, one of most groups, on real guests: included by name, run under scx_kt, none fails; what
# each is about is seen to have happened. All of it: tests/nightly/whole_catalogue.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

cat >"$WORK/some.toml" <<END
[sweep]
name = "some"
include = ["swapped", "cpu_goes_away", "frozen_and_thawed", "changes_under_load", "weights", "ping_pong", "against_the_limit"]
[[kernel]]
name = "k"
path = "$KERNEL"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "t"
cpus = "1n2l2c1t"
END
exits 0 ktcoord "$WORK/some.toml"
says '^7 cells: 7 pass'
nothing_left

# happened CELL PATTERN: a moment of its timeline
happened() {
	ktcoord show last "$1/k/scx_kt/t#0" >"$WORK/out" 2>&1 || fail "no cell $1"
	says "$2"
}
happened swapped 'op .*: swap_cpusets'
happened cpu_goes_away 'op .*: hotplug_cpu 1 offline'
happened frozen_and_thawed 'op .*: freeze_cgroup frozen'
happened changes_under_load 'op .*: set_affinity movers = 0'
happened weights 'parent/heavy/3 .* spin'
happened ping_pong 'pairs/3 .* futex_ping_pong'

# The sweep has what it included: it can be judged where no catalogue is.
KT_SCENARIOS_DIR=/nonexistent exits 0 ktcoord judge last
echo "seven scenarios of the catalogue ran on real guests"
