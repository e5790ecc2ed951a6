#!/bin/sh
# SPDX-License-Identifier: MIT
# The networks of two guests (network.sh) with KILLS (the argument) ends of xenhost-netbackd; cards of two queues, which
# both are used; iperf3 through passt, both ways and to a published port; small packets of UDP.
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"
# shellcheck source-path=SCRIPTDIR source=network.sh
. /network.sh

boot_limit=120

# used NUMBER: frames that the guest's card on the bridge has sent by this queue
used()
{
	xenhost net stat one $card_one $1 | sed -n 's/^tx-frames *//p'
}

# connections are spread over the queues by their ports
both_queues()
{
	in_guest one "test -d /sys/class/net/eth1/queues/tx-1 && iperf3 -c $bridge.3 -P 8 -t 4" || return
	note "frames by queue: $(used 0), $(used 1)"
	[ "$(used 0)" -gt 100 ] && [ "$(used 1)" -gt 100 ]
}

# most of them may be lost, as the sender is not slowed down; none may stop the card
small_packets()
{
	in_guest one "iperf3 -c $bridge.3 -u -b 0 -l 60 -t 10" && in_guest one "iperf3 -c $bridge.3 -u -b 0 -l 60 -t 10 -R" &&
		in_guest one "ping -c 3 -W 20 $bridge.3"
}

net_more()
{
	check net/user-tcp-out in_guest two "iperf3 -c $uplink.254 -t 2"
	check net/user-tcp-in in_guest two "iperf3 -c $uplink.254 -t 2 -R"
	check net/published-port iperf3 -c 127.0.0.1 -p 5301 -t 1
	check net/queues both_queues
	check net/small-packets small_packets
}

modprobe -a kvm-amd tun bridge 2>/dev/null
# L1 has one CPU, so it would be one
args_netbackd='--queues 2 --threads 2'
check daemons start_daemons
check net/prepare net_prepare
configure one "$cmdline" 'memory = 224M' 'vcpus = 2' 'net = tap=xh0'
configure two "$cmdline" 'memory = 224M' 'vcpus = 2' 'net = user' 'publish = 5301:5201'
supervise one
supervise two
check one/up up one $boot_limit
check two/up up two $boot_limit
net_steps $1 ${2:-2}
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
