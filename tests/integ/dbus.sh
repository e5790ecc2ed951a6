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
		interface=org.xenhost.Domain1
		shift 2
	fi
	status=0
	said=$("${as[@]}" busctl --address="$bus" --timeout=60 call org.xenhost "$path" "$interface" "$@" 2>&1) || status=$?
}

# property PATH NAME
property()
{
	"${somebody[@]}" busctl --address="$bus" get-property org.xenhost "$1" org.xenhost.Domain1 "$2"
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
daemon_end "$dbusd"

# who may command
start_dbusd --command "$group"
until_it_says 'loop-0' busctl --address="$bus" call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains
works "${somebody[@]}" -- on "$path" Shutdown
[ "$("$RUN" xenhost store --rundir "$dir" read "/local/domain/$domid/control/shutdown")" = poweroff ] ||
	fail "Shutdown wrote nothing"
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
