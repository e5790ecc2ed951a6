#!/bin/bash
# SPDX-License-Identifier: MIT
# The black-box cases of the protocol's conformance prober, which lies beside the checkout
# (XENHOST_CONFORMANCE: elsewhere), on a socket and on rings that it plays by files.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

prober=${XENHOST_CONFORMANCE:-$SRCDIR/../shared/conformance}/xenstore/prober
minimum=424 # of 429
# The restart is kill -9: what needs a socket connection that outlives it must fail.
known='restart.connection_survives restart.depth_watch_survives restart.five_times
restart.half_sent_request_completes restart.no_release_events_for_living_domains'
known=$(echo "$known" | xargs)

[ -x "$prober" ] || skip conformance "no prober at $prober"
command -v python3 >/dev/null || skip conformance "python3 is missing"

mkdir "$dir/rings"
XENHOST_TRANSPORTS=$(dirname "$RUN")/tests/.libs
export XENHOST_TRANSPORTS
restart="$SRCDIR/tests/support/restart-xenstored.sh $dir $RUN $(dirname "$RUN")/xenstored/xenhost-xenstored"
restart="$restart --host files:$dir/rings --rundir $dir"
# cleanup looks at the status that the test ends with
trap 'status=$?; kill "$(cat "$dir/pid")" 2>/dev/null || :; (exit $status); cleanup' EXIT
$restart
"$prober" "$socket" --rings "$dir/rings" --restart "$restart" --timeout 10 --quiet >"$dir/out" || :
tail -n 1 "$dir/out"
passed=$(sed -n '$s/ passed,.*//p' "$dir/out")
failed=$(sed -n 's/^FAIL \([^:]*\):.*/\1/p' "$dir/out" | sort | xargs)
# Some cases wait 30 ms for what must not come: on a busy machine they may miss what did come. Each gets one
# more try by itself, and that is said.
again()
{
	local case

	for case in $failed; do
		case " $known " in
		*" $case "*) echo "$case" && continue ;;
		esac
		echo "RETRY $case: $(grep "^FAIL $case:" "$dir/out")" >&2
		if "$prober" "$socket" --rings "$dir/rings" --restart "$restart" --timeout 10 --quiet \
			--match "$case" >"$dir/retry"; then
			passed=$((passed + 1))
		else
			echo "$case"
		fi
	done
}
again >"$dir/still"
failed=$(xargs <"$dir/still")
if [ "$failed" != "$known" ]; then
	grep '^FAIL' "$dir/out" || :
	fail "failed cases: $failed; expected: $known"
fi
[ "${passed:-0}" -ge $minimum ] || fail "$passed cases passed, there must be $minimum"

# nothing is left of all that, and what is counted agrees with what is there
python3 - "$socket" <<'END' || fail "the store does not agree with its accounts"
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(struct.pack("=IIII", 0, 1, 0, 6) + b"check\0")
h = struct.unpack("=IIII", s.recv(16, socket.MSG_WAITALL))
answer = s.recv(h[3], socket.MSG_WAITALL)
sys.exit(0 if answer == b"OK\0" else str(answer))
END
kill "$(cat "$dir/pid")"
