#!/bin/sh
# SPDX-License-Identifier: MIT
# Disks of other kinds under a guest with fio: a qcow2 image that qemu-nbd serves, a disk of nbdkit's, and a slow
# device (dm-delay), which then has errors (dm-error) and is mended again: the guest waits and sees none of it.
# Argument: milliseconds that the slow device takes for each access.
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

make_images()
{
	truncate -s 16M $tmp/slow.img && truncate -s 12M $tmp/fio.img &&
		mkfs.ext4 -q -F -O ^has_journal -d /fio $tmp/fio.img && cp /images/qcow2.img $tmp/qcow2.img
}

serve()
{
	qemu-nbd --persistent --socket $tmp/qcow2.sock --format qcow2 --cache writeback $tmp/qcow2.img \
		2>$results/qemu-nbd.log &
	nbdkit --foreground -U $tmp/nbdkit.sock /usr/lib/nbdkit/nbdkit-memory-plugin.so 64M 2>$results/nbdkit.log &
	wait_for 60 test -S $tmp/qcow2.sock -a -S $tmp/nbdkit.sock
}

# map TARGET: the slow device is this from now on
map()
{
	dmsetup --noudevsync suspend slow && dmsetup --noudevsync reload slow --table "0 32768 $*" &&
		dmsetup --noudevsync resume slow
}

slow_device()
{
	loop=$(losetup -f) && losetup $loop $tmp/slow.img &&
		dmsetup --noudevsync create slow --table "0 32768 delay $loop 0 $ms" || return
	slow=/dev/$(basename /sys/block/dm-*)
	test -b $slow
}

fio_verify()
{
	# fio would make a file of what is not there
	ask one run test -b /dev/$1 "&&" LD_LIBRARY_PATH=/fio/lib /fio/fio --name=verify --rw=randwrite --bs=4k --ioengine=libaio --direct=1 \
		--thread --verify=crc32c --verify_fatal=1 --verify_state_save=0 --minimal --filename=/dev/$1 --size=$2M \
		--iodepth=16 ">/tmp/fio.out" "2>&1"
}

is_stopped()
{
	xenhost block stat one xvdd | grep -q 'stopped'
}

# every access fails: the disk stops; it is told to go on when it is mended
errors_and_mended()
{
	ask one verify-begin xvdd 1 30 2 || return
	map error || return
	wait_for 60 is_stopped && map delay $loop 0 $ms && xenhost block resume one xvdd &&
		ask one verify-end xvdd 0
}

ms=$1
modprobe -a kvm-amd loop ext4 dm_mod dm_delay 2>/dev/null
opend_more="writable = /dev/
nbd = unix:$tmp/*"
check daemons start_daemons
check images make_images
check servers serve
check slow-device slow_device
configure one "$cmdline" 'memory = 224M' 'vcpus = 1' "disk = $tmp/fio.img"
supervise one
check up up one 240
check attach-qcow2 xenhost block attach one "nbd+unix:///?socket=$tmp/qcow2.sock" xvdb
check attach-nbdkit xenhost block attach one "nbd+unix:///?socket=$tmp/nbdkit.sock" xvdc
check attach-slow xenhost block --set werror=stop --set rerror=stop attach one $slow xvdd
for disk in xvdb xvdc xvdd; do
	check has-$disk ask one has-disk $disk
done
check fio-mount ask one run "mkdir -p /fio && mount -r -t ext4 /dev/xvda /fio"
check qcow2 fio_verify xvdb 8
check nbdkit fio_verify xvdc 8
check slow fio_verify xvdd 1
check errors-and-mended errors_and_mended
check no-errors-seen ask one disk-errors
check poweroff xenhost domain shutdown one
check finished finished one 120
for daemon in netbackd blkbackd opend xenstored bridged; do
	check $daemon-ends stop_daemon $daemon
done
[ "$failed" = 0 ] || tail -n 30 $results/*.log
finish
