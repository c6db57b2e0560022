#!/usr/bin/env bash
# Keys are made, allowed, revoked and listed by command; whatever a user does wrong with them is told, and how to do it
# right; nothing is changed by it.
. "$(dirname "$0")/lib.sh"

keys="$KTCOORD_STATE/keys"
public() { sed -n 's/^public //p' "$1"; }

# ---- the coordinator's key ----
exits 0 ktcoord keys list
says 'no coordinator.s key yet: make it with .ktcoord keys new'
exits 0 ktcoord keys new
says "--server-key '[^']{40}'"
[ "$(stat -c %a "$keys/coordinator.key")" = 600 ] || fail "the secret is not 0600"
[ "$(stat -c %a "$keys")" = 700 ] || fail "the folder is not 0700"
before=$(sha256sum "$keys/coordinator.key")
exits 2 ktcoord keys new
says 'is there already, its public key is'
[ "$before" = "$(sha256sum "$keys/coordinator.key")" ] || fail "the key was replaced"
! find "$keys" -name '*.??????' | grep . || fail "temporary files are left"

# ---- a host's ----
exits 0 ktworker key --state "$WORK/h1" --id lab1
says "^ktcoord keys allow lab1 '[^']{40}'"
[ "$(stat -c %a "$WORK/h1/host.key")" = 600 ] || fail "the host's secret is not 0600"
first=$(tail -n 1 "$WORK/out")
exits 0 ktworker key --state "$WORK/h1" --id lab1
says "is this host's key"
[ "$first" = "$(tail -n 1 "$WORK/out")" ] || fail "the key changed"
exits 0 ktworker key "$WORK/h2.key"
exits 0 ktcoord keys new "$WORK/h3.key"
says 'ktcoord keys allow NAME'

# ---- allowing ----
exits 0 ktcoord keys allow lab1 "$(public "$WORK/h1/host.key")"
says '^lab1 is allowed \(work\)'
exits 0 ktcoord keys allow lab1 "$WORK/h1/host.key"
says '^lab1 is allowed already'
printf 'ktcoord-key 1\npublic %s\n' "$(public "$WORK/h2.key")" >"$WORK/h2.pub" # the half that may travel
chmod 644 "$WORK/h2.pub"
exits 0 ktcoord keys allow lab2 "$WORK/h2.pub" --role observe
says '^lab2 is allowed \(observe\)'

list=$(sha256sum "$keys/allowed")
# wrong STATUS PATTERN WORDS...
wrong() {
	local status=$1 pattern=$2
	shift 2
	exits "$status" "$@"
	says "$pattern"
	[ "$list" = "$(sha256sum "$keys/allowed")" ] || fail "the list was changed by: $*"
}
key3=$(public "$WORK/h3.key")
wrong 2 "no role 'obsreve'; did you mean 'observe'\?" ktcoord keys allow lab3 "$key3" --role obsreve
wrong 2 "the name 'lab1' has a key already: revoke that first" ktcoord keys allow lab1 "$key3"
wrong 2 "this key is in the list already, as 'lab2'" ktcoord keys allow lab3 "$WORK/h2.pub"
wrong 2 "'a/b' is no name of a host" ktcoord keys allow a/b "$key3"
wrong 2 "'\.\./x' is no name" ktcoord keys allow ../x "$key3"
wrong 2 "is no name of a host" ktcoord keys allow 'a b' "$key3"
wrong 2 "is no name of a host" ktcoord keys allow '' "$key3"
wrong 2 "neither a file nor a public key.*this has 39" ktcoord keys allow lab3 "${key3%?}"
wrong 2 "neither a file nor a public key" ktcoord keys allow lab3 /nonexistent.pub
wrong 2 "this is the coordinator's own key" ktcoord keys allow lab3 "$keys/coordinator.key"
wrong 2 "keys takes new" ktcoord keys allow lab3
wrong 2 "keys takes new" ktcoord keys forbid lab1
wrong 2 "role is for" ktcoord keys revoke lab1 --role work
wrong 2 "did you mean 'lab[12]'" ktcoord keys revoke lab9
chmod 640 "$WORK/h3.key"
wrong 2 "others can read it \(mode 0640\): chmod 600 $WORK/h3.key" ktcoord keys allow lab3 "$WORK/h3.key"
chmod 600 "$WORK/h3.key"
ln -s "$WORK/h3.key" "$WORK/link.key"
wrong 2 "is a symbolic link" ktcoord keys allow lab3 "$WORK/link.key"
wrong 2 "is not a regular file" ktcoord keys allow lab3 "$WORK"
sed "s/^public .*/public $(public "$WORK/h2.key" | sed 's/[&/\]/\\&/g')/" "$WORK/h3.key" >"$WORK/mixed.key"
chmod 600 "$WORK/mixed.key"
wrong 2 "the public key is not that of the secret key" ktcoord keys allow lab3 "$WORK/mixed.key"

