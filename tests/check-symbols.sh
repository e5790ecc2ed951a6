#!/bin/sh
# SPDX-License-Identifier: MIT
# What the headers declare, what the version script exports and what the library has are the same.
set -eu
cd "${SRCDIR:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

cat libxenhost/include/xenhost/*.h | tr '\n\t' '  ' |
	grep -o 'XENHOST_API [^;(]*\bxenhost_[a-z0-9_]*(' | sed 's/.*\b\(xenhost_[a-z0-9_]*\)($/\1/' | sort > "$tmp/headers"
sed -n 's/^\t\t\(xenhost_[a-z0-9_]*\);$/\1/p' libxenhost/libxenhost.map | sort > "$tmp/map"
nm -D --defined-only "$(dirname "${RUN:?}")/libxenhost/.libs/libxenhost.so" |
	awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$tmp/library"
[ -s "$tmp/headers" ] || failed=1
for file in map library; do
	diff "$tmp/headers" "$tmp/$file" > "$tmp/diff" && continue
	echo "headers (<) and $file (>) differ:"
	cat "$tmp/diff"
	failed=1
done
exit $failed
