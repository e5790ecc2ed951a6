#!/bin/sh
# SPDX-License-Identifier: MIT
# Guests of ours that mean harm (tests/vm/hostile), beside a good one: for SECONDS (the argument) they do what
# they like, a 32-bit one and a 64-bit one in turn, each with another seed. The daemons live on, the good
# guest is not disturbed, nothing fills the logs.
#
# shellcheck disable=SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

seconds=${1:-20}
turn=10

rounds_of()
{
	cat $1.1 $1 2>/dev/null | tr -d '\r' | sed -n 's/.*hostile: \([0-9a-f]*\) rounds.*/\1/p' | tail -n 1
}

# one hostile guest for a while. Whatever it does to itself, its vmm may not fail: a status of 128 or more
# would be a signal, 1 an error of its own.
attack()
{
	kernel_file=/hostile/hostile-$1
	log=$results/hostile-$1-$2.log
	rm -f $log $log.1
	cat >$guests/bad.conf <<-EOF
		kernel = $kernel_file
		memory = 96M
		append = seed $2
		console-log = $log
	EOF
	xenhost supervise --config $guests/bad.conf bad >/dev/null 2>>$results/supervise-bad.log </dev/null &
	pid=$!
	xenhost_end=$(($(uptime_s) + turn))
	wait_for 60 is_new_domain bad none || return
	while [ "$(uptime_s)" -lt $xenhost_end ] && kill -0 $pid 2>/dev/null; do
		usleep 500000
	done
	xenhost domain destroy bad >/dev/null 2>&1
	wait_exit $pid 60 || return
	status=0
	wait $pid || status=$?
	note "hostile-$1, seed $2: $((0x0$(rounds_of $log))) rounds, status $status"
	case $status in
	0 | 3 | 4 | 5) ;;
	*) echo "its supervisor ended with $status"; return 1 ;;
	esac
}

attacks()
{
	end=$(($(uptime_s) + seconds))
	seed=1
	while [ "$(uptime_s)" -lt $end ]; do
		attack 64 $seed && attack 32 $seed || return
		seed=$((seed + 1))
	done
	cat $results/hostile-*.log* | grep -q 'hostile: .* rounds'
}

daemons_live()
{
	for daemon in bridged xenstored opend blkbackd netbackd; do
		eval "kill -0 \$pid_$daemon" || {
			echo "$daemon has ended"
			return 1
		}
	done
}

# no guest may fill the host's disk with messages
logs_are_small()
{
	size=$(cat $results/*d.log | wc -c) # of daemons, and supervise-bad.log
	echo "the daemons wrote $size bytes"
	[ $size -lt $((200000 + seconds * 2000)) ]
}

good_works()
{
	ask good cpus 1 && ask good disk-write 2 && ask good disk-check && ask good disk-errors
}

no_sanitizer_report()
{
	! grep -h -A 20 -E 'ERROR: AddressSanitizer|runtime error|WARNING: ThreadSanitizer' $results/*.log
}

modprobe -a kvm-amd loop ext4 2>/dev/null
truncate -s 64M $tmp/good.img
check daemons start_daemons
configure good "$cmdline" 'memory = 256M' "disk = $tmp/good.img"
supervise good
check good/up up good 240
check good/disk ask good disk-begin
check attacks attacks
check daemons-live daemons_live
check good/works good_works
check good/log ask good log
check logs-are-small logs_are_small
check good/poweroff xenhost domain shutdown good
check good/finished finished good 120
for daemon in netbackd blkbackd opend xenstored bridged; do
	check $daemon-ends stop_daemon $daemon
done
check no-sanitizer-report no_sanitizer_report
[ "$failed" = 0 ] || tail -n 30 $results/*.log
finish
