#!/bin/bash
# SPDX-License-Identifier: MIT
# restart-xenstored.sh DIR COMMAND...: kills the daemon whose process id is in DIR/pid without warning, if
# there is one, and starts COMMAND (which has to write READY to descriptor 9) in its place. Returns when it
# serves. It runs on when this ends: who uses this kills the process of DIR/pid.
set -eu
dir=$1
shift
if [ -e "$dir/pid" ]; then
	pid=$(cat "$dir/pid")
	kill -KILL "$pid" 2>/dev/null || :
	# gone, or only waiting for a parent that may never come by
	while grep -qs '^State:.[^Z]' "/proc/$pid/status"; do sleep 0.01; done
fi
[ -p "$dir/restarted" ] || mkfifo "$dir/restarted"
exec 9<>"$dir/restarted"
"$@" --ready-fd 9 2>>"$dir/log" </dev/null >/dev/null &
echo $! >"$dir/pid"
read -r -t 60 -u 9 line
[ "$line" = READY ]
