#!/bin/sh
# SPDX-License-Identifier: MIT
# Every row of the tables of features (FEATURES.tsv, features-*.tsv) names a source that is there and a test
# that is there.
set -eu
cd "${SRCDIR:-.}/tests"
status=0
for table in FEATURES.tsv features-*.tsv; do
	[ -f "$table" ] || continue
	tab=$(printf '\t')
	while IFS="$tab" read -r feature where test; do
		case $feature in '#'* | '') continue ;; esac
		file=${test%%:*}
		name=${test#*:}
		if [ -z "$test" ]; then
			echo "$table: no test for: $feature"
			status=1
		elif [ ! -f "../$where" ]; then
			echo "$table: $where, for \"$feature\", is not there"
			status=1
		elif [ ! -f "$file" ]; then
			echo "$table: $file, the test of \"$feature\", is not there"
			status=1
		elif [ "$name" != "$test" ] && ! grep -Eq "START_TEST\($name\)|^$name\(\)" "$file"; then
			echo "$table: $file has no test $name, for \"$feature\""
			status=1
		fi
	done <"$table"
done
exit $status
