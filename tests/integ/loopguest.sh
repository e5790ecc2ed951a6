#!/bin/bash
# SPDX-License-Identifier: MIT
# xenhost-loopguest, and what the tools tell of its guests: xenhost grant, evtchn and trace.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

build=$(dirname "$RUN")

# expect STATUS TEXT COMMAND...: its exit status, and a part of what it says
expect()
{
	local status=0 want=$1 text=$2

	shift 2
	"$RUN" "$@" >"$dir/out" 2>&1 || status=$?
	[ "$status" = "$want" ] || fail "$*: status $status, not $want: $(cat "$dir/out")"
	grep -qF -- "$text" "$dir/out" || fail "$*: '$text' is not in: $(cat "$dir/out")"
}

# json EXPRESSION COMMAND...: the command's JSON is `j` and the expression holds
json()
{
	local expression=$1

	shift
	XENHOST_RUNDIR=$dir "$RUN" "$@" >"$dir/json" || fail "$*"
	python3 -c "import json, sys; j = json.load(open('$dir/json')); sys.exit(not ($expression))" ||
		fail "$*: not $expression: $(head -c 2000 "$dir/json")"
}

expect 1 'does xenhost-bridged run?' xenhost-loopguest --rundir "$dir"
expect 1 'does it run?' xenhost grant --rundir "$dir" list
expect 1 'does it run?' xenhost evtchn --rundir "$dir" list
expect 1 'does it run?' xenhost trace --rundir "$dir" bridge
expect 2 'grant takes list' xenhost grant --rundir "$dir" settle x
expect 2 'evtchn takes list' xenhost evtchn --rundir "$dir"
expect 2 'trace takes what' xenhost trace --rundir "$dir"
expect 2 'two different things' xenhost-loopguest --events --ring upper
expect 2 'bad value' xenhost-loopguest --memory 1K

daemon_start xenhost-bridged --service upper=32010
bridged=$started
daemon_start xenhost-xenstored --service upper=32010
xenstored=$started

# nothing to do, and events
json 'j["guests"] == 20 and j["done"] == 0' xenhost-loopguest --guests 20 --seconds 1 --json
json 'j["guests"] == 5 and j["done"] > 0' xenhost-loopguest --guests 5 --events --seconds 1 --json
expect 1 'there is no domain' xenhost grant --rundir "$dir" list loop-0

# requests for a back end, which is killed with grants in use
"$RUN" "$build/tests/examples/upper-backend" "bridge:$dir/bridge/upper.sock" 2>>"$dir/log" &
backend=$!
expect 1 'cannot find the service nobody' xenhost-loopguest --rundir "$dir" --ring nobody
json 'j["done"] > 0 and j["bad"] == 0' xenhost-loopguest --guests 3 --ring upper --seconds 1 --json
daemon_start xenhost-loopguest --guests 2 --name demo --ring upper
guests=$started
until "$RUN" xenhost grant --rundir "$dir" list demo-1 | grep -q ' upper .*writing'; do
	kill -0 "$backend" || fail "the back end ended"
	[ "$SECONDS" -lt 300 ] || fail "the device of demo-1 is not connected"
done
json 'any(g["to_name"] == "upper" and g["access"] == "read-write" for g in j) and
	any(g["gref"] == 1 and g["to"] == 0 for g in j) and {g["guest_name"] for g in j} == {"demo-0", "demo-1"}' \
	xenhost grant --json list
json 'any(p["name"] == "demo-1" and p["state"] == "interdomain" and p["remote_name"] == "upper" for p in j) and
	any(p["name"] == "upper" and p["remote_name"] == "demo-0" for p in j)' xenhost evtchn --json list
json 'j and all(p["name"] == "demo-0" for p in j) and any(p["state"] == "unbound" for p in j)' \
	xenhost evtchn --json list demo-0
expect 1 'a process of that domain is attached' xenhost grant --rundir "$dir" settle demo-1 upper
kill -KILL "$backend"
wait "$backend" || :
expect 0 'writing' xenhost grant --rundir "$dir" list demo-1
json 'j["grants"] >= 1' xenhost grant --json settle demo-1 upper
json 'j["grants"] == 0' xenhost grant --json settle demo-1 upper
json 'j and all(g["in_use"] == "no" for g in j)' xenhost grant --json list demo-1
json 'any(g["in_use"] != "no" for g in j)' xenhost grant --json list demo-0
daemon_end "$guests"

timeout 120 "$RUN" xenhost trace --rundir "$dir" --json --count 8 bridge >"$dir/lines" &
trace=$!
while kill -0 "$trace" 2>/dev/null; do
	"$RUN" xenhost domain --rundir "$dir" info 0 >"$dir/out"
done
wait "$trace" || fail "xenhost trace"
python3 - "$dir/lines" <<'EOF' || fail "the trace: $(cat "$dir/lines")"
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
assert len(lines) == 8, len(lines)
asked = [l for l in lines if l["what"] == "asks"]
assert asked and all(l["socket"] == "tool" for l in asked)
names = {l["message"] for l in lines}
assert names <= {"hello", "welcome", "domain_query", "domain_info"} and len(names) >= 2, names
EOF

daemon_end "$xenstored"
daemon_end "$bridged"
