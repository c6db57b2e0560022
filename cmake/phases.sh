# shellcheck shell=bash
# phases.sh - what quickstart and check share: phases that say what they do, and missing packages.
# Sourced, never run; the sourcing script is in the project's folder with `set -euo pipefail`.

phase_log_dir=build/log
phase_started=$SECONDS
phase_child=0

# The terminal's one moving line; elsewhere each is a line of its own.
phase_line() {
	if [ -t 1 ]; then
		printf '\r\033[K%.*s' "$((${COLUMNS:-$(tput cols 2>/dev/null || echo 80)} - 1))" "$1"
	else
		printf '%s\n' "$1"
	fi
}

phase_line_end() {
	if [ -t 1 ]; then
		printf '\r\033[K'
	fi
}

phase_interrupted() {
	phase_line_end
	if [ "$phase_child" -ne 0 ]; then
		kill -TERM "$phase_child" 2>/dev/null || true
		wait "$phase_child" 2>/dev/null || true
	fi
	echo "$0: interrupted"
	exit 130
}
trap phase_interrupted INT TERM

# phase TITLE COMMAND...: runs it with its output in a log, shows the newest line of that every 2 s,
# and the end of the log when it fails. Sets phase_log; returns the command's status.
# PHASE_SHOW (an extended regular expression) picks the lines that tell how far it is.
phase() {
	local title=$1 began=$SECONDS shown=0 status=0 newest
	shift
	mkdir -p "$phase_log_dir"
	phase_log=$phase_log_dir/$(tr -cs 'a-z0-9\n' '-' <<<"${title,,}").log
	echo "[$((SECONDS - phase_started)) s] $title"
	"$@" >"$phase_log" 2>&1 </dev/null &
	phase_child=$!
	while kill -0 "$phase_child" 2>/dev/null; do
		sleep 0.2
		if [ $((SECONDS - began - shown)) -ge 2 ]; then
			shown=$((SECONDS - began))
			newest=$(tail -c 65536 "$phase_log" | tr '\r' '\n' |
				grep -E -- "${PHASE_SHOW:-.}" | tail -n 1 || true)
			phase_line "    $shown s  ${newest:0:160}"
		fi
	done
	wait "$phase_child" || status=$?
	phase_child=0
	phase_line_end
	if [ "$status" -ne 0 ] && [ -z "${PHASE_MAY_FAIL:-}" ]; then
		tail -n 60 "$phase_log"
		echo "$0: $title: failed with status $status after $((SECONDS - began)) s (whole log: $phase_log)"
	fi
	return "$status"
}

# packages_missing USE...: what cmake/packages.txt wants for these uses and dpkg does not have
packages_missing() {
	local wanted
	wanted=$(awk -v uses=" $* " '!/^#/ && NF && index(uses, " " $2 " ") { print $1 }' cmake/packages.txt)
	# dpkg-query fails for names it never heard of: those are missing too
	# shellcheck disable=SC2086 # one argument per package
	comm -23 <(sort <<<"$wanted") <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted \
		2>/dev/null | sed -n 's/^installed //p' | sort)
}

# packages_install USE...: nothing when nothing is missing
packages_install() {
	local missing as_root=()
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "$0: this is no Debian: install what cmake/packages.txt lists, with your own names for it"
		return 0
	fi
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	echo "[$((SECONDS - phase_started)) s] missing packages: $(tr '\n' ' ' <<<"$missing")"
	if [ "$(id -u)" -ne 0 ]; then
		if ! command -v sudo >/dev/null || ! sudo -v; then
			echo "$0: installing needs root; as root: apt-get install $(tr '\n' ' ' <<<"$missing")"
			return 1
		fi
		as_root=(sudo)
	fi
	phase "apt-get update" "${as_root[@]}" apt-get -q update
	# shellcheck disable=SC2086
	phase "apt-get install" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y --no-install-recommends install $missing
}

# build_preset PRESET [cmake --build arguments]
build_preset() {
	local preset=$1
	shift
	phase "configure $preset" cmake --preset "$preset"
	PHASE_SHOW='^\[[0-9]+/' phase "build $preset" cmake --build --preset "$preset" "$@"
}
