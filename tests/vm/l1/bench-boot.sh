#!/bin/sh
# SPDX-License-Identifier: MIT
# What a boot costs: exits to user space of quiet boots, memory of the vmm beside the guest's, time from the
# start of the vmm's process to the guest's first one (with --icount a nanosecond is an instruction), beside
# QEMU's Xen emulation with the same kernel, initramfs and parameters. Run by tests/bench/boot. Lines
# "GOAL name: measured (goal ...) met|MISSED".
#
# shellcheck disable=SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

# goal NAME MEASURED LIMIT UNIT: at most
goal()
{
	verdict=met
	[ "$2" -le "$3" ] || verdict=MISSED
	echo "GOAL $1: $2 $4 (goal <= $3) $verdict"
}

# hundredths of a second
now()
{
	read -r up _ </proc/uptime
	echo $up | tr -d .
}

exits_of()
{
	sed -n 's/^exits: hypercall=\([0-9]*\) .*/\1/p' $results/supervise-$1.log
}

# the process of a guest's vmm
vmm_pid()
{
	for process in /proc/[0-9]*; do
		case $(readlink $process/exe) in
		*/xenhost-vmm) echo ${process#/proc/} ;;
		esac
	done
}

# KiB of the vmm that are not the guest's memory
own_memory()
{
	cp /proc/$1/smaps $results/smaps-$2
	awk '/^[0-9a-f]+-[0-9a-f]+ / { guest = /memfd:xenhost/ }
		/^Rss:/ && !guest { sum += $2 } END { print sum }' /proc/$1/smaps
}

# since_start PID: hundredths of a second since it was forked
since_start()
{
	echo $(($(now) - $(sed 's/.*) //' /proc/$1/stat | cut -d ' ' -f 20)))
}

# is_up: of the console on our input; without looking again and again, which would be counted
is_up()
{
	while read -r line; do
		case $line in
		'guest: '*' is up after'*) return ;;
		esac
	done
	return 1
}

# boot NAME VCPUS PARAMETERS: to the first process, then off; in $took how long that was, in ms
boot()
{
	configure $1 "append = console=hvc0 quiet panic=-1 $3 xh_steps=commands" 'memory = 224M' "vcpus = $2" \
		"console-pty = $tmp/pty-$1"
	supervise $1
	wait_for 60 test -e $tmp/pty-$1 && is_up <$tmp/pty-$1 || return
	pid=$(vmm_pid)
	took=$(($(since_start $pid) * 10))
	up $1 300 && memory=$(own_memory $pid $1) && tell $1 poweroff && finished $1 300
}

# qemu_boot NAME PARAMETERS: the peer, by direct kernel boot
qemu_boot()
{
	mkfifo $tmp/console-$1
	/qemu/lib/ld-linux-x86-64.so.2 --library-path /qemu/lib /qemu/qemu-system-x86_64 \
		-L /qemu/share -nodefaults -no-user-config -display none -no-reboot -M pc -m 224 \
		-accel kvm,xen-version=0x40011,kernel-irqchip=split -cpu host,+xen-vapic \
		-kernel $l2/vmlinuz-6.12 -initrd $l2/initrd-6.12 \
		-chardev file,id=console,path=$tmp/console-$1 -device xen-console,chardev=console \
		-append "console=hvc0 quiet panic=-1 $2 xen_emul_unplug=never xh_steps=xen" \
		2>$results/qemu.errors </dev/null &
	qemu=$!
	exec 7<$tmp/console-$1
	is_up <&7 || return
	theirs=$(($(since_start $qemu) * 10))
	cat <&7 >$results/qemu.log
	wait_exit $qemu 300
}

# compare NAME PARAMETERS: ours and theirs, with these parameters of the kernel; in $percent
compare()
{
	percent=
	check $1/qemu-10 qemu_boot $1 "$2" || {
		cat $results/qemu.errors
		kill -9 $qemu 2>/dev/null
		return
	}
	check $1/ours boot $1 1 "$2" || return
	percent=$((took * 100 / theirs))
	note "$1: to the first process $took ms, QEMU 10's Xen emulation $theirs ms: $percent %"
}

modprobe kvm-amd
check daemons start_daemons
# a file that is younger than 5 s is not kept unpacked
sleep 10
# the first start of all unpacks the kernel
check first boot first 1 ''
note "first: to the first process $took ms, unpacking the kernel"
compare defaults ''
# most of what the kernel does by itself until then is testing its own cryptography
compare no-selftests cryptomgr.notests
[ -z "$percent" ] || goal boot-instructions-of-qemu $percent 60 %
for vcpus in 1 2 4; do
	name=with$vcpus
	check $name boot $name $vcpus '' || continue
	case $vcpus in
	1) most=40 ;;
	2) most=60 ;;
	4) most=115 ;;
	esac
	goal boot-exits-$vcpus "$(exits_of $name)" $most exits
	note "boot-time-$vcpus: $took ms to the first process"
	[ $vcpus != 1 ] || goal vmm-memory "$memory" 4096 KiB
done
finish
