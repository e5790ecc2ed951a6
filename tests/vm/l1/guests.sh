#!/bin/sh
# SPDX-License-Identifier: MIT
# Guests' lives under xenhost supervise: two at once under one set of daemons, one of them with two
# vCPUs; reboot, crash, kexec, power off, each with what watchers of the store see of it; pause; the
# Xenstore from inside; their networks (network.sh).
#
# shellcheck disable=SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"
# shellcheck source-path=SCRIPTDIR source=network.sh
. /network.sh

boot_limit=120

# Who watches @releaseDomain asks how its domains ended, as xl does. It comes to that when it likes: by then
# a domain may be gone, or run another kernel.
watch_releases()
{
	: >$results/releases
	xenhost store watch @releaseDomain | while read -r _; do
		for id in 1 2 3 4; do
			reason=$(reason_of $id)
			[ -z "$reason" ] || echo "$id $reason"
		done >>$results/releases
	done &
}

# saw NAME REASON: a watcher of the domains was told so
saw()
{
	wait_for 60 grep -q " $1 .*shutdown: $2\$" $results/domains
}

# the newest that the watcher was told about it; by then the toolstack has written its nodes anew
last_is()
{
	grep " $1 " $results/domains | tail -n 1 | grep -q " $2\$"
}

# asked DOMID REASON: a watcher of @releaseDomain asked, and got this answer
asked()
{
	wait_for 60 grep -qx "$1 $2" $results/releases
}

one_line()
{
	cat $tmp/said
	same "$(wc -l <$tmp/said)" 1
}

name_busy()
{
	status=0
	xenhost-vmm --name one --kernel $l2/vmlinuz-6.12 --memory 160M 2>$tmp/said || status=$?
	one_line && same $status 1 && grep -q "refuses guest 'one': a domain of this name runs" $tmp/said
}

too_little_memory()
{
	status=0
	xenhost-vmm --name three --kernel $l2/vmlinuz-6.12 --memory 64M 2>$tmp/said || status=$?
	one_line && same $status 1 && grep -q 'too little memory: .* raise --memory' $tmp/said
}

too_much_memory()
{
	status=0
	xenhost-vmm --name three --kernel $l2/vmlinuz-6.12 --memory 1T 2>$tmp/said || status=$?
	one_line && same $status 1 && grep -q 'give it less with --memory or free some' $tmp/said
}

# what a reboot may not change
identity()
{
	id=$(domid_of "$1")
	xenhost store read /local/domain/$id/vm
	xenhost store read /local/domain/$id/device/vif/0/mac
}

confined()
{
	for process in /proc/[0-9]*; do
		case $(readlink $process/exe) in
		*/xenhost-vmm) ;;
		*) continue ;;
		esac
		same "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' $process/status)" 1 || return
		for thread in $process/task/*; do
			same "$(sed -n 's/^Seccomp:[[:space:]]*//p' $thread/status)" 2 || return
		done
		confined=yes
	done
	same "$confined" yes
}

# what has changed in the last five seconds is not kept
is_settled()
{
	[ $(($(date +%s) - $(stat -c %Z $1))) -gt 6 ]
}

# The kernel of a guest's second start is not unpacked again: its vmm has read its initramfs, and no packed kernel.
kernel_was_kept()
{
	kept=$(find $HOME/.cache/xenhost/kernels -name 'kernel-*' | wc -l)
	for process in /proc/[0-9]*; do
		case $(readlink $process/exe) in *xenhost-vmm) ;; *) continue ;; esac
		tr '\0' ' ' <$process/cmdline | grep -q -- '--name one ' || continue
		bytes=$(sed -n 's/^rchar: //p' $process/io)
	done
	initrd=$(stat -c %s $l2/initrd-6.12)
	echo "$kept kept, it has read $bytes bytes, $initrd of them its initramfs"
	[ $kept = 1 ] && [ $bytes -ge $initrd ] && [ $bytes -lt $((initrd + 4000000)) ]
}

