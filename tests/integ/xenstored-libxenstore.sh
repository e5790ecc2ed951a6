#!/bin/bash
# SPDX-License-Identifier: MIT
# A program over Xen's own client library, compiled here as anybody would: it must pass on our daemon, and on
# Debian's C xenstored where that is there, so that it asks for nothing of our own.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/stock.sh"

command -v cc >/dev/null || skip stock "no C compiler (cc)"
echo '#include <xenstore.h>' | cc -E - >/dev/null 2>&1 || skip stock "no xenstore.h (package libxen-dev)"
cc -std=gnu11 -Wall -O1 -o "$dir/client" "$SRCDIR/tests/integ/libxenstore.c" -lxenstore -lpthread ||
	fail "cannot compile the program"

xenstored_start xenhost-xenstored --host none
"$dir/client" || fail "the program failed, see above"
xenstored_end

if [ -n "$("$SRCDIR/tests/support/stock-xen" 2>/dev/null)" ]; then
	stock_start c
	XENSTORED_PATH=$stock_socket "$dir/client" || fail "the program fails on Xen's own daemon"
	stock_end
fi
