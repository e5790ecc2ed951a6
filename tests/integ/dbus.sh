#!/bin/bash
# SPDX-License-Identifier: MIT
# Domains on D-Bus: the list, properties, signals, commands; who may do what, by the caller. The bus is a
# private one.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

for program in dbus-daemon dbus-monitor busctl setpriv; do
	command -v $program >/dev/null || skip units "$program is not installed"
done

# Who calls: root may do everything, so as root we call as somebody else too.
if [ "$(id -u)" = 0 ]; then
	somebody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
else
	somebody=()
fi
group=$("${somebody[@]}" id -gn)

# a bus that lets everybody in: what is refused is refused by our daemon
cat >"$dir/bus.conf" <<EOF
<busconfig>
<type>session</type>
<listen>unix:abstract=$dir/bus</listen>
<auth>EXTERNAL</auth>
<policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
</policy>
</busconfig>
EOF
exec 7< <(exec dbus-daemon --config-file="$dir/bus.conf" --nofork --print-address 2>>"$dir/log")
bus_pid=$!
daemons+=("$bus_pid")
read -r -t 60 -u 7 bus || fail "dbus-daemon did not start"

# call AS... -- METHOD ARGUMENT...: what busctl prints, in $said, and its status
call()
{
	local as=() path=/org/xenhost interface=org.xenhost.Host1

	while [ "$1" != -- ]; do
		as+=("$1")
		shift
	done
	shift
	if [ "$1" = on ]; then
		path=$2
		case $path in
		*/disk/*) interface=org.xenhost.Disk1 ;;
		*/network/*) interface=org.xenhost.Network1 ;;
		*/store) interface=org.xenhost.Store1 ;;
		*) interface=org.xenhost.Domain1 ;;
		esac
		shift 2
	fi
	status=0
	said=$("${as[@]}" busctl --address="$bus" --timeout=60 call org.xenhost "$path" "$interface" "$@" 2>&1) || status=$?
}

