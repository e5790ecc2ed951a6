#!/bin/bash
# SPDX-License-Identifier: MIT
# The black-box cases of the protocol's conformance prober, which lies beside the checkout
# (XENHOST_CONFORMANCE: elsewhere), on a socket and on rings that it plays by files. Twice, side by side: with
# live updates as its restarts, where every case must pass, and with kill -9.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

prober=${XENHOST_CONFORMANCE:-$SRCDIR/../shared/conformance}/xenstore/prober
cases=429
# What needs a socket connection that outlives the restart must fail with kill -9.
known='restart.connection_survives restart.depth_watch_survives restart.five_times
restart.half_sent_request_completes restart.no_release_events_for_living_domains'
known=$(echo "$known" | xargs)
program=$(dirname "$RUN")/xenstored/xenhost-xenstored

[ -x "$prober" ] || skip conformance "no prober at $prober"
command -v python3 >/dev/null || skip conformance "python3 is missing"
[ "$("$prober" --list 2>/dev/null | grep -c '\.')" -ge $cases ] || fail "the prober has less than $cases cases"

XENHOST_TRANSPORTS=$(dirname "$RUN")/tests/.libs
export XENHOST_TRANSPORTS
# cleanup looks at the status that the test ends with
trap 'status=$?; kill $(cat "$dir"/*/pid) 2>/dev/null || :; (exit $status); cleanup' EXIT

# Some cases wait 30 ms for what must not come: on a busy machine they may miss what did come. Each gets one
# more try by itself, and that is said. Prints those that fail again.
again()
{
	local mode=$1 case

	shift
	for case in $(sed -n 's/^FAIL \([^:]*\):.*/\1/p' "$dir/$mode/out" | sort); do
		case " $known " in
		*" $case "*) [ "$mode" = kill ] && echo "$case" && continue ;;
		esac
		echo "RETRY $mode $case: $(grep "^FAIL $case:" "$dir/$mode/out")" >&2
		"$@" --match "$case" >"$dir/$mode/retry" || echo "$case"
	done
}

# probe MODE EXPECTED RESTART: all cases, of which those fail, and no others
probe()
{
	local mode=$1 expected=$2 restart=$3 ran failed
	local command=("$prober" "$dir/$mode/xenstored.sock" --rings "$dir/$mode/rings" --restart "$restart"
		--timeout 10 --quiet)

	"${command[@]}" >"$dir/$mode/out" || :
	ran=$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 + \2/p' "$dir/$mode/out")
	echo "$mode: $(tail -n 1 "$dir/$mode/out")"
	[ $((${ran:-0})) -ge $cases ] || fail "$mode: only $((${ran:-0})) of $cases cases were run"
	failed=$(again "$mode" "${command[@]}" | xargs)
	if [ "$failed" != "$expected" ]; then
		grep '^FAIL' "$dir/$mode/out" || :
		tail -n 20 "$dir/$mode/log"
		fail "$mode: failed cases: $failed; expected: $expected"
	fi
	check "$dir/$mode/xenstored.sock" || fail "$mode: the store does not agree with its accounts"
}

# nothing is left of all that, and what is counted agrees with what is there
check()
{
	python3 - "$1" <<-'END'
		import socket, struct, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.sendall(struct.pack("=IIII", 0, 1, 0, 6) + b"check\0")
		h = struct.unpack("=IIII", s.recv(16, socket.MSG_WAITALL))
		answer = s.recv(h[3], socket.MSG_WAITALL)
		sys.exit(0 if answer == b"OK\0" else str(answer))
	END
}

start="$SRCDIR/tests/support/restart-xenstored.sh"
for mode in kill live; do
	mkdir "$dir/$mode" "$dir/$mode/rings"
	options="--host files:$dir/$mode/rings --rundir $dir/$mode"
	# shellcheck disable=SC2086 # options are several
	"$start" "$dir/$mode" "$RUN" "$program" $options
done
pid=$(cat "$dir/live/pid")
(trap - EXIT; probe kill "$known" "$start $dir/kill $RUN $program --host files:$dir/kill/rings --rundir $dir/kill") &
killing=$!
(trap - EXIT; probe live "" "python3 $SRCDIR/tests/support/live-update.py $dir/live/xenstored.sock $program") || exit 1
wait $killing || exit 1

# it was one process all the time, and a new program at each restart
kill -0 "$pid" || fail "the process did not survive its live updates"
updates=$(grep -c 'live-update: from here on' "$dir/live/log")
[ "$updates" -ge 13 ] || fail "only $updates live updates"
kill "$(cat "$dir/kill/pid")" "$pid"
