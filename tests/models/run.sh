#!/bin/sh
# SPDX-License-Identifier: MIT
# The models hold, and each planted mistake is found. Needs spin and a compiler.
set -eu
cd "$(dirname "$0")"
models=$PWD
command -v spin > /dev/null || {
	echo "SKIP: spin is not installed"
	case ",${XENHOST_REQUIRE:-}," in *,spin,*) exit 1 ;; esac
	exit 77
}
dir=$(mktemp -d "${TMPDIR:-/tmp}/xenhost-models-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# check OPTIONS...: errors that the search finds
check() {
	spin -a "$@" "$models/journal.pml" > /dev/null
	${XENHOST_MODEL_CC:-cc} -O2 -DSAFETY -DCOLLAPSE -o pan pan.c > /dev/null 2>&1
	./pan -m200000 | sed -n 's/.*errors: \([0-9]*\).*/\1/p'
}

[ "$(check)" = 0 ] || { echo "FAILED: the model of the journal does not hold"; exit 1; }
for plant in 1 2 3 4; do
	[ "$(check -DPLANT=$plant)" != 0 ] || { echo "FAILED: mistake $plant is not found"; exit 1; }
done
echo "the journal's model holds; 4 planted mistakes are found"