# property PATH NAME
property()
{
	local interface=Domain1

	case $1 in
	*/disk/*) interface=Disk1 ;;
	*/network/*) interface=Network1 ;;
	esac
	"${somebody[@]}" busctl --address="$bus" get-property org.xenhost "$1" org.xenhost.$interface "$2"
}

# said_of PATH: also when there is no such object
said_of()
{
	property "$1" State || :
}

store()
{
	"$RUN" xenhost store --rundir "$dir" "$@"
}

# device_folder CLASS SERVICE NUMBER NODE VALUE...: as a toolstack makes one
device_folder()
{
	local back=/local/domain/$2/backend/$1/$domid/$3

	shift 3
	while [ $# -gt 0 ]; do
		store write "$back/$1" "$2"
		shift 2
	done
}

works()
{
	call "$@"
	[ "$status" = 0 ] || fail "$*: $said"
}

refused()
{
	local text=$1

	shift
	call "$@"
	[ "$status" != 0 ] || fail "$* was done: $said"
	grep -qF -- "$text" <<<"$said" || fail "$*: '$text' is not in: $said"
}

# until PATTERN COMMAND...: its output matches
until_it_says()
{
	local pattern=$1 end=$((SECONDS + 120))

	shift
	until "$@" 2>&1 | grep -q -- "$pattern"; do
		[ "$SECONDS" -lt "$end" ] || fail "not in time: '$pattern' from $*: $("$@" 2>&1 | tail -n 20)"
		sleep 0.1
	done
}

start_dbusd()
{
	daemon_start xenhost-dbusd --bus "$bus" "$@"
	dbusd=$started
}

said=$("$RUN" xenhost-dbusd --rundir "$dir" --bus "unix:abstract=$dir/bus" 2>&1) && fail "dbusd runs without a host"
grep -q 'is xenhost-bridged running?' <<<"$said" || fail "without a host it says $said"
daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-xenstored
xenstored=$started
said=$("$RUN" xenhost-dbusd --rundir "$dir" --bus "unix:abstract=$dir/none" 2>&1) && fail "dbusd runs without a bus"
grep -q 'cannot reach D-Bus' <<<"$said" || fail "without a bus it says $said"

# nobody is in a group
start_dbusd
if [ "$(id -u)" = 0 ]; then
	works -- ListDomains
	refused 'Access denied' "${somebody[@]}" -- ListDomains
	refused 'Access denied' "${somebody[@]}" -- StartGuest s one
	grep -q "user 65534 may not call StartGuest" "$dir/log" || fail "a refusal is not logged"
	"${somebody[@]}" busctl --address="$bus" introspect org.xenhost /org/xenhost >/dev/null 2>&1 &&
		fail "a stranger may introspect"
fi
daemon_end "$dbusd"

# who may look
start_dbusd --look "$group"
dbus-monitor --address "$bus" "sender='org.xenhost'" >"$dir/signals" 2>&1 &
daemons+=("$!")
until_it_says 'member=NameAcquired' cat "$dir/signals"
works "${somebody[@]}" -- ListDomains
grep -qF '0 "Domain-0" "control" "running"' <<<"$said" || fail "ListDomains says $said"
grep -qF '32000 "blkback" "service" "running"' <<<"$said" || fail "ListDomains says $said"
daemon_start xenhost-loopguest --guests 1 --name loop
guest=$started
until_it_says 'loop-0' busctl --address="$bus" call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains
works "${somebody[@]}" -- FindDomain s loop-0
path=$(sed -n 's/^o "\(.*\)"$/\1/p' <<<"$said")
[ "$(property "$path" Name)" = 's "loop-0"' ] || fail "Name is $(property "$path" Name)"
[ "$(property "$path" Kind)" = 's "guest"' ] || fail "Kind is $(property "$path" Kind)"
domid=$(property "$path" Domid)
domid=${domid#q }
"$RUN" xenhost domain --rundir "$dir" info "$domid" | grep -q 'loop-0' || fail "Domid is $domid"
refused 'there is no domain nobody' "${somebody[@]}" -- FindDomain s nobody
refused 'no name for a guest' -- StartGuest s ../../etc/passwd
if [ "$(id -u)" = 0 ]; then
	for method in Shutdown Reboot Destroy Pause Unpause; do
		refused 'Access denied' "${somebody[@]}" -- on "$path" $method
	done
	refused 'Access denied' "${somebody[@]}" -- StartGuest s one
fi
until_it_says "InterfacesAdded" cat "$dir/signals"

# devices: each is an object as long as its folder is there, whoever wrote that
device_folder vbd 32000 51712 dev xvda params /srv/a.img mode r state 2
device_folder vif 32001 0 mac 00:16:3e:00:00:01 bridge br0 vifname vif1.0 state 4
disk=/org/xenhost/disk/${path##*/}_32000_51712
card=/org/xenhost/network/${path##*/}_32001_0
until_it_says 's "waiting"' property "$disk" State
until_it_says 's "connected"' property "$card" State
[ "$(property "$disk" Image)" = 's "/srv/a.img"' ] || fail "Image is $(property "$disk" Image)"
[ "$(property "$disk" Device)" = 's "xvda"' ] || fail "Device is $(property "$disk" Device)"
[ "$(property "$disk" ReadOnly)" = 'b true' ] || fail "ReadOnly is $(property "$disk" ReadOnly)"
[ "$(property "$disk" Domid)" = "q $domid" ] || fail "Domid is $(property "$disk" Domid)"
[ "$(property "$card" MacAddress)" = 's "00:16:3e:00:00:01"' ] || fail "MacAddress is $(property "$card" MacAddress)"
[ "$(property "$card" Bridge)" = 's "br0"' ] || fail "Bridge is $(property "$card" Bridge)"
refused 'it is not connected (waiting)' "${somebody[@]}" -- on "$disk" Stat
# a console is a descriptor; the guest here has none
refused 'cannot reach its console' "${somebody[@]}" -- on "$path" OpenConsole
mkdir "$dir/console"
python3 - "$dir/console/loop-0.sock" >"$dir/typed" <<'EOT' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen()
s.accept()[0].sendall(b"login: ")
EOT
daemons+=("$!")
until_it_says loop-0.sock ls "$dir/console"
works "${somebody[@]}" -- on "$path" OpenConsole
grep -q '^h ' <<<"$said" || fail "OpenConsole says $said"
if [ "$(id -u)" = 0 ]; then
	for call in "$disk Detach" "$disk Order s resize" "$card Detach" "$card Order s stat" "$path AttachDisk ssb /srv/b.img xvdb 0" \
		"$path AttachNetwork ss br0 x" "/org/xenhost/store Read s /" "/org/xenhost/store List s /" \
		"/org/xenhost/store Write say /a 1 65" "/org/xenhost/store Remove s /a" "/org/xenhost/store Watch s /" \
		"/org/xenhost/store Unwatch s /"; do
		# shellcheck disable=SC2086 # words
		refused 'Access denied' "${somebody[@]}" -- on $call
	done
fi
store write "/local/domain/32000/backend/vbd/$domid/51712/state" 4
until_it_says 's "connected"' property "$disk" State
until_it_says "string \"connected\"" cat "$dir/signals"
# an error of the medium stops it
store write "/local/domain/32000/backend/vbd/$domid/51712/xenhost-state" stopped
until_it_says "string \"stopped\"" cat "$dir/signals"
[ "$(property "$disk" Activity)" = 's "stopped"' ] || fail "Activity is $(property "$disk" Activity)"
# its figures: the back end answers in a node
"${somebody[@]}" busctl --address="$bus" --timeout=60 call org.xenhost "$disk" org.xenhost.Disk1 Stat >"$dir/stat" 2>&1 &
asks=$!
until_it_says ' stat' store read "/local/domain/32000/backend/vbd/$domid/51712/xenhost-control"
number=$(store read "/local/domain/32000/backend/vbd/$domid/51712/xenhost-control")
store write "/local/domain/32000/backend/vbd/$domid/51712/xenhost-reply" "${number% *} ok rd=1 wr=2"
wait "$asks" || fail "Stat: $(cat "$dir/stat")"
[ "$(cat "$dir/stat")" = 's "rd=1 wr=2"' ] || fail "Stat says $(cat "$dir/stat")"
store rm "/local/domain/32001/backend/vif/$domid/0"
until_it_says 'Unknown object' said_of "$card"
daemon_end "$dbusd"

# who may command
start_dbusd --command "$group"
until_it_says 'loop-0' busctl --address="$bus" call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains
works "${somebody[@]}" -- on "$path" Shutdown
[ "$("$RUN" xenhost store --rundir "$dir" read "/local/domain/$domid/control/shutdown")" = poweroff ] ||
	fail "Shutdown wrote nothing"
# devices of one's own; the nodes are a toolstack's, and opend.conf decides about the image
until_it_says 's "connected"' property "$disk" State
works "${somebody[@]}" -- on "$path" AttachDisk ssb /srv/b.img xvdb true
new=$(sed -n 's/^o "\(.*\)"$/\1/p' <<<"$said")
[ "$(property "$new" Image)" = 's "/srv/b.img"' ] || fail "the new disk is $(property "$new" Image)"
[ "$(store read "/local/domain/$domid/device/vbd/51728/backend")" = "/local/domain/32000/backend/vbd/$domid/51728" ] ||
	fail "the new disk has no front end"
[ "$(store read "/local/domain/32000/backend/vbd/$domid/51728/mode")" = r ] || fail "the new disk can be written"
refused 'File exists' "${somebody[@]}" -- on "$path" AttachDisk ssb /srv/b.img xvdb true
refused 'Invalid argument' "${somebody[@]}" -- on "$path" AttachDisk ssb /srv/b.img sda true
refused 'Invalid argument' "${somebody[@]}" -- on "$path" AttachNetwork ss br0 01:00:00:00:00:00
works "${somebody[@]}" -- on "$path" AttachNetwork ss br0 ''
card=$(sed -n 's/^o "\(.*\)"$/\1/p' <<<"$said")
grep -q '"00:16:3e:' <<<"$(property "$card" MacAddress)" || fail "the new card's address is $(property "$card" MacAddress)"
works "${somebody[@]}" -- on "$new" Detach
[ "$(store read "/local/domain/32000/backend/vbd/$domid/51728/state")" = 5 ] || fail "Detach wrote nothing"
store write "/local/domain/32000/backend/vbd/$domid/51728/state" 6
until_it_says 'Unknown object' said_of "$new"
[ -z "$(store read "/local/domain/$domid/device/vbd/51728/state" 2>/dev/null)" ] || fail "a detached disk left its front end"

# the store
works "${somebody[@]}" -- on /org/xenhost/store Write say /test/a 3 1 0 255
works "${somebody[@]}" -- on /org/xenhost/store Read s /test/a
[ "$said" = 'ay 3 1 0 255' ] || fail "Read says $said"
works "${somebody[@]}" -- on /org/xenhost/store List s /test
[ "$said" = 'as 1 "a"' ] || fail "List says $said"
refused 'No such file' "${somebody[@]}" -- on /org/xenhost/store Read s /test/none
refused 'you do not watch' "${somebody[@]}" -- on /org/xenhost/store Unwatch s /test
works "${somebody[@]}" -- on /org/xenhost/store Remove s /test
refused 'No such file' "${somebody[@]}" -- on /org/xenhost/store Read s /test/a
python3 - "$bus" "$dir" "$RUN" <<'EOT' || fail "a watch of the store"
import re, subprocess, sys
bus, folder, run = sys.argv[1:]
# gdbus and python3-dbus need not be there: busctl holds no connection, so the calls go by hand
import os, socket, struct
def align(b, n): return b + b"\0" * (-len(b) % n)
def string(s): return struct.pack("<I", len(s)) + s.encode() + b"\0"
def field(code, kind, value):
    v = string(value) if kind != "g" else bytes([len(value)]) + value.encode() + b"\0"
    return bytes([code, 1]) + kind.encode() + b"\0" + v
serial = 0
def call(s, dest, path, interface, member, arg=None):
    global serial
    serial += 1
    body = string(arg) if arg is not None else b""
    fields = [field(1, "o", path), field(2, "s", interface), field(3, "s", member), field(6, "s", dest)]
    if arg is not None: fields.append(field(8, "g", "s"))
    array = b""
    for f in fields: array = align(array, 8) + f
    head = struct.pack("<BBBBII", ord("l"), 1, 0, 1, len(body), serial) + struct.pack("<I", len(array)) + array
    s.sendall(align(head, 8) + body)
s = socket.socket(socket.AF_UNIX)
s.settimeout(120)
s.connect("\0" + re.search("abstract=([^,]*)", bus).group(1))
s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
assert s.recv(1000).startswith(b"OK")
s.sendall(b"BEGIN\r\n")
call(s, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
call(s, "org.xenhost", "/org/xenhost/store", "org.xenhost.Store1", "Watch", "/watched")
got = b""
# the first one comes at once, the next after a change
while got.count(b"Changed") < 1: got += s.recv(65536)
subprocess.run([run, "xenhost", "store", "--rundir", folder, "write", "/watched/x", "1"], check=True)
while b"/watched/x" not in got: got += s.recv(65536)
EOT
# there is no systemd on this bus: its absence is the answer
refused 'org.freedesktop.systemd1' "${somebody[@]}" -- StartGuest s one
refused 'only guests can be told' "${somebody[@]}" -- on \
	"$(busctl --address="$bus" call org.xenhost /org/xenhost org.xenhost.Host1 FindDomain s blkback |
		sed -n 's/^o "\(.*\)"$/\1/p')" Shutdown
works "${somebody[@]}" -- on "$path" Destroy
until_it_says "InterfacesRemoved" cat "$dir/signals"
refused 'Unknown object' "${somebody[@]}" -- on "$path" Destroy
daemon_forget "$guest"
wait "$guest" || :

# bridged comes and goes; what is there is shown again
daemon_end "$xenstored"
kill -KILL "$bridged"
daemon_forget "$bridged"
wait "$bridged" || :
status=0
end=$((SECONDS + 120))
daemon_start xenhost-bridged
while kill -0 "$dbusd" 2>/dev/null; do
	busctl --address="$bus" call org.xenhost /org/xenhost org.xenhost.Host1 FindDomain s netback >/dev/null 2>&1 && break
	[ "$SECONDS" -lt "$end" ] || fail "dbusd neither ends nor finds the new bridged"
	sleep 0.1
done
daemon_forget "$dbusd"
kill "$dbusd" 2>/dev/null || :
wait "$dbusd" || :
