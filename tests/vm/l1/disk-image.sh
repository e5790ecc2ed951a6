#!/bin/sh
# SPDX-License-Identifier: MIT
# README's guest with a disk: what scripts/guest-image made boots by its own GRUB configuration, and one logs in over ssh. Its
# kernel is upgraded by its package, and the guest reboots into it. The files are /image/debian.qcow2, key, kernel.deb.
#
# shellcheck disable=SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"

# in_guest COMMAND: over ssh; the guest may still boot
in_guest()
{
	ssh -p 2222 -i $tmp/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		-o ConnectTimeout=20 root@127.0.0.1 "$@"
}

# up SECONDS VERSION: it answers, with that kernel
up()
{
	wait_end=$(($(uptime_s) + $1))
	until case $(in_guest uname -r </dev/null 2>$results/ssh) in $2*) true ;; *) false ;; esac; do
		[ "$(uptime_s)" -lt "$wait_end" ] && kill -0 $pid || return
		sleep 1
	done
}

copy()
{
	in_guest 'cat >/root/kernel.deb' </image/kernel.deb
}

# with the modules that this guest uses: all of them are for half an hour of the emulator
upgrade()
{
	in_guest 'echo MODULES=dep >/etc/initramfs-tools/conf.d/small && dpkg -i /root/kernel.deb' </dev/null
}

modprobe -a kvm-amd tun ext4 2>/dev/null
ifconfig lo up
# passt wants a network to hand on
ip link add up0 type dummy 2>/dev/null || brctl addbr up0
ip addr add 10.77.5.2/24 dev up0 && ip link set up0 up && ip route add default via 10.77.5.1
export XENHOST_GRUB=$l2/grub-pvh
cp /image/key $tmp/key && chmod 600 $tmp/key
: >$results/console.log
xenhost run --rundir $tmp/run --memory 768M --net user --publish 2222:22 --console-log $results/console.log \
	/image/debian.qcow2 >/dev/null 2>$results/errors </dev/null &
pid=$!
check login up 1200 6.1. || tail -n 20 $results/errors $results/console.log
check its-own-root in_guest 'findmnt -n -o SOURCE / | grep -x /dev/xvda' </dev/null
check copy-the-kernel copy
note "copied at $(uptime_s) s"
check upgrade-the-kernel upgrade || tail -n 20 $tmp/why
note "upgraded at $(uptime_s) s"
in_guest reboot </dev/null
check boots-the-new-kernel up 1200 6.12. || tail -n 20 $results/errors $results/console.log
in_guest poweroff </dev/null
check powers-off wait_exit $pid 300
finish
