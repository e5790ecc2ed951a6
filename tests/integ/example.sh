#!/bin/bash
# SPDX-License-Identifier: MIT
# examples/upper-backend.c: built outside of the tree against an installed copy, by pkg-config alone, and under
# 100 lines of code; serves a loopback guest, and goes on when xenstored is killed and the device is plugged in again.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

build=$(dirname "$RUN")
source=$SRCDIR/examples/upper-backend.c
# its own code: without comments and empty lines
lines=$(sed -e "/^[^a-z]*\/\*.*\*\/$/d" -e "/^\/\*$/,/^ \*\/$/d" -e "/^[[:space:]]*$/d" "$source" | wc -l)
[ "$lines" -lt 100 ] || fail "the example has $lines lines of code, there shall be fewer than 100"

make -C "$build/libxenhost" install DESTDIR="$dir/root" >"$dir/log" 2>&1 || fail "make install"
pc=$(find "$dir/root" -name xenhost.pc)
[ -n "$pc" ] || fail "xenhost.pc is not installed"
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir/root
mkdir "$dir/outside"
cp "$source" "$dir/outside"
# shellcheck disable=SC2046
(cd "$dir/outside" && ${XENHOST_CC:-cc} -Wall -Wextra -Werror upper-backend.c \
	$(pkg-config --cflags --libs xenhost) -o upper-backend) || fail "the example does not compile"

service=--service=upper=32010
xenstored_start xenhost-xenstored --host none $service
daemon_start xenhost-bridged $service
bridged=$started

LD_LIBRARY_PATH=$(dirname "${pc%/*}") "$dir/outside/upper-backend" "bridge:$dir/bridge/upper.sock" 2>>"$dir/log" &
backend=$!
front=$build/tests/integ/upper-front
timeout 60 "$RUN" "$front" "$dir" 32010 || fail "the first guest"

# the store is gone with all nodes; the back end is the same process
daemon_forget "$daemon"
kill -KILL "$daemon"
wait "$daemon" || :
xenstored_start xenhost-xenstored --host none $service
timeout 60 "$RUN" "$front" "$dir" 32010 || fail "the guest after xenstored was killed"
kill -0 "$backend" || fail "the back end ended"

kill "$backend"
wait "$backend" || :
daemon_end "$bridged"
xenstored_end
