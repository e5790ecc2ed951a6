#!/bin/sh
# SPDX-License-Identifier: MIT
# Every row of FEATURES.tsv names a test that exists; a Check test must also be run by its program.
set -eu
cd "${SRCDIR:-$(dirname "$0")/..}"
tab=$(printf '\t')
failed=0
rows=0

while IFS="$tab" read -r feature file test; do
	case $feature in '#'* | '') continue ;; esac
	rows=$((rows + 1))
	if [ -z "$file" ] || [ -z "$test" ]; then
		echo "tests/FEATURES.tsv: '$feature' has no test"
		failed=1
	elif [ ! -f "$file" ]; then
		echo "tests/FEATURES.tsv: '$feature': there is no $file"
		failed=1
	elif ! grep -qF -- "$test" "$file"; then
		echo "tests/FEATURES.tsv: '$feature': $file has no $test"
		failed=1
	elif grep -q "^START_TEST($test)" "$file" && [ "$(grep -cw -- "$test" "$file")" -lt 2 ]; then
		echo "tests/FEATURES.tsv: '$feature': $test of $file is never run"
		failed=1
	fi
done < tests/FEATURES.tsv
[ "$rows" -ge 50 ] || { echo "tests/FEATURES.tsv: only $rows rows"; failed=1; }
exit $failed
