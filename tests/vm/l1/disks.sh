#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest's disks, three of two queues each and one with fio on it: file system, trim, resize while it is used, fio
# that verifies what it reads while xenhost-blkbackd is killed KILLS (the argument) times, unplug and plug in the
# middle of requests. Then what all that cost: no event that the guest sent reached user space, and of exits
# there are few for each request.
#
# shellcheck disable=SC2004,SC2016,SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

requests=0
exits_most=50 # for 1000 requests, with those of the boot and of disks that come and go

make_images()
{
	for image in one two three; do
		truncate -s 64M $tmp/$image.img || return
	done
	make_fio $tmp/fio.img
}

used_kib()
{
	sync
	du -k $tmp/one.img | cut -f 1
}

# what a file leaves behind goes back to the host's file system
trim()
{
	ask one disk-write 8 || return
	before=$(used_kib)
	ask one fstrim || return
	after=$(used_kib)
	note "KiB of the image before and after fstrim: $before, $after"
	[ $after -lt $((before - 6000)) ]
}

has_size()
{
	ask one disk-size xvdb && same "$answer" $1
}

resize()
{
	truncate -s 96M $tmp/two.img && xenhost block resize one xvdb && wait_for 60 has_size 196608
}

# DISK MIB: writes all of it at random and reads it back
fio_verify()
{
	ask one run test -b /dev/$1 "&&" $fio --filename=/dev/$1 --size=$2M --iodepth=32 ">/tmp/fio.out" "2>&1"
}

# what the running xenhost-blkbackd has answered
count_requests()
{
	for disk in xvda xvdb xvdc; do
		n=$(xenhost block stat one $disk 2>/dev/null | sed -n 's/^requests  *//p')
		requests=$((requests + ${n:-0}))
	done
}

kill_under_fio()
{
	fio_begin || return
	for time in $(seq $kills); do
		ask one verify xvdc 2 1 4 && count_requests || return
		kill_daemon blkbackd
		start_daemon blkbackd || return
	done
	ask one run "test ! -e /tmp/fio-status" &&
		fio_end "xenhost-blkbackd was killed $kills times" && ask one disk-errors
}

unplug_under_load()
{
	ask one verify-begin xvdc 8 60 4 || return
	xenhost block --timeout 5 --force detach one xvdc || return
	ask one verify-end xvdc 1 || return
	ask one has-no-disk xvdc && xenhost block attach one $tmp/three.img xvdc &&
		ask one has-disk xvdc && ask one verify xvdc 2 1 4
}

two_queues()
{
	for disk in xvda xvdb xvdc; do
		ask one has-disk $disk && ask one disk-queues $disk && same "$answer" 2 || return
	done
}

# of the lines that the vmm leaves
sends_in_user_space()
{
	sed -n 's/^evtchn-user-sends: total=\([0-9]*\) .*/\1/p' $results/supervise-one.log
}

no_send_in_user_space()
{
	same "$(sends_in_user_space)" 0
}

few_exits()
{
	exits=$(sed -n 's/^exits: hypercall=\([0-9]*\) io=[0-9]* mmio=\([0-9]*\) other=\([0-9]*\)$/\1+\2+\3/p' \
		$results/supervise-one.log)
	[ -n "$exits" ] && [ $requests -gt 1000 ] || return
	exits=$((($exits) * 1000 / requests))
	note "exits to user space for 1000 requests, with the boot and all plugging: $exits ($requests requests)"
	[ $exits -le $exits_most ]
}

kills=$1
modprobe -a kvm-amd loop ext4 2>/dev/null
# L1 has one CPU, so it would be one
args_blkbackd=--queues=2
check daemons start_daemons
check images make_images
configure one "$cmdline" 'memory = 224M' 'vcpus = 2' "disk = $tmp/one.img"
supervise one
check up up one 240
check attach-two xenhost block attach one $tmp/two.img xvdb
check attach-three xenhost block attach one $tmp/three.img xvdc
check attach-fio xenhost block --read-only attach one $tmp/fio.img xvdd
check queues two_queues
check mkfs ask one disk-begin
check write ask one disk-write 4
check read ask one disk-check
check trim trim
check umount ask one disk-end
check resize resize
check fio-mount mount_fio
check fio fio_verify xvdb 8
check fio-queues fio_verify xvdc 4
count_requests
check kills kill_under_fio
check unplug unplug_under_load
count_requests
xenhost block list one >$results/disks
check poweroff xenhost domain shutdown one
check finished finished one 120
check sends-of-events-in-user-space no_send_in_user_space
check exits few_exits
for daemon in netbackd blkbackd opend xenstored bridged; do
	check $daemon-ends stop_daemon $daemon
done
[ "$failed" = 0 ] || tail -n 30 $results/*.log
finish
