# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by integration tests: a folder of the test's own, and daemons of the build tree that run in it.
#   $dir                               the folder; it is gone when the test ends, and so are the daemons
#   daemon_start PROGRAM [OPTION...]   starts one and returns when it is ready; sets $started, its process id
#   daemon_end PID                     ends one; it must end with status 0
#   fail WHAT                          ends the test
#   skip WHAT REASON                   ends the test with 77, or 1 where XENHOST_REQUIRE asks for WHAT
set -euo pipefail

dir=$(mktemp -d "${TMPDIR:-/tmp}/xenhost-test-XXXXXX")
daemons=()

cleanup()
{
	local status=$?

	trap - EXIT
	[ "${#daemons[@]}" = 0 ] || kill "${daemons[@]}" 2>/dev/null || :
	if [ "$status" != 0 ] && [ "$status" != 77 ] && [ -s "$dir/log" ]; then
		echo "the daemons' log:"
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

skip()
{
	case ",${XENHOST_REQUIRE:-}," in
	*",$1,"*) fail "$2 (XENHOST_REQUIRE asks for $1)" ;;
	esac
	echo "SKIP: $2"
	exit 77
}

# The FIFO is open here before the daemon starts: a FIFO that nobody holds open forgets what was written.
daemon_start()
{
	local line

	[ -p "$dir/ready" ] || mkfifo "$dir/ready"
	exec 8<>"$dir/ready"
	"$RUN" "$@" --rundir "$dir" --ready-fd 9 --exit-with-parent 9>&8 8>&- 2>>"$dir/log" &
	started=$!
	daemons+=("$started")
	read -r -t 60 -u 8 line || fail "$1 did not get ready"
	[ "$line" = READY ] || fail "$1 said '$line'"
	exec 8>&-
}

# forget PID: the test itself ends this one
daemon_forget()
{
	local pid kept=()

	for pid in "${daemons[@]}"; do
		[ "$pid" = "$1" ] || kept+=("$pid")
	done
	daemons=("${kept[@]}")
}

daemon_end()
{
	local status=0

	daemon_forget "$1"
	kill "$1"
	wait "$1" || status=$?
	[ "$status" = 0 ] || fail "a daemon ended with status $status"
}