# Several look, each may type; the log and the terminal have it too.
console_shows()
{
	for viewer in 1 2; do
		xenhost console one >$tmp/viewer-$viewer </dev/null &
		viewers="$viewers $!"
	done
	ask one cpus 1 || return
	for place in $tmp/viewer-1 $tmp/viewer-2 $results/console-one.log $tmp/tty; do
		wait_for 60 grep -q 'guest: command .*: cpus 1: 0' $place || return
	done
}

console_takes()
{
	tell one console-read || return
	echo "typed by a viewer" | xenhost console one >$tmp/viewer-3 &
	viewers="$viewers $!"
	answered && same "$answer" "typed by a viewer"
}

# what the host gives for the memory of guest two, in KiB
given()
{
	for fd in /proc/[0-9]*/fd/*; do
		case $(readlink $fd) in *memfd:xenhost-ram*) ;; *) continue ;; esac
		process=${fd%/fd/*}
		tr '\0' ' ' <$process/cmdline | grep -q -- '--name two ' || continue
		echo $(($(stat -L -c %b $fd) / 2))
		return
	done
}

# the guest does not count what its kernel keeps for itself: less than the target by a constant
has_now()
{
	ask two balloon && same "$answer" "$1"
}

# memory/target is answered by the guest's kernel, and the host has what was given away; but for a page now and
# then: the host cannot take one out of a huge page that is in use at that moment
balloon()
{
	id=$(domid_of two)
	before=$(given)
	ask two balloon || return
	all=$answer
	xenhost store write /local/domain/$id/memory/target 180224 || return
	wait_for 60 has_now $((all - 49152)) || return
	small=$(given)
	xenhost store write /local/domain/$id/memory/target 229376 || return
	wait_for 60 has_now $all || return
	after=$(given)
	note "memory of the guest in the host, KiB: $before, $small, $after"
	[ $small -ge 180224 ] && [ $small -le 181248 ] && same "$before $after" "229376 229376"
}

# A paused guest does nothing: what it is told before is answered when it goes on.
pause_and_go_on()
{
	xenhost domain pause two && wait_for 30 is_state two paused || return
	tell two cpus 2 || return
	# an ordering fence: the other guest has been served completely since
	tell_home=$home tell_number=$number
	ask one cpus 1 || return
	if has_result $tell_home/result-$tell_number; then
		echo "a paused guest answered"
		return 1
	fi
	xenhost domain unpause two && wait_for 30 is_state two running || return
	told=two home=$tell_home number=$tell_number
	answered
}

is_state()
{
	xenhost domain info "$1" | grep -q "^state: *$2"
}

make_image()
{
	truncate -s 128M $tmp/one.img && mkfs.ext4 -q -F $tmp/one.img && mkdir -p $tmp/mnt &&
		mount -o loop $tmp/one.img $tmp/mnt && cp $l2/vmlinuz-6.12 $tmp/mnt/vmlinuz &&
		cp $l2/initrd-6.12 $tmp/mnt/initrd && umount $tmp/mnt
}

# the next kernel's disk is the old one
disk_is_the_same()
{
	words=$(head -c 1048576 $l2/vmlinuz-6.12 | sha256sum | cut -d ' ' -f 1)
	ask one run "mount -t ext4 /dev/xvda /mnt && head -c 1048576 /mnt/vmlinuz | sha256sum && umount /mnt" || return
	case $answer in "$words"*) ;; *) return 1 ;; esac
}

nothing_left()
{
	same "$(xenhost domain list | grep -c ' guest ')" 0 && same "$(xenhost store ls /vm | wc -l)" 0
}

# A back end of somebody's own (examples/, built outside against an installed copy) and a program in the guest,
# which has its pages, events and store of its own kernel alone.
upper_device()
{
	upper-backend bridge:$run/bridge/upper.sock 2>>$results/upper.log &
	upper=$!
	attach_front_nodes='' attach_back_nodes=''
	attach one upper 0 $upper_domid || return
	ask one upper device/upper/0 somebody.elses.protocol || return
	same "$answer" SOMEBODY.ELSES.PROTOCOL || return
	# the guest has all its pages back
	xenhost grant list one >$tmp/grants || return
	not grep -q ' upper ' $tmp/grants || return
	xenhost store rm $attach_back && xenhost store rm $attach_front || return
	kill $upper
	wait $upper
	same $? 143
}

# busybox's grep -F ends a line at a zero byte, and without -F it takes minutes
dump_holds()
{
	tr -d '\000' <$tmp/core | grep -qF "$1"
}

modprobe -a kvm-amd tun bridge loop ext4 2>/dev/null
upper_domid=32010
args_bridged=--service=upper=$upper_domid
args_xenstored=$args_bridged
check daemons start_daemons
check image make_image
check net/prepare net_prepare
configure one "$cmdline" 'memory = 288M' "disk = $tmp/one.img" 'net = tap=xh0' \
	'on-crash = preserve' "console-pty = $tmp/pty-one"
configure two "$cmdline" 'memory = 224M' 'vcpus = 2' 'on-poweroff = preserve' 'net = user' 'publish = 5301:5201'
check settled wait_for 30 is_settled $l2/vmlinuz-6.12
watch_releases
xenhost domain watch >$results/domains &
supervise one
supervise two
check one/up up one $boot_limit
check two/up up two $boot_limit
check two/two-vcpus ask two cpus 2
check one/one-vcpu ask one cpus 1
check name-busy name_busy
check too-little-memory too_little_memory
check too-much-memory too_much_memory
check confined confined
cat <$tmp/pty-one >$tmp/tty &
check console-tty test "$(readlink $tmp/pty-one)" = "$(xenhost store read /local/domain/$(domid_of one)/console/tty)"
check one/own-back-end upper_device
check console-shows console_shows
check console-takes console_takes
check two/balloon balloon
check two/pause pause_and_go_on
net_steps 2 1

# a new domain, the same guest
before=$(identity one)
old=$(domid_of one)
check one/reboot tell one reboot
check one/up-again up one $boot_limit $old
check one/kernel-kept kernel_was_kept
check one/reboot-seen saw one reboot
check one/reboot-asked asked $old reboot
# late: it is gone, and its successor is up
check one/reboot-known same "$(reason_of $old)" reboot
check one/reboot-gone is_state $old gone
check one/identity same "$(identity one)" "$before"

check one/kexec tell one kexec
old=$(domid_of one)
check one/kexec-seen saw one soft-reset
check one/other-kernel wait_for 60 last_is one running
check one/other-kernel-up wait_for $boot_limit node_is /local/domain/$old/data/result ready
check one/kexec-asked asked $old soft-reset
check one/kexec-known same "$(reason_of one)" soft-reset
next_one=0
check one/other-kernel-disk ask one has-disk xvda
check one/other-kernel-reads disk_is_the_same
check one/same-domain same "$(domid_of one)" $old

check two/poweroff xenhost domain shutdown two
check two/poweroff-seen saw two poweroff
check two/poweroff-asked asked $(domid_of two) poweroff
check two/kept is_state two 'shutdown'
check two/removed xenhost domain destroy two
check two/finished finished two 30
check two/status same $supervisor_status 0

check one/crash tell one crash
check one/crash-seen saw one crash
check one/crash-asked asked $old crash
check one/dump-when-crashed xenhost dump-core one $tmp/core
check one/dump-has-its-words dump_holds 'Kernel panic - not syncing: sysrq triggered crash'
rm -f $tmp/core
check one/destroy xenhost domain destroy one
check one/finished finished one 30
check one/status same $supervisor_status 4
check one/crash-known same "$(reason_of $old)" crash
check nothing-left nothing_left
check net/sends-stay-in-kernel net_sends
for daemon in netbackd blkbackd opend xenstored bridged; do
	check $daemon-ends stop_daemon $daemon
done
[ "$failed" = 0 ] || tail -n 20 $results/*.log
finish
