#!/bin/sh
# SPDX-License-Identifier: MIT
# Daemons are killed (kill -9) and started again while a guest writes to its disk: it sees no error, its
# data is right, and disks can be plugged in and out afterwards. Arguments: DAEMON TIMES...
#
# shellcheck disable=SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

# while the guest writes and has not answered yet
kill_while_writing()
{
	tell one disk-write 12 || return
	for _ in $(seq $2); do
		kill_daemon $1
		start_daemon $1 || return
	done
	answered && ask one disk-check
}

plug_in_and_out()
{
	truncate -s 16M $tmp/second.img && attach_disk one 51728 $tmp/second.img &&
		ask one has-disk xvdb && detach_disk one 51728 && ask one has-no-disk xvdb
}

modprobe -a kvm-amd loop ext4 2>/dev/null
truncate -s 64M $tmp/one.img
check daemons start_daemons
configure one "$cmdline" 'memory = 256M' "disk = $tmp/one.img"
supervise one
check up up one 120
check disk ask one disk-begin
while [ $# -gt 0 ]; do
	check $1/killed-$2-times kill_while_writing $1 $2
	check $1/hot-plug plug_in_and_out
	shift 2
done
check no-io-error ask one disk-errors
check guest-log ask one log
check destroy xenhost domain destroy one
check finished finished one 60
[ "$failed" = 0 ] || tail -n 20 $results/*.log
finish
