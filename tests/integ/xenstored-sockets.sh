#!/bin/bash
# SPDX-License-Identifier: MIT
# Sockets that somebody else listens on: those of systemd are served and left, that of another Xenstore is
# not touched, one that nobody serves any more is.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

command -v python3 >/dev/null || skip python "python3 is missing"
command -v xenstore-read >/dev/null || skip stock "xenstore-read is missing (package xenstore-utils)"

# as systemd does it: two sockets that are served and one that is not
mkdir "$dir/store"
mkfifo "$dir/started"
exec 7<>"$dir/started"
cat >"$dir/activate.py" <<'END'
import os, socket, sys
d = sys.argv[1]
os.dup2(7, 20)
os.closerange(3, 20)
for i, path in enumerate(("xenstored.sock", "store/netback.sock", "odd.sock")):
    s = socket.socket(socket.AF_UNIX)
    s.bind(d + "/" + path)
    s.listen(5)
    os.dup2(s.fileno(), 30 + i)
    s.close()
for i in range(3):
    os.dup2(30 + i, 3 + i)
    os.close(30 + i)
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "3", str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
END
python3 "$dir/activate.py" "$dir" "$RUN" xenhost-xenstored --host none --rundir "$dir" --ready-fd 20 \
	--exit-with-parent 2>>"$dir/log" &
daemon=$!
daemons+=("$daemon")
read -r -t 60 -u 7 line || fail "the daemon did not get ready"
[ "$line" = READY ] || fail "the daemon said $line"
[ "$(xenstore-read domid)" = 0 ] || fail "systemd's socket is not served"
[ "$(XENSTORED_PATH=$dir/store/netback.sock xenstore-read domid)" = 32001 ] || fail "netback.sock is somebody else's"
[ "$(XENSTORED_PATH=$dir/store/blkback.sock xenstore-read domid)" = 32000 ] || fail "blkback.sock was not made"
grep -q 'odd.sock: no domain' "$dir/log" || fail "a socket that nobody wants was taken without a word"
# a program in its place has them, too
"$RUN" xenhost store --rundir "$dir" live-update "$(dirname "$RUN")/xenstored/xenhost-xenstored"
[ "$(XENSTORED_PATH=$dir/store/netback.sock xenstore-read domid)" = 32001 ] || fail "netback.sock was lost"
daemon_end "$daemon"
[ -S "$dir/xenstored.sock" ] && [ -S "$dir/store/netback.sock" ] || fail "systemd's sockets were removed"
[ ! -e "$dir/store/blkback.sock" ] || fail "a socket of its own was left behind"

# start NAME: one more daemon at the socket where Xen's clients look; sets $started
shared=$dir/xen/socket
start()
{
	"$RUN" xenhost-xenstored --host none --rundir "$dir/$1" --xen-socket "$shared" --ready-fd 7 \
		--exit-with-parent 2>>"$dir/log" &
	started=$!
	daemons+=("$started")
	read -r -t 60 -u 7 line || fail "the daemon $1 did not get ready"
}

start one
export XENSTORED_PATH=$shared
xenstore-write /whose one
! "$RUN" xenhost-xenstored --host none --rundir "$dir/two" --xen-socket "$shared" 2>"$dir/said" ||
	fail "two daemons serve one socket"
grep -q "cannot serve $shared: .*(process [0-9]*) does; end that" "$dir/said" || fail "it said $(cat "$dir/said")"
[ "$(wc -l <"$dir/said")" = 1 ] || fail "it said more than one line: $(cat "$dir/said")"
[ "$(xenstore-read /whose)" = one ] || fail "the first one's socket was touched"
daemon_forget "$started"
kill -KILL "$started"
wait "$started" 2>/dev/null || :
[ -S "$shared" ] || fail "nothing is left to find"
start two
! xenstore-exists /whose || fail "the second one has the first one's store"
daemon_end "$started"
[ ! -e "$shared" ] || fail "the socket was left behind"
