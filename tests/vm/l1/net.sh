#!/bin/sh
# SPDX-License-Identifier: MIT
# The networks of two guests (network.sh) with KILLS (the argument) ends of xenhost-netbackd.
#
# shellcheck disable=SC2034,SC2086,SC2154 # no blanks in our paths, variables of what is sourced

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"
# shellcheck source-path=SCRIPTDIR source=network.sh
. /network.sh

boot_limit=120

modprobe -a kvm-amd tun bridge 2>/dev/null
check daemons start_daemons
check net/prepare net_prepare
configure one "$cmdline" 'memory = 224M' 'net = tap=xh0'
configure two "$cmdline" 'memory = 224M' 'net = user' 'publish = 5301:5201'
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
