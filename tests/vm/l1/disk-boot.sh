#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest of which there is nothing but a disk, a qcow2: GRUB, as a PVH image, finds the disk's own configuration and
# boots the kernel that lies there. Then a guest by a configuration as Xen's xl has it, in the background, and a dump of it.
#
# shellcheck disable=SC2086,SC2154 # no blanks in our paths

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"

# make_disk FILE: a file system with a kernel, its initramfs and GRUB's configuration
make_disk()
{
	truncate -s 160M $1
	mkfs.ext4 -q -F -O ^metadata_csum,^64bit $1
	mkdir -p $tmp/disk
	mount -o loop $1 $tmp/disk
	mkdir -p $tmp/disk/boot/grub
	cp $l2/vmlinuz-6.12 $tmp/disk/boot/vmlinuz
	cp $l2/initrd-6.12 $tmp/disk/boot/initrd
	head -c 1048576 /dev/urandom >$tmp/disk/boot/words
	words=$(digest $tmp/disk/boot/words)
	cat >$tmp/disk/boot/grub/grub.cfg <<-EOT
		set timeout=0
		echo "the disk's own configuration"
		ls (\$root)/boot/
		sha256sum /boot/words
		linux /boot/vmlinuz console=hvc0 quiet panic=-1 cryptomgr.notests xh_steps=xen
		initrd /boot/initrd
		boot
	EOT
	umount $tmp/disk
}

ended_well()
{
	wait_exit $pid 60 || return
	wait $pid
}

domain_gone()
{
	wait_end=$(($(uptime_s) + 60 * patience))
	while xenhost info --rundir $1 $2 >/dev/null 2>&1; do
		[ "$(uptime_s)" -lt "$wait_end" ] || return 1
		usleep 100000
	done
}

keep_core=${1:-no}
modprobe -a kvm-amd tun bridge loop ext4 2>/dev/null
export XENHOST_GRUB=$l2/grub-pvh
check disk make_disk $tmp/disk.img
check qcow2 qemu-img convert -f raw -O qcow2 $tmp/disk.img $tmp/disk.qcow2
: >$results/disk.log
xenhost run --rundir $tmp/run --memory 384M $tmp/disk.qcow2 >$results/disk.log 2>$results/disk.errors </dev/null &
pid=$!
check grub wait_line "the disk's own configuration" $results/disk.log $pid 120 ||
	tail -n 40 $results/disk.log $results/disk.errors
check grub-lists wait_line 'grub/.*initrd\|initrd.*grub/' $results/disk.log $pid 60 || tail -n 20 $results/disk.log
check grub-reads wait_line "$words" $results/disk.log $pid 60 || tail -n 20 $results/disk.log
check kernel wait_line '^ok xen' $results/disk.log $pid 240 || tail -n 40 $results/disk.log $results/disk.errors
check powers-off ended_well || tail -n 5 $results/disk.errors

cat >$tmp/xl.cfg <<EOT
type = "pvh"
name = "by-file"
kernel = "$l2/vmlinuz-6.12"
ramdisk = "$l2/initrd-6.12"
extra = "console=hvc0 quiet panic=-1 cryptomgr.notests xh_steps=xen,memory,input xh_wait=600"
memory = 256
vcpus = 1
disk = [ '$tmp/disk.img,raw,xvda,r', '$tmp/disk.img,raw,xvdb,r' ]
console_log = "$results/by-file.log"
EOT
: >$results/by-file.log
check detached xenhost run --detach --rundir $tmp/run2 $tmp/xl.cfg memory=192
check two-disks test "$(xenhost block --rundir $tmp/run2 list by-file | grep -c /disk.img)" = 2
check its-kernel wait_line '^ok xen' $results/by-file.log 1 120 || tail $results/by-file.log $tmp/run2/log
check log-command sh -c "xenhost log --rundir $tmp/run2 by-file | grep -q '^ok xen'"
check memory-of-the-command-line test "$(xenhost domain --rundir $tmp/run2 info by-file | sed -n 's/^memory: *//p')" = '192 MiB'
check dump xenhost dump-core --rundir $tmp/run2 by-file $results/core
check dump-of-its-kernel grep -aq "OSRELEASE=6[.]12" $results/core
check dump-of-its-memory grep -aq 'xh_steps=xen,memory,input' $results/core
# it goes on
check sysrq xenhost sysrq --rundir $tmp/run2 by-file h
check goes-on wait_line 'sysrq: HELP' $results/by-file.log 1 120 || tail $results/by-file.log
[ "$keep_core" = yes ] || rm -f $results/core
check destroy xenhost destroy --rundir $tmp/run2 --wait 60 by-file
check gone domain_gone $tmp/run2 by-file

# Debian's own example, with our paths in it and nothing else; it wants Xen's usual bridge. Its guest is told on the
# command line, as xl takes it too, to speak with us.
brctl addbr xenbr0
sed -e "s|/boot/vmlinuz|$l2/vmlinuz-6.12|" -e "s|#ramdisk = .*|ramdisk = '$l2/initrd-6.12'|" \
	-e "s|/dev/zvol/tank/guest-volume|$tmp/disk.img|" /example/xlexample.pvhlinux >$tmp/example.cfg
check example-file test -s $tmp/example.cfg || ls -l / $tmp
: >$results/example.log
xenhost run --rundir $tmp/run3 --console-log $results/example.log $tmp/example.cfg \
	'extra = "root=/dev/xvda1 console=hvc0 quiet panic=-1 cryptomgr.notests xh_steps=xen,input xh_wait=600"' \
	</dev/null >/dev/null 2>$results/example.errors &
pid=$!
check example wait_line '^ok xen' $results/example.log $pid 240 || tail -n 5 $results/example.log $results/example.errors
check example-as-it-says test "$(xenhost domain --rundir $tmp/run3 info example.pvhlinux | sed -n 's/^memory: *//p')" = '512 MiB'
check example-disk-and-card test "$(xenhost store --rundir $tmp/run3 ls /local/domain/1/device | tr '\n' ' ')" = 'vbd vif '
xenhost destroy --rundir $tmp/run3 --wait 60 example.pvhlinux
wait $pid
finish
