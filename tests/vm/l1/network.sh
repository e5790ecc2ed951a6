# SPDX-License-Identifier: MIT
# shellcheck shell=dash disable=SC2034,SC2086,SC2154
# The networks of two guests under xenhost supervise: one has a TAP (xh0), two has user-mode networking; cards on a
# bridge are plugged in. DHCP, TCP both ways, published ports, long frames, offloads switched and netbackd killed under
# connections, unplugging. /net-tools is iperf3 and ethtool with their libraries, for the guests. Sourced after
# toolstack.sh, by tests that have modules tun and bridge.

uplink=10.79.0 # what passt hands on: .1 is ours, .254 the gateway, which is us again for guests
bridge=10.78.0

# before the guests start
net_prepare()
{
	tunctl -t xh0 && brctl addbr up0 && ip addr add $uplink.1/24 dev up0 && ip link set up0 up &&
		ip route add default via $uplink.254 && brctl addbr xbr && ip link set xbr up &&
		ip addr add 10.77.0.1/24 dev xh0 && ip link set xh0 up || return
	mkdir -p $tmp/srv && tar -c -f $tmp/srv/tools.tar -C /net-tools . || return
	httpd -p 8000 -h $tmp/srv
	iperf3 -s -D
}

# in_guest NAME COMMAND: by its shell, which sees it in words: no * in it
in_guest()
{
	in_guest_name=$1
	shift
	ask $in_guest_name run "$*"
}

# again if it fails: passt gives a connection up when a slow guest leaves three repeats unanswered
fetch_tools()
{
	in_guest $1 "wait_for wget -q -O /tmp/tools.tar http://$2:8000/tools.tar && tar -x -f /tmp/tools.tar -C / && rm /tmp/tools.tar"
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

# ---- a connection that is open until it is told to end; both ends count ----

# stream_begin NAME HOST PAUSE: from the guest to port 9000 there, 64 KiB and so many microseconds by turns: what
# else is asked of the guests waits for a processor, and passt of 2023 stalls when it gets more than the other end takes.
stream_begin()
{
	in_guest $1 "rm -f /tmp/stream-end /tmp/stream-sent; head -c 65536 /dev/urandom >/tmp/block; ({ n=0; while [ ! -e /tmp/stream-end ] && cat /tmp/block && usleep $3; do n=\$((n + 65536)); done; echo \$n >/tmp/stream-sent; } 2>/dev/null | nc $2 9000 >/dev/null 2>&1) >/dev/null &"
}

# stream_end NAME: how much was sent is in $answer
stream_end()
{
	in_guest $1 "touch /tmp/stream-end && wait_for test -s /tmp/stream-sent && cat /tmp/stream-sent"
}

streams_begin()
{
	# Who listens has an input without an end: else it would hang up at once. It says something: passt of 2023 resets what a
	# guest began and nobody answered after 22 s.
	in_guest two "rm -f /tmp/stream-got; ({ echo; tail -f /dev/null; } | nc -l -p 9000 | wc -c >/tmp/stream-got) &" || return
	({ echo; tail -f /dev/null; } | nc -l -p 9000 | wc -c >$tmp/stream-got) &
	# until somebody listens
	in_guest two "wait_for sh -c 'netstat -ltn | grep -q :9000'" &&
		wait_for 30 sh -c 'netstat -ltn | grep -q :9000' &&
		stream_begin one $bridge.3 100000 && stream_begin two $uplink.254 100000
}

streams_end()
{
	stream_end one || return
	in_guest two "wait_for test -s /tmp/stream-got && same \$(cat /tmp/stream-got) $answer" || return
	stream_end two && wait_for 60 test -s $tmp/stream-got && same "$(cat $tmp/stream-got)" "$answer"
}

sent_bytes()
{
	xenhost net stat $1 $2 2>/dev/null | sed -n 's/^tx-bytes *//p'
}

# a back end that was killed counts from 0
has_sent()
{
	now=$(sent_bytes $1 $2) && [ "${now:-0}" -gt $3 ]
}

# both connections have got on by that much
streams_go_on()
{
	sent_one=$(sent_bytes one $card_one) sent_two=$(sent_bytes two 0)
	wait_for 60 has_sent one $card_one $((${sent_one:-0} + 200000)) &&
		wait_for 60 has_sent two 0 $((${sent_two:-0} + 200000))
}

# offloads on|off FEATURE...: and the connections go on. Without sg Linux's front end takes what fits a page alone.
offloads()
{
	offloads_to=$1
	shift
	in_guest one "for f in $*; do ethtool -K eth1 \$f $offloads_to || exit; done" && streams_go_on
}

toggle_offloads()
{
	offloads off tso gso gro && in_guest one "ip link set eth1 mtu 1500" && offloads off sg &&
		offloads on sg && in_guest one "ip link set eth1 mtu 9000" &&
		offloads on gro gso tso &&
		in_guest one "ethtool -k eth1 | grep -q '^tcp-segmentation-offload: on'"
}

kill_netbackd()
{
	for ended in $(seq $1); do
		streams_go_on && kill_daemon netbackd && start_daemon netbackd || return
		[ $((ended % 10)) != 0 ] || note "ended $ended times"
	done
	streams_go_on
}

# What a guest's ports are bound to must not come through user space; when the guests have ended
net_sends()
{
	grep -h '^evtchn-user-sends:' $results/supervise-one.log $results/supervise-two.log >$tmp/sends &&
		! grep -v 'bound=0$' $tmp/sends
}

# what a test does besides while both cards are on the bridge
net_more()
{
	:
}

# net_steps KILLS SECONDS: of each transfer
net_steps()
{
	check net/user-dhcp in_guest two "ip link set lo up && ip link set eth0 up && udhcpc -i eth0 -s /udhcpc -n -q -t 20 -T 3" || return
	check net/user-fetch fetch_tools two $uplink.254
	check net/iperf-serves in_guest two "iperf3 -s -D"
	check net/tap in_guest one "ip link set lo up && ip link set eth0 up && ip addr add 10.77.0.2/24 dev eth0"
	check net/tap-fetch fetch_tools one 10.77.0.1
	check net/plug-in-one plug_in one 2
	check net/plug-in-two plug_in two 3 || return
	check net/ping in_guest one "ping -c 3 -W 20 $bridge.3"
	check net/jumbo ping_jumbo
	check net/iperf-out in_guest one "iperf3 -c $bridge.3 -t $2"
	check net/iperf-in in_guest one "iperf3 -c $bridge.3 -t $2 -R"
	net_more
	if check net/streams streams_begin; then
		check net/offloads toggle_offloads
		check net/kills kill_netbackd $1
		check net/streams-whole streams_end
	fi
	check net/unplug unplug one
	check net/plug-in-again plug_in one 2
	check net/ping-again in_guest one "ping -c 3 -W 20 $bridge.3"
	check net/unplug-again unplug one
}
