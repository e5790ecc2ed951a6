# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by integration tests: a xenstored of the build tree in a folder of its own.
#   xenstored_start PROGRAM [OPTION...]   sets $dir, $socket and XENSTORED_PATH; returns when it serves
#   xenstored_end                         ends it; it must end with status 0
#   skip REASON                           ends the test with 77, or 1 where XENHOST_REQUIRE asks for it
set -euo pipefail

dir=$(mktemp -d "${TMPDIR:-/tmp}/xenstored-test-XXXXXX")
socket=$dir/xenstored.sock
daemon=
export XENSTORED_PATH=$socket

cleanup()
{
	local status=$?

	trap - EXIT
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
	if [ "$status" != 0 ] && [ "$status" != 77 ] && [ -s "$dir/log" ]; then
		echo "the daemon's log:"
		tail -n 50 "$dir/log"
	fi
	rm -rf "$dir"
	exit "$status"
}
trap cleanup EXIT

fail()
{
	echo "FAILED: $*"
	exit 1
}

# skip WHAT REASON
skip()
{
	case ",${XENHOST_REQUIRE:-}," in
	*",$1,"*) fail "$2 (XENHOST_REQUIRE asks for $1)" ;;
	esac
	echo "SKIP: $2"
	exit 77
}

xenstored_start()
{
	local line

	mkfifo "$dir/ready"
	"$RUN" "$@" --rundir "$dir" --ready-fd 9 --exit-with-parent 9<>"$dir/ready" 2>>"$dir/log" &
	daemon=$!
	exec 8<>"$dir/ready"
	read -r -t 20 -u 8 line || fail "the daemon did not get ready"
	[ "$line" = READY ] || fail "the daemon said '$line'"
	exec 8>&-
	rm "$dir/ready"
}

xenstored_end()
{
	local status=0

	kill "$daemon"
	wait "$daemon" || status=$?
	daemon=
	[ "$status" = 0 ] || fail "the daemon ended with status $status"
	[ ! -e "$socket" ] || fail "the daemon left its socket behind"
}
