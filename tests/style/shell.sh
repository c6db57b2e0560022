#!/usr/bin/env bash
# Every shell script passes shellcheck and may be executed (those that are only sourced say so by having no #!).
set -euo pipefail
status=0
scripts=()
while IFS= read -r file; do
	[ -f "$file" ] || continue
	head=
	IFS= read -r -n 80 head <"$file" 2>/dev/null || true
	case $head in
	'#!'*bash* | '#!'*/sh*)
		scripts+=("$file")
		if [ ! -x "$file" ]; then
			echo "$file:1: a script that cannot be executed (chmod +x)"
			status=1
		fi
		;;
	'# shellcheck shell='*) scripts+=("$file") ;;
	esac
done < <(git ls-files -co --exclude-standard -- ':!tests/fuzz/corpus')
if [ "${#scripts[@]}" -eq 0 ]; then
	echo "no scripts found: not run inside the project?"
	exit 1
fi
shellcheck -S warning -x -P SCRIPTDIR "${scripts[@]}" || status=1
exit "$status"
