#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest's three disks of two queues each: file system, trim, resize while it is used, unplug and plug in the middle
# of requests, and KILLS (the argument) ends of xenhost-blkbackd under a load that verifies what it reads.
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

make_images()
{
	for image in one two three; do
		truncate -s 64M $tmp/$image.img || return
	done
}

used_kib()
{
	sync
	du -k $tmp/one.img | cut -f 1
}

# what a file leaves behind goes back to the host's file system
trim()
{
	ask one disk-write 16 || return
	before=$(used_kib)
	ask one fstrim || return
	after=$(used_kib)
	note "KiB of the image before and after fstrim: $before, $after"
	[ $after -lt $((before - 12000)) ]
}

has_size()
{
	ask one disk-size xvdb && same "$answer" $1
}

resize()
{
	truncate -s 96M $tmp/two.img && xenhost block resize one xvdb && wait_for 60 has_size 196608
}

kill_under_load()
{
	ask one verify-begin xvdb 48 $((5 + kills * 5)) 8 || return
	for time in $(seq $kills); do
		ask one verify xvdc 8 3 4 || return
		kill_daemon blkbackd
		start_daemon blkbackd || return
	done
	ask one verify-end xvdb 0 && ask one disk-errors
}

unplug_under_load()
{
	ask one verify-begin xvdc 8 60 4 || return
	xenhost block --timeout 5 --force detach one xvdc || return
	ask one verify-end xvdc 1 || return
	ask one has-no-disk xvdc && xenhost block attach one $tmp/three.img xvdc &&
		ask one has-disk xvdc && ask one verify xvdc 8 2 4
}

two_queues()
{
	for disk in xvda xvdb xvdc; do
		ask one has-disk $disk && ask one disk-queues $disk && same "$answer" 2 || return
	done
}

kills=$1
modprobe -a kvm-amd loop ext4 2>/dev/null
# L1 has one CPU, so it would be one
args_blkback=--queues=2
check daemons start_daemons
check images make_images
configure one "$cmdline" 'memory = 224M' 'vcpus = 2' "disk = $tmp/one.img"
supervise one
check up up one 240
check attach-two xenhost block attach one $tmp/two.img xvdb
check attach-three xenhost block attach one $tmp/three.img xvdc
check queues two_queues
check mkfs ask one disk-begin
check write ask one disk-write 8
check read ask one disk-check
check trim trim
check umount ask one disk-end
check resize resize
check verify ask one verify xvdb 64 5 8
check kills kill_under_load
check unplug unplug_under_load
xenhost block list one >$results/disks
check poweroff xenhost domain shutdown one
check finished finished one 120
for daemon in netbackd blkbackd opend xenstored bridged; do
	check $daemon-ends stop_daemon $daemon
done
[ "$failed" = 0 ] || tail -n 30 $results/*.log
finish
