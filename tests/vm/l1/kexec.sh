#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest starts another kernel (kexec) TIMES (the argument) times, one after another; the second argument is its
# number of vCPUs.
#
# shellcheck disable=SC2034,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

make_image()
{
	truncate -s 128M $tmp/one.img && mkfs.ext4 -q -F $tmp/one.img && mkdir -p $tmp/mnt &&
		mount -o loop $tmp/one.img $tmp/mnt && cp $l2/vmlinuz-6.12 $tmp/mnt/vmlinuz &&
		cp $l2/initrd-6.12 $tmp/mnt/initrd && umount $tmp/mnt
}

# the nodes of the next kernel have no answers yet
is_ready()
{
	node_is /local/domain/$id/data/result ready && not has_result /local/domain/$id/data/result-0
}

another_kernel()
{
	tell one kexec && wait_for 240 is_ready || return
	next_one=0
	ask one has-disk xvda
}

modprobe -a kvm-amd loop ext4 2>/dev/null
check daemons start_daemons
check image make_image
configure one "$cmdline" 'memory = 288M' "vcpus = ${2:-1}" "disk = $tmp/one.img"
supervise one
check up up one 240
id=$(domid_of one)
ask one time >/dev/null
for time in $(seq "$1"); do
	check kexec-$time another_kernel || break
done
check same-domain same "$(domid_of one)" $id
check reason same "$(reason_of one)" soft-reset
check poweroff xenhost domain shutdown one
check finished finished one 120
[ "$failed" = 0 ] || tail -n 30 $results/*.log
finish
