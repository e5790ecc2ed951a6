#!/bin/sh
# SPDX-License-Identifier: MIT
# The networks of two guests under xenhost supervise: one has a TAP (xh0), two has user-mode networking; cards on a bridge are
# plugged in. DHCP, TCP both ways, published ports, long frames, offloads switched under traffic, kills of netbackd
# under a connection, unplugging. /net-tools is iperf3 and ethtool with their libraries, for the guests.
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

boot_limit=120
uplink=10.79.0 # what passt hands on: .1 is ours, .254 the gateway, which is us again for guests
bridge=10.78.0

# before the guests start
net_prepare()
{
	brctl addbr up0 && ip addr add $uplink.1/24 dev up0 && ip link set up0 up &&
		ip route add default via $uplink.254 && brctl addbr xbr && ip link set xbr up &&
		ip addr add 10.77.0.1/24 dev xh0 && ip link set xh0 up || return
	mkdir -p $tmp/srv && tar -c -f $tmp/srv/tools.tar -C /net-tools . || return
	# passt leaves its root behind by pivot_root(2), which cannot be done with that of an initramfs
	mkdir -p $tmp/root && mount --rbind / $tmp/root || return
	printf '#!/bin/sh\nexec chroot %s passt "$@"\n' $tmp/root >$tmp/passt && chmod +x $tmp/passt
	export XENHOST_PASST=$tmp/passt
	httpd -p 8000 -h $tmp/srv
	iperf3 -s -D
}

# in_guest NAME COMMAND: by its shell
in_guest()
{
	in_guest_name=$1
	shift
	ask $in_guest_name run "$*"
}

fetch_tools()
{
	in_guest $1 "wget -q -O /tmp/tools.tar http://$2:8000/tools.tar && tar -x -f /tmp/tools.tar -C / && rm /tmp/tools.tar"
}

# plug_in NAME HOST: a card on the bridge, whose number is then in card_NAME; long frames from the start
plug_in()
{
	number=$(xenhost net --bridge xbr --mtu 9000 --mac 00:16:3e:00:02:0$2 attach $1) || return
	eval "card_$1=$number"
	in_guest $1 "wait_for test -d /sys/class/net/eth1 && ip link set eth1 mtu 9000 up && ip addr add $bridge.$2/24 dev eth1"
}

unplug()
{
	eval "number=\$card_$1"
	xenhost net detach $1 $number && in_guest $1 "wait_for test ! -e /sys/class/net/eth1"
}

# 8900 bytes in one piece
ping_jumbo()
{
	in_guest one "ping -c 3 -W 20 -s 8900 $bridge.3 && same \$(awk '/^Ip: [0-9]/ { print \$19 }' /proc/net/snmp) 0"
}

toggle_offloads()
{
	in_guest one "iperf3 -c $bridge.3 -t 8 >/tmp/iperf & for v in off on off on; do for f in tso gso sg gro; do ethtool -K eth1 \$f \$v || exit; usleep 200000; done; done; wait \$! || tail -n 1 /tmp/iperf"
}

sent_bytes()
{
	xenhost net stat $1 $2 2>/dev/null | sed -n 's/^tx-bytes *//p'
}

has_sent()
{
	now=$(sent_bytes $1 $2) && [ "${now:-0}" -gt $3 ]
}

# kill_under NAME CARD SERVER: a TCP connection under way, two kills, and all of it arrives
kill_under()
{
	tell $1 run "iperf3 -c $3 -t 15 >/tmp/iperf || { tail -n 1 /tmp/iperf; false; }" || return
	kept_home=$home kept_number=$number
	for _ in 1 2; do
		before=$(sent_bytes $1 $2)
		wait_for 60 has_sent $1 $2 $((${before:-0} + 100000)) || return
		kill_daemon netbackd && start_daemon netbackd || return
	done
	before=$(sent_bytes $1 $2)
	wait_for 60 has_sent $1 $2 $((${before:-0} + 100000)) || return
	told=$1 home=$kept_home number=$kept_number
	answered
}

# What a guest's ports are bound to must not come through user space.
net_sends()
{
	grep -h '^evtchn-user-sends:' $results/supervise-one.log $results/supervise-two.log >$tmp/sends &&
		! grep -v 'bound=0$' $tmp/sends
}

net_steps()
{
	check net/user-dhcp in_guest two "ip link set lo up && ip link set eth0 up && udhcpc -i eth0 -s /udhcpc -n -q -t 20 -T 3" || return
	check net/user-fetch fetch_tools two $uplink.254
	check net/user-tcp-out in_guest two "iperf3 -c $uplink.254 -t 2"
	check net/user-tcp-in in_guest two "iperf3 -c $uplink.254 -t 2 -R"
	check net/published in_guest two "iperf3 -s -D" && check net/published-port iperf3 -c 127.0.0.1 -p 5301 -t 1
	check net/tap in_guest one "ip link set lo up && ip link set eth0 up && ip addr add 10.77.0.2/24 dev eth0"
	check net/tap-fetch fetch_tools one 10.77.0.1
	check net/plug-in-one plug_in one 2
	check net/plug-in-two plug_in two 3 || return
	check net/ping in_guest one "ping -c 3 -W 20 $bridge.3"
	check net/jumbo ping_jumbo
	check net/iperf-out in_guest one "iperf3 -c $bridge.3 -t 3"
	check net/iperf-in in_guest one "iperf3 -c $bridge.3 -t 3 -R"
	check net/offloads toggle_offloads
	check net/kills-tap kill_under one $card_one $bridge.3
	check net/kills-user kill_under two 0 $uplink.254
	check net/unplug unplug one
	check net/plug-in-again plug_in one 2
	check net/ping-again in_guest one "ping -c 3 -W 20 $bridge.3"
	check net/unplug-again unplug one
}

modprobe -a kvm-amd tun bridge 2>/dev/null
check daemons start_daemons
tunctl -t xh0 >/dev/null
check net/prepare net_prepare
configure one "$cmdline" 'memory = 224M' 'net = tap=xh0'
configure two "$cmdline" 'memory = 224M' 'net = user' 'publish = 5301:5201'
supervise one
supervise two
check one/up up one $boot_limit
check two/up up two $boot_limit
net_steps
for guest in one two; do
	check $guest/poweroff xenhost domain shutdown $guest
	check $guest/finished finished $guest 60
done
check net/sends-stay-in-kernel net_sends
cat $tmp/sends
for daemon in netbackd blkbackd opend xenstored bridged; do
	check $daemon-ends stop_daemon $daemon
done
[ "$failed" = 0 ] || tail -n 20 $results/*.log
finish
