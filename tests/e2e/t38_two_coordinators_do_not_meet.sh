#!/usr/bin/env bash
# A second coordinator on one state folder is refused, whatever it was to do, and is told who is there; so is one that
# would listen where another listens. fleet.toml says where workers connect; the command line wins.
. "$(dirname "$0")/lib.sh"

matrix two <<'EOF'
[[scenario]]
name = "two"
duration = "10s"
samples = 1
repeats = 2
script = "sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
EOF

port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
mkdir -p "$KTCOORD_STATE"
echo "listen = \"tcp://127.0.0.1:$port\"" >"$KTCOORD_STATE/fleet.toml"

# begin FILE ENDPOINT OPTION...: a coordinator that waits for workers there.
begin() {
	local file=$1 endpoint=$2
	shift 2
	ktcoord "$WORK/two.toml" --runner scripted "$@" >"$WORK/$file" 2>&1 &
	coordinator=$!
	until grep -q "listening on $endpoint" "$WORK/$file"; do
		kill -0 "$coordinator" || { cat "$WORK/$file" >&2; fail "it ended"; }
		sleep 0.02
	done
}

begin first "tcp://127.0.0.1:$port"
exits 2 ktcoord "$WORK/two.toml" --runner scripted --here
says "another ktcoord works in $KTCOORD_STATE \(pid $coordinator, sweep e2e-"
exits 2 ktcoord resume last
says "\(pid $coordinator, sweep e2e-"
exits 2 ktcoord resume last --here
says "\(pid $coordinator, sweep e2e-"
# Readers are not refused.
exits 3 ktcoord report last
says '2 not finished'
exits 0 ktcoord status
says 'running$'

# Another folder, the same endpoint.
export KTCOORD_STATE="$WORK/other"
exits 3 ktcoord "$WORK/two.toml" --runner scripted --listen "tcp://127.0.0.1:$port"
says 'Address already in use'
export KTCOORD_STATE="$WORK/state"
kill -0 "$coordinator" || fail "the first one ended"
kill -INT "$coordinator"
wait "$coordinator" && fail "it was interrupted, and says 0"

begin second "ipc://$WORK/control" --listen "ipc://$WORK/control"
export KTCOORD_STATE="$WORK/other"
exits 3 ktcoord resume last --listen "ipc://$WORK/control"
says "another coordinator listens at ipc://$WORK/control"
export KTCOORD_STATE="$WORK/state"
exits 0 ktcoord status
kill -KILL "$coordinator"
wait "$coordinator" || true

# Who was killed leaves nothing that keeps others out: not the lock, not its sockets.
exits 3 ktcoord workers
says 'no coordinator runs in'
exits 0 ktcoord resume last --here
says '^2 cells: 2 pass'

sed -i 's/listen/lisen/' "$KTCOORD_STATE/fleet.toml"
exits 2 ktcoord "$WORK/two.toml" --runner scripted
says "fleet.toml:1:1: .*did you mean 'listen'"
nothing_left
