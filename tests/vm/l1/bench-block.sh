#!/bin/sh
# SPDX-License-Identifier: MIT
# fio in a guest that reads its disk at random, 4 KiB one at a time and 32: ours, and beside it QEMU 10 with its Xen
# disk and with virtio-blk. Same kernel, initramfs and image, in memory; in turns. Argument: seconds of each
# measurement, then rounds. Run by tests/bench/block-vm. Lines "GOAL name: measured (goal ...) met|MISSED".
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

line="quiet panic=-1 xh_steps=fio xh_fio=$1"

make_images()
{
	head -c 67108864 /dev/urandom >$tmp/data.img && truncate -s 12M $tmp/fio.img &&
		mkfs.ext4 -q -F -O ^has_journal -d /fio $tmp/fio.img
}

ours()
{
	rm -f $results/console-ours.log
	configure ours "append = console=hvc0 $line xh_tools=xvdb" 'memory = 224M' 'vcpus = 1' \
		"disk = $tmp/data.img" "disk = $tmp/fio.img"
	supervise ours
	finished ours 300 || return
	# requests and events of both depths
	note "$(grep '51712: disconnected' $results/blkbackd.log | tail -n 1)"
}

# qemu NAME OPTION...: with its console in a file
qemu()
{
	qemu_name=$1
	shift
	rm -f $results/console-$qemu_name.log
	timeout 400 /qemu/lib/ld-linux-x86-64.so.2 --library-path /qemu/lib /qemu/qemu-system-x86_64 \
		-L /qemu/share -nodefaults -no-user-config -display none -no-reboot -M pc -m 224 \
		-kernel $l2/vmlinuz-6.12 -initrd $l2/initrd-6.12 -object iothread,id=io0 \
		-chardev file,id=console,path=$results/console-$qemu_name.log \
		-drive if=none,id=data,file=$tmp/data.img,format=raw,file.locking=off,aio=threads \
		-drive if=none,id=fio,file=$tmp/fio.img,format=raw,file.locking=off,readonly=on \
		"$@" 2>$results/qemu-$qemu_name.errors </dev/null
}

xen_disk()
{
	qemu xen-disk -accel kvm,xen-version=0x40011,kernel-irqchip=split -cpu host,+xen-vapic \
		-device xen-console,chardev=console -device xen-disk,drive=data,vdev=xvda,iothread=io0 \
		-device xen-disk,drive=fio,vdev=xvdb \
		-append "console=hvc0 xen_emul_unplug=unnecessary no_timer_check $line xh_tools=xvdb"
}

virtio()
{
	qemu virtio -accel kvm -cpu host -serial chardev:console \
		-device virtio-blk-pci,drive=data,iothread=io0 -device virtio-blk-pci,drive=fio \
		-append "console=ttyS0 no_timer_check $line xh_disk=vda xh_tools=vdb xh_modules=virtio_pci,virtio_blk"
}

# rate NAME DEPTH: of its last guest
rate()
{
	tr -d '\r' <$results/console-$1.log | sed -n "s/^guest: fio depth $2: \([0-9]*\) reads.*/\1/p" | tail -n 1
}

# measured NAME: both figures are there, and are kept
measured()
{
	for depth in 1 32; do
		figure=$(rate $1 $depth)
		[ -n "$figure" ] || return
		note "$1, depth $depth: $figure reads/s"
		echo "$figure" >>$tmp/$1-$depth
	done
}

median()
{
	sort -n $tmp/$1 | sed -n "$((($(wc -l <$tmp/$1) + 1) / 2))p"
}

# goal NAME DEPTH PEER LEAST: in hundredths
goal()
{
	verdict=MISSED
	ratio=$(($(median ours-$2) * 100 / $(median $3-$2)))
	[ $ratio -lt $4 ] || verdict=met
	echo "GOAL $1: $((ratio / 100)).$(printf %02d $((ratio % 100))) (goal >= $(($4 / 100)).$(printf %02d $(($4 % 100)))) $verdict"
}

modprobe -a kvm-amd loop ext4 2>/dev/null
args_blkbackd=--verbose
check daemons start_daemons
check images make_images
for round in $(seq ${2:-1}); do
	for name in xen_disk virtio ours; do
		log=$(echo $name | tr _ -)
		check $log-$round $name
		check $log-figures-$round measured $log ||
			tail -n 20 $results/console-$log.log $results/qemu-$log.errors 2>/dev/null
	done
done
if [ "$failed" = 0 ]; then
	goal block-vm-qd1-to-xen-disk 1 xen-disk 150
	goal block-vm-qd32-to-xen-disk 32 xen-disk 200
	goal block-vm-qd1-to-virtio 1 virtio 100
	goal block-vm-qd32-to-virtio 32 virtio 100
fi
finish
