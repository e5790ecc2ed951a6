#!/bin/bash
# SPDX-License-Identifier: MIT
# Debian's own xenstore clients (package xenstore-utils), unchanged, against our daemon.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/stock.sh"

for tool in ls read write rm list exists chmod watch; do
	command -v xenstore-$tool >/dev/null || skip stock "xenstore-$tool is missing (package xenstore-utils)"
done

# expect WHAT COMMAND...: its output
expect()
{
	local want=$1 got

	shift
	got=$("$@") || fail "$* ended with status $?"
	[ "$got" = "$want" ] || fail "$*: expected '$want', got '$got'"
}

# refuse TEXT COMMAND...: it fails and its message has the text
refuse()
{
	local text=$1 got

	shift
	! got=$("$@" 2>&1) || fail "$* succeeded"
	case $got in
	*"$text"*) ;;
	*) fail "$*: expected '$text', got '$got'" ;;
	esac
}

xenstored_start xenhost-xenstored --host none

xenstore-write /t/a 1 /t/b/c 'two words' /t/empty ''
expect 1 xenstore-read /t/a
expect $'1\ntwo words' xenstore-read /t/a /t/b/c
expect '/t/a: 1' xenstore-read -p /t/a
expect $'a\nb\nempty' xenstore-list /t
expect '' xenstore-list /t/a
expect $'a = "1"\nb = ""\n c = "two words"\nempty = ""' xenstore-ls /t
expect $'/t/a = "1"\n/t/b = ""\n/t/b/c = "two words"\n/t/empty = ""' xenstore-ls -f /t
xenstore-exists /t/b/c || fail "/t/b/c does not exist"
refuse '' xenstore-exists /t/nothing
refuse "couldn't read" xenstore-read /t/nothing
refuse '' xenstore-write '/t/a b' x
expect Domain-0 xenstore-read name
expect 0 xenstore-read domid

# special bytes come back as they were written
xenstore-write /t/raw '\x01\x00\xff"'
expect '\001\000\xff"' xenstore-read /t/raw

xenstore-chmod /t/a n0 r5 b7
expect 'a = "1"   (n0,r5,b7)' bash -c "xenstore-ls -p /t | grep '^a ' | sed 's/  *[. ]*(/   (/'"
xenstore-chmod -r /t r0
expect r0 bash -c "xenstore-ls -p /t | sed -n 's/^ c .*(\(.*\))/\1/p'"
xenstore-chmod -u /t/b/c w0 # and its parents
expect w0 bash -c "xenstore-ls -p /t | sed -n 's/^b .*(\(.*\))/\1/p'"

# event PATH: it is the next one
event()
{
	local line=

	read -r -t 20 -u 7 line || fail "no event, expected $1"
	[ "$line" = "$1" ] || fail "event $line, expected $1"
}

# one event at once, one for a change below, one for the removal
coproc watcher { xenstore-watch -n 3 /t/w; }
watcher_pid=$!
exec 7<&"${watcher[0]}"
event /t/w
xenstore-write /t/w/x 1
event /t/w/x
xenstore-rm /t/w
event /t/w
wait "$watcher_pid" || fail "xenstore-watch ended with status $?"

# more names than one answer holds: the library pages through them
names=$(seq -f '/t/many/child-with-a-long-name-%04g' 300)
# shellcheck disable=SC2046,SC2086
xenstore-write $(printf '%s x ' $names)
expect 300 bash -c 'xenstore-list /t/many | sort -u | wc -l'

xenstore-rm /t
refuse '' xenstore-exists /t/a
xenstore-rm /t/nothing 2>/dev/null && fail "xenstore-rm of a node without parent succeeded"
xenstore-rm -t /x/y/z 2>/dev/null || :

# the options that are left: -s (by the socket, not the device), -p (with the path), -R (bytes as they are),
# -t (empty parents as well), -f of ls; several paths at once; all by the one binary, too
xenstore-write -s /t/a 1 /t/b/c 2
expect $'/t/a: 1\n/t/b/c: 2' xenstore-read -s -p /t/a /t/b/c
expect $'/t/a\n/t/b' xenstore-list -s -p /t
# shellcheck disable=SC2016
expect $'/t:\na\nb\n/t/b:\nc' bash -c 'for d in /t /t/b; do echo "$d:"; xenstore-list $d; done'
xenstore-exists -s /t/a /t/b/c || fail "/t/a or /t/b/c does not exist"
xenstore-exists -s /t/a /t/nothing && fail "/t/nothing exists"
expect '/t/b/c = "2"   (n0)' bash -c "xenstore-ls -s -f -p /t | grep '^/t/b/c ' | sed 's/  *[. ]*(/   (/'"
xenstore-chmod -s /t/a b0
expect b0 bash -c "xenstore-ls -p /t | sed -n 's/^a .*(\(.*\))/\1/p'"
xenstore-write -R /t/raw "$(printf 'one\ttwo\\x41')"
expect $'one\ttwo\\x41' xenstore-read -R /t/raw
# shellcheck disable=SC1003
xenstore-write /t/raw '\x41\\'
expect A\\ xenstore-read -R /t/raw
xenstore-rm -s -t /t/b/c
xenstore-exists /t/b && fail "xenstore-rm -t left the empty parent"
xenstore-rm /t/a /t/raw
expect '' xenstore-list /t
xenstore-rm -t /t 2>/dev/null || :
for mode in 'write /u/x 7' 'exists /u/x' 'chmod /u/x n0' 'list /u' 'ls /u' 'read /u/x' 'rm /u'; do
	# shellcheck disable=SC2086
	xenstore $mode >"$dir/out" || fail "xenstore $mode failed"
	[ "$mode" != 'read /u/x' ] || expect 7 cat "$dir/out"
done

# one event after another of several watched paths
coproc watcher { xenstore-watch -n 4 /u/a /u/b; }
watcher_pid=$!
exec 7<&"${watcher[0]}"
event /u/a
event /u/b
xenstore-write /u/b/below 1
event /u/b/below
xenstore-write /u/a 1
event /u/a
wait "$watcher_pid" || fail "xenstore-watch ended with status $?"
xenstore-rm /u

# what administrators ask of the daemon
if control=$("$SRCDIR/tests/support/stock-xen" 2>"$dir/why")/xenstore-control; then
	expect OK "$control" check
	"$control" help | grep -q '^memreport' || fail "xenstore-control help"
	"$control" memreport | grep -q '^nodes:' || fail "xenstore-control memreport"
	"$control" quota | grep -q 'transaction-nodes' || fail "xenstore-control quota"
	"$control" quota set nodes 1000 >/dev/null || fail "xenstore-control quota set"
	"$control" print 'a line for the log' >/dev/null || fail "xenstore-control print"
	grep -q 'a line for the log' "$dir/log" || fail "xenstore-control print wrote nothing"
	refuse '' "$control" nonsense
else
	case ",${XENHOST_REQUIRE:-}," in
	*,stock,*) fail "$(cat "$dir/why")" ;;
	esac
fi

# a service's socket is that domain
XENSTORED_PATH=$dir/store/netback.sock
expect netback xenstore-read name
expect 32001 xenstore-read domid
refuse '' xenstore-read /local/domain/32000/name
refuse '' xenstore-write /local/domain/0/x 1
xenstore-write backend/vif/1/0/state 2
XENSTORED_PATH=$socket
expect 2 xenstore-read /local/domain/32001/backend/vif/1/0/state

xenstored_end
