#!/bin/sh
# SPDX-License-Identifier: MIT
# Guests that are not the usual Linux with little memory: GRUB's PVH image, which is small and 32-bit,
# comes to its prompt; a guest with 5 GiB, most of it above 4 GiB and never touched, comes up.
#
# shellcheck disable=SC2086,SC2154 # no blanks in our paths

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"

run_guest()
{
	log=$results/$1.log
	shift
	: >$log
	xenhost run --rundir $tmp/run "$@" >$log 2>$log.errors </dev/null &
	pid=$!
}

end_guest()
{
	kill $pid
	wait $pid
} 2>/dev/null

# what the vmm has of the guest's memory in use, in MiB
used()
{
	for fd in /proc/[0-9]*/fd/*; do
		case $(readlink $fd) in
		*memfd:xenhost-ram*) echo $(($(stat -L -c %b $fd) / 2048)); return ;;
		esac
	done
}

knows_its_memory()
{
	total=$(tr -d '\r' <$log | sed -n 's/^guest: memory //p')
	[ "$total" -gt 4900 ] || {
		echo "the guest has $total MiB"
		return 1
	}
}

modprobe -a kvm-amd tun loop ext4 2>/dev/null
mkdir -p $tmp/run
run_guest grub --kernel $l2/grub-pvh --memory 128M
check grub-prompt wait_line 'grub>' $log $pid 90 || cat $log $log.errors
end_guest
if grep 'which is not known here' $log.errors; then
	fail grub-hypercalls: some are not answered
else
	ok grub-hypercalls
fi

run_guest large --kernel $l2/vmlinuz-6.12 --initrd $l2/initrd-6.12 --memory 5G --sparse \
	--append 'console=hvc0 quiet panic=-1 cryptomgr.notests xh_steps=xen,memory,input xh_wait=60'
check large-up wait_line '^guest: memory' $log $pid 120 || cat $log $log.errors
check large-memory knows_its_memory
large=$(used)
echo "a guest of 5 GiB uses $large MiB"
check large-untouched test "$large" -lt 600
end_guest
finish
