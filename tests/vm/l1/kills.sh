#!/bin/sh
# SPDX-License-Identifier: MIT
# Daemons are killed (kill -9) and started again, in turn, while a guest writes to its disk and reads what it
# wrote all the time: it sees no error, its data is right, disks can be plugged in and out afterwards, and it
# hears control/shutdown. Arguments: TIMES DAEMON...
#
# shellcheck disable=SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

# by the file it runs, as names in ps are cut short
pid_of()
{
	for process in /proc/[0-9]*; do
		case $(readlink $process/exe) in
		*/xenhost-$1) echo ${process#/proc/}; return ;;
		esac
	done
	return 1
}

is_another()
{
	fresh=$(pid_of $1) && [ "$fresh" != $2 ]
}

# kill_one DAEMON: and wait until xenhost run has started it again and it answers
kill_one()
{
	victim=$(pid_of $1) && kill -9 $victim && wait_for 60 is_another $1 $victim &&
		wait_for 60 xenhost domain info one && wait_for 60 xenhost store ls /local/domain
}

kill_in_turn()
{
	for _ in $(seq $killing); do
		for daemon in $daemons; do
			kill_one $daemon || return
		done
	done
}

# while it is killed: more rounds than before, and none was wrong
has_written()
{
	ask one disk-loop-rounds || return
	now=$answer
	[ "$now" -gt "$rounds" ] && rounds=$now
}

plug_in_and_out()
{
	truncate -s 16M $tmp/second.img && attach_disk one 51728 $tmp/second.img &&
		ask one has-disk xvdb && detach_disk one 51728 && ask one has-no-disk xvdb
}

modprobe -a kvm-amd loop ext4 2>/dev/null
truncate -s 64M $tmp/one.img
xenhost run --name one --rundir $run --kernel $l2/vmlinuz-6.12 --initrd $l2/initrd-6.12 --memory 256M \
	--disk $tmp/one.img --append "${cmdline#append = }" >$results/console-one.log \
	2>$results/run-one.log </dev/null &
pid_one=$!
next_one=0
check up up one 120
check disk ask one disk-begin
check disk-loop ask one disk-loop
times=$1 killed=0 rounds=0
shift
daemons=$*
while [ $killed -lt $times ]; do
	# xenhost run takes a daemon that dies more often than five times a minute for broken
	[ $killed = 0 ] || sleep 62
	killing=$((times - killed > 5 ? 5 : times - killed))
	killed=$((killed + killing))
	check "killed-$killed-times ($daemons)" kill_in_turn || break
	check has-written-$killed wait_for 120 has_written
	check hot-plug-$killed plug_in_and_out
done
check disk-loop-end ask one disk-loop-end
note "the guest wrote and read 8 MiB $answer times"
check no-io-error ask one disk-errors
check guest-log ask one log
# a guest that the killed ones serve still hears of it
check poweroff xenhost domain shutdown one
check finished finished one 60
[ "$failed" = 0 ] || tail -n 20 $results/*.log
finish
