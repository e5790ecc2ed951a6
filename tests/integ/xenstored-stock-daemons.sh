#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's own xenstored and oxenstored serve under the stub, so that the benchmark has something to compare
# with; and Xen's test program passes on them and on ours.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/stock.sh"

stock_need

# every test of Xen's own program, some times
conforms()
{
	XENSTORED_PATH=$1 "$stock_bin/test-xenstore" --iterations 3 >"$dir/out" 2>&1 || {
		cat "$dir/out"
		fail "test-xenstore fails on $1"
	}
}

for kind in c ocaml; do
	stock_start $kind
	XENSTORED_PATH=$stock_socket xenstore-write /a 1
	[ "$(XENSTORED_PATH=$stock_socket xenstore-read /a)" = 1 ] || fail "$kind does not keep what is written"
	conforms "$stock_socket"
	stock_end
done

xenstored_start xenhost-xenstored --host none
conforms "$socket"
xenstored_end
