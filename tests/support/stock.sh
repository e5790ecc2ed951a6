# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by integration tests, beside xenstored.sh: Debian's own Xenstore daemons (stock-xen, stock-daemon).
#   stock_need            skips the test when they are not there; sets $stock_bin
#   stock_start c|ocaml   starts one and returns when it serves $stock_socket
#   stock_end             ends it

# shellcheck disable=SC2034,SC2154 # for who sources this; from daemon.sh
stock_need()
{
	stock_bin=$("$SRCDIR/tests/support/stock-xen" 2>"$dir/why") || skip stock "$(cat "$dir/why")"
}

stock_start()
{
	local end=$((SECONDS + 60))

	mkdir "$dir/$1"
	stock_socket=$dir/$1/socket
	"$SRCDIR/tests/support/stock-daemon" "$1" "$dir/$1" \
		"$(dirname "$RUN")/tests/.libs/xen-stub.so" >>"$dir/log" 2>&1 &
	stock_pid=$!
	daemons+=("$stock_pid")
	until XENSTORED_PATH=$stock_socket xenstore-exists /tool 2>/dev/null; do
		[ -e "/proc/$stock_pid" ] || fail "$1 did not start"
		[ $SECONDS -lt $end ] || fail "$1 does not serve"
		sleep 0.02
	done
}

# They do not all end well on SIGTERM.
stock_end()
{
	daemon_forget "$stock_pid"
	kill -KILL "$stock_pid"
	wait "$stock_pid" 2>/dev/null || :
}
