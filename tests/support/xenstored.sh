# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by integration tests: a xenstored of the build tree, beside what daemon.sh has.
#   xenstored_start PROGRAM [OPTION...]   sets $socket, $daemon and XENSTORED_PATH; returns when it serves
#   xenstored_end                         ends it; it must end with status 0
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

socket=$dir/xenstored.sock
daemon=
export XENSTORED_PATH=$socket

xenstored_start()
{
	daemon_start "$@"
	daemon=$started
}

xenstored_end()
{
	daemon_end "$daemon"
	[ ! -e "$socket" ] || fail "the daemon left its socket behind"
}
