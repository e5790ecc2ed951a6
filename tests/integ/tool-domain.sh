#!/bin/bash
# SPDX-License-Identifier: MIT
# xenhost domain, and what the tool says when something is not there.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

# expect STATUS TEXT COMMAND...: its exit status, and a part of what it says
expect()
{
	local status=0 want=$1 text=$2

	shift 2
	"$RUN" "$@" >"$dir/out" 2>&1 || status=$?
	[ "$status" = "$want" ] || fail "$*: status $status, not $want: $(cat "$dir/out")"
	grep -qF -- "$text" "$dir/out" || fail "$*: '$text' is not in: $(cat "$dir/out")"
}

expect 1 'does it run?' xenhost domain --rundir "$dir/none" list
expect 2 'there is no command' xenhost frobnicate
expect 2 'a command is missing' xenhost
expect 2 'takes list, or info' xenhost domain --rundir "$dir" list more
expect 2 'unknown option --what' xenhost domain --what
expect 2 'there is nothing to boot' xenhost run
expect 2 'bad value: --memory lots' xenhost run --memory lots
expect 2 'bad value: --disk /nowhere/disk' xenhost run --disk /nowhere/disk
expect 2 'bad value: --net bridge=x' xenhost run --net bridge=x
expect 2 'takes the name of one guest' xenhost start
expect 1 'is no name for a guest' xenhost start ../one
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/none expect 1 'cannot reach systemd' xenhost start one

daemon_start xenhost-bridged

expect 0 ' 32000  blkback ' xenhost domain --rundir "$dir" list
expect 0 'Domain-0' xenhost domain --rundir "$dir" info 0
expect 0 'kind:            service' xenhost domain --rundir "$dir" info netback
expect 1 'there is no domain 7' xenhost domain --rundir "$dir" info 7
expect 1 'there is no domain nobody' xenhost domain --rundir "$dir" info nobody
"$RUN" xenhost domain --rundir "$dir" --json list |
	python3 -c 'import json, sys; assert [d["domid"] for d in json.load(sys.stdin)] == [0, 32000, 32001]'
"$RUN" xenhost domain --rundir "$dir" --json info blkback |
	python3 -c 'import json, sys; assert json.load(sys.stdin)["state"] == "running"'
daemon_end "$started"
