#!/bin/bash
# SPDX-License-Identifier: MIT
# Migration streams: one that Debian's xenstored 4.17 wrote is read; ours come back as they went, over
# xenhost store export and import and with guests on their rings; bad ones are refused and change nothing.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

prober=${XENHOST_CONFORMANCE:-$SRCDIR/../shared/conformance}/xenstore/prober
stock=$SRCDIR/tests/fuzz/corpus/xs-stream/stock-4.17
command -v xenstore-ls >/dev/null || skip stock "xenstore-ls is missing (package xenstore-utils)"
here=$dir

store()
{
	"$RUN" xenhost store --rundir "$dir" "$@"
}

# daemon NAME [OPTION...]: one in a folder of its own
daemon()
{
	dir=$here/$1
	mkdir -p "$dir"
	export XENSTORED_PATH=$dir/xenstored.sock
	shift
	xenstored_start xenhost-xenstored --host none "$@"
}

# refuse TEXT COMMAND...
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

# what Debian's daemon had, domains included
daemon stock --import "$stock"
xenstore-ls -p / | grep -v '3200[01]\|blkback\|netback' | sed 's/ [. ]*(/ (/' >"$here/got"
cat >"$here/want" <<'END2'
a = "" (n0)
 b = "hello" (n0,r5)
local = "" (n0)
 domain = "" (n0)
  0 = "" (n0)
   name = "dom0" (n0)
  5 = "" (n5)
   x = "" (n5)
  6 = "" (n6)
tool = "" (n0)
 xenstored = "" (n0)
END2
diff "$here/want" "$here/got" || fail "the stream of stock xenstored was read as something else"
store export "$here/two"
store --stream-version 1 export "$here/one"
xenstore-ls -p / >"$here/want"

# there and back in both versions, into a daemon that runs
for version in one two; do
	daemon "to-$version"
	store import "$here/$version"
	xenstore-ls -p / | diff "$here/want" - || fail "version $version came back as something else"
	refuse "is not new" store import "$here/$version"
done

# bad ones: cut, damaged, none, not there; and the store is as new afterwards
daemon bad
head -c 1000 "$here/two" >"$here/cut"
refuse "cut off" store import "$here/cut"
{ head -c 200 "$here/two"; printf '\377\377\377\377\377\377\377\377'; tail -c +209 "$here/two"; } >"$here/damaged"
refuse "cannot import" store import "$here/damaged"
refuse "this is none" store import "$SRCDIR/LICENSE"
refuse "No such file" store import "$here/nowhere"
refuse "cannot write" store export "$here/nowhere/x"
store import "$here/two"
xenstore-ls -p / | diff "$here/want" - || fail "a bad stream left something behind"
! "$RUN" xenhost-xenstored --rundir "$here/new" --host none --import "$here/cut" 2>"$here/said" ||
	fail "a daemon began with a stream that is cut off"
grep -q "cut off" "$here/said" || fail "it said $(cat "$here/said")"

# with guests: the prober's restarts, each a migration
[ -x "$prober" ] || skip conformance "no prober at $prober"
XENHOST_TRANSPORTS=$(dirname "$RUN")/tests/.libs
export XENHOST_TRANSPORTS
program=$(dirname "$RUN")/xenstored/xenhost-xenstored
# cleanup looks at the status that the test ends with
trap 'status=$?; kill $(cat "$here"/*/pid) 2>/dev/null || :; dir=$here; (exit $status); cleanup' EXIT
for version in 2; do
	dir=$here/guests-$version
	mkdir -p "$dir/rings"
	options="$RUN $program --host files:$dir/rings --rundir $dir"
	# shellcheck disable=SC2086 # several words
	"$SRCDIR/tests/support/restart-xenstored.sh" "$dir" $options
	"$prober" "$dir/xenstored.sock" --rings "$dir/rings" --match 'restart.*' --timeout 10 --quiet \
		--restart "$SRCDIR/tests/support/migrate-xenstored.sh $version $dir $options" >"$dir/out" || :
	# those that need their socket connection cannot pass
	failed=$(sed -n 's/^FAIL \([^:]*\):.*/\1/p' "$dir/out" | sort | xargs)
	[ "$failed" = "restart.connection_survives restart.depth_watch_survives restart.five_times\
 restart.half_sent_request_completes restart.no_release_events_for_living_domains" ] || {
		cat "$dir/out" "$dir/log"
		fail "version $version: failed: $failed"
	}
	tail -n 1 "$dir/out" | grep -q '^8 passed' || fail "version $version: $(tail -n 1 "$dir/out")"
done
