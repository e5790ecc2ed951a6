#!/bin/bash
# SPDX-License-Identifier: MIT
# xenhost store against the real daemons.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

store()
{
	"$RUN" xenhost store --rundir "$dir" "$@"
}

# same WANTED COMMAND...
same()
{
	local got want=$1

	shift
	got=$("$@" 2>&1) || :
	[ "$got" = "$want" ] || fail "$*: '$got', not '$want'"
}

daemon_start xenhost-bridged
daemon_start xenhost-xenstored

store write /t/a one
store write /t/b/c $'two\n\\'
same one store read /t/a
same 'two\x0a\x5c' store read /t/b/c
same '"two\u000a\\"' store --json read /t/b/c
same $'a\nb' store ls /t
same '["a", "b"]' store --json ls /t
same $'/t\n  a = one\n  b\n    c = two\\x0a\\x5c' store tree /t
store --json tree /t | python3 -c '
import json, sys
assert json.load(sys.stdin)["/t"]["nodes"]["b"]["nodes"]["c"]["value"] == "two\n\\"'
store --json --count 1 top | python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert any(r["domain"] == 0 and r["process"] > 0 and r["requests"] > 0 for r in rows), rows'
store --count 1 top | grep -q '^ *domain .* requests/s .* watches' || fail "top prints no table"
store chmod /t/a n0,r5
same 'xenhost: permissions are letters n r w b with a domid, the owner first, as n0,r5' store chmod /t/a x0
same $'/t/a\n/t/a' store --count 2 watch /t/a & # the first line is there at once
watcher=$!
while ! store tree /t | grep -q 'done'; do
	store write /t/a more # until the watch has seen one
	kill -0 $watcher 2>/dev/null || store write /t/done 1
done
wait $watcher
store rm /t
same 'xenhost: cannot read /t/a: No such file or directory' store read /t/a
for usage in 'read' 'write /t/a' 'frob /t' ''; do
	status=0
	# shellcheck disable=SC2086 # words
	store $usage >/dev/null 2>&1 || status=$?
	[ $status = 2 ] || fail "store $usage: status $status, not 2"
done