# ---- listing ----
exits 0 ktcoord keys list
says "^coordinator +[^ ]{40} "
says '^allow-list +2 keys'
says '^lab2 +observe '
# A change told as JSON is the list after it.
exits 0 ktcoord keys allow lab8 "$key3" --json
python3 -c 'import json, sys; assert "lab8" in [k["name"] for k in json.load(open(sys.argv[1]))["keys"]]' "$WORK/out"
exits 0 ktcoord keys revoke lab8 --json
python3 -c 'import json, sys; assert "lab8" not in [k["name"] for k in json.load(open(sys.argv[1]))["keys"]]' "$WORK/out"
wrong 2 "not for .keys new FILE." ktcoord keys new "$WORK/no.key" --json

exits 0 ktcoord keys list --json
python3 - "$WORK/out" <<'END' || fail "the JSON is not as documented"
import json, sys
listed = json.load(open(sys.argv[1]))
assert listed["coordinator"]["well"] and listed["allow_list"]["well"]
assert [(k["name"], k["role"]) for k in listed["keys"]] == [("lab1", "work"), ("lab2", "observe")]
assert all(len(k["key"]) == 40 for k in listed["keys"])
END
! grep -qF -- "$(sed -n 's/^secret //p' "$keys/coordinator.key")" "$WORK/out" || fail "a secret was printed"

# ---- files that are not as they should be: file, line, and what would be right ----
chmod 664 "$keys/allowed"
exits 2 ktcoord keys list
says "others can change it \(mode 0664\): chmod 644 $keys/allowed"
chmod 644 "$keys/allowed"
cp "$keys/allowed" "$WORK/good"
# broken LINE PATTERN: the list with that line at its end
broken() {
	{ cat "$WORK/good" && printf '%b\n' "$1"; } >"$keys/allowed"
	exits 2 ktcoord keys list
	says "$keys/allowed:3: $2"
	exits 2 ktcoord keys revoke lab1
	says "$keys/allowed:3: "
}
broken "$key3 work" 'expected three words'
broken "$key3 wrok lab3" "no role 'wrok'; did you mean 'work'"
broken "$key3 work lab1" "the name 'lab1' has a key already"
broken "${key3%?} work lab3" '.*is no public key'
broken "$key3 work lab3 and more" '.*one word too many: a comment begins with #'
broken "$key3 work lab3 \\001" '.*control character'
cp "$WORK/good" "$keys/allowed"
{ echo '# hosts of the lab' && cat "$WORK/good" && echo '# the end'; } >"$keys/allowed"
exits 0 ktcoord keys revoke "$(public "$WORK/h2.key")"
says '^lab2 is revoked'
grep -q '^# hosts of the lab' "$keys/allowed" || fail "a person's words were lost"
grep -q '^# the end' "$keys/allowed" || fail "a person's words were lost"
! grep -q lab2 "$keys/allowed" || fail "lab2 is still there"
chmod 604 "$keys/coordinator.key"
exits 2 ktcoord keys list
says 'chmod 600'
chmod 600 "$keys/coordinator.key"

# ---- without keys, nothing beyond this machine ----
matrix one <<'END'
[[scenario]]
name = "one"
duration = "10s"
samples = 3
script = "sample; sample; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
END
exits 2 ktcoord "$WORK/one.toml" --runner scripted --state "$WORK/other" --listen 'tcp://*:7000'
says 'coordinator.key yet: make the coordinator.s key with .ktcoord keys new'
exits 2 ktcoord "$WORK/one.toml" --runner scripted --keys
says 'listen ENDPOINT is missing'
chmod 644 "$keys/coordinator.key"
exits 2 ktcoord "$WORK/one.toml" --runner scripted --listen 'tcp://*:7000'
says 'chmod 600'
chmod 600 "$keys/coordinator.key"
exits 2 ktworker --connect tcp://192.0.2.1:7000 --state "$WORK/h1" --runner scripted
says 'ktworker key'
exits 2 ktworker --connect tcp://192.0.2.1:7000 --state "$WORK/h1" --runner scripted --key "$WORK/h1/host.key"
says '--key needs --server-key'
exits 2 ktworker --connect tcp://192.0.2.1:7000 --state "$WORK/none" --runner scripted --server-key "$key3"
says "there is no key $WORK/none/host.key: make it with .ktworker key"
exits 2 ktworker --connect tcp://192.0.2.1:7000 --state "$WORK/h1" --runner scripted --server-key nonsense
says '--server-key: .nonsense. is neither a file nor a public key'
chmod 644 "$WORK/h1/host.key"
exits 2 ktworker --connect tcp://192.0.2.1:7000 --state "$WORK/h1" --runner scripted --server-key "$key3"
says "this host's key: .*chmod 600 $WORK/h1/host.key"
nothing_left
