# SPDX-License-Identifier: MIT
# shellcheck shell=dash disable=SC2086,SC2154
# The system's daemons in L1, guests under xenhost supervise, and commands for those guests (the loop in
# tests/vm/l2/init). Sourced after harness.sh.

run=$tmp/run
guests=$tmp/guests
mkdir -p $run $guests
export XENHOST_RUNDIR=$run

# start_daemon NAME: with $args_NAME, and wait until it is ready
start_daemon()
{
	rm -f $tmp/ready-$1
	mkfifo $tmp/ready-$1
	exec 8<>$tmp/ready-$1
	eval "args=\${args_$1:-}"
	xenhost-$1 $args --ready-fd 9 9>&8 8>&- 2>>$results/$1.log &
	eval "pid_$1=$!"
	read -r -t 60 ready <&8
	exec 8>&-
	same "$ready" READY
}

# kill_daemon NAME: without a chance to tidy up
kill_daemon()
{
	eval "kill -9 \$pid_$1; wait \$pid_$1" 2>/dev/null
	return 0
}

stop_daemon()
{
	eval "kill \$pid_$1; wait \$pid_$1"
}

start_daemons()
{
	printf '[service blkback]\nwritable = %s/\n%s\n[service netback]\ntap = *\nbridge = *\n' $tmp \
		"${opend_more:-}" >$tmp/opend.conf
	args_opend="--config $tmp/opend.conf"
	for daemon in bridged xenstored opend blkbackd netbackd; do
		start_daemon $daemon || return
	done
}

# configure NAME LINE...: its configuration, with the lines that all have
configure()
{
	guest=$1
	shift
	{
		echo "kernel = $l2/vmlinuz-${kernel:-6.12}"
		echo "initrd = $l2/initrd-${kernel:-6.12}"
		echo "console-log = $results/console-$guest.log"
		for line in "$@"; do
			echo "$line"
		done
	} >$guests/$guest.conf
}

# most of what a kernel does by itself while it starts is testing its own cryptography; skeleton.sh lets it
cmdline='append = console=hvc0 quiet panic=-1 cryptomgr.notests xh_steps=commands xh_wait=240'

# supervise NAME: in the background; $pid_NAME
supervise()
{
	xenhost supervise --config $guests/$1.conf $1 >/dev/null \
		2>>$results/supervise-$1.log </dev/null &
	eval "pid_$1=$!"
	eval "next_$1=0"
}

domid_of()
{
	xenhost domain info "$1" 2>/dev/null | sed -n 's/^domid: *//p'
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for()
{
	# shellcheck disable=SC3043 # busybox has it, and what we wait for may wait itself
	local wait_end=$(($(uptime_s) + $1 * patience))
	shift
	until "$@" >$tmp/wait_for 2>&1; do
		if [ "$(uptime_s)" -ge "$wait_end" ]; then
			echo "not in time: $*: $(tail -n 1 $tmp/wait_for)"
			return 1
		fi
		usleep 100000
	done
}

node_is()
{
	same "$(xenhost store read "$1" 2>/dev/null)" "$2"
}

not()
{
	! "$@"
}

# a domain of that name runs, and it is not the domid $2
is_new_domain()
{
	new=$(domid_of "$1") && [ -n "$new" ] && [ "$new" != "$2" ]
}

# up NAME SECONDS: the guest has reached its commands
up()
{
	wait_for "$2" is_new_domain "$1" "${3:-none}" || return
	eval "next_$1=0"
	wait_for "$2" node_is "/local/domain/$(domid_of "$1")/data/result" ready
}

has_result()
{
	result=$(xenhost store read "$1" 2>/dev/null) && [ -n "$result" ]
}

# tell NAME COMMAND...: without waiting for an answer
tell()
{
	told=$1
	shift
	eval "number=\$next_$told; next_$told=\$((number + 1))"
	home=/local/domain/$(domid_of "$told")/data
	xenhost store write "$home/command-$number" "$*"
}

# answered: the last tell() was, with success; its last line of output is in $answer
answered()
{
	wait_for 120 has_result "$home/result-$number" || return
	result=$(xenhost store read "$home/result-$number")
	answer=${result#* }
	echo "$told: $answer"
	same "${result%% *}" 0
}

# ask NAME COMMAND...
ask()
{
	tell "$@" && answered
}

# reason_of NAME: poweroff, reboot, crash ... of a domain that has shut down
reason_of()
{
	xenhost domain info "$1" 2>/dev/null | sed -n 's/^shutdown reason: *//p'
}

# finished NAME SECONDS: its supervisor has ended, in good order
finished()
{
	eval "supervisor=\$pid_$1"
	wait_exit $supervisor "$2" || {
		echo "the supervisor of $1 still runs after $2 s"
		return 1
	}
	supervisor_status=0
	wait $supervisor || supervisor_status=$?
}

# attach NAME TYPE DEVID SERVICE: the nodes of a device as a toolstack writes them, both states last; what is in
# $attach_front_nodes and $attach_back_nodes, "NODE VALUE" line by line, beside those that all have
attach()
{
	attach_id=$(domid_of $1) || return
	attach_front=/local/domain/$attach_id/device/$2/$3
	attach_back=/local/domain/$4/backend/$2/$attach_id/$3
	xenhost store write $attach_front '' && xenhost store chmod $attach_front n$attach_id,r$4 &&
		xenhost store write $attach_back '' &&
		xenhost store chmod $attach_back n$4,r$attach_id || return
	while read -r attach_node attach_value; do
		[ -z "$attach_node" ] || xenhost store write $attach_back/$attach_node "$attach_value" || return
	done <<-EOF
		frontend $attach_front
		frontend-id $attach_id
		online 1
		$attach_back_nodes
		state 1
	EOF
	while read -r attach_node attach_value; do
		[ -z "$attach_node" ] || xenhost store write $attach_front/$attach_node "$attach_value" || return
	done <<-EOF
		backend $attach_back
		backend-id $4
		$attach_front_nodes
		state 1
	EOF
}

# attach_disk NAME DEVID FILE: one more disk
attach_disk()
{
	attach_front_nodes="virtual-device $2
device-type disk"
	attach_back_nodes="params $3
type file
mode w
dev xvdb
device-type disk
removable 0"
	attach $1 vbd $2 32000
}

# detach_disk NAME DEVID: asks both ends to close, then removes what is left
detach_disk()
{
	detach_id=$(domid_of $1) || return
	detach_front=/local/domain/$detach_id/device/vbd/$2
	detach_back=/local/domain/32000/backend/vbd/$detach_id/$2
	xenhost store write $detach_back/online 0 && xenhost store write $detach_back/state 5 &&
		wait_for 60 node_is $detach_back/state 6 && xenhost store rm $detach_back &&
		xenhost store rm $detach_front
}

# fio in the guest "one": it comes on a disk xvdd, made of what fio-tree made
make_fio()
{
	truncate -s 12M $1 && mkfs.ext4 -q -F -O ^has_journal -d /fio $1
}

mount_fio()
{
	ask one run "mkdir -p /fio && mount -r -t ext4 /dev/xvdd /fio"
}

# writes all of a disk or file at random and reads it back
fio="LD_LIBRARY_PATH=/fio/lib /fio/fio --name=verify --rw=randwrite --bs=4k --ioengine=libaio --direct=1 --thread
--verify=crc32c --verify_fatal=1 --verify_state_save=0 --minimal"

# of xvdb, again and again, until it is told to end
fio_begin()
{
	ask one run "(fio=0; while [ \$fio = 0 ] && [ ! -e /tmp/fio-end ]; do" \
		$fio --filename=/dev/xvdb --size=2M --iodepth=16 ">/tmp/fio.out" "2>&1" \
		"|| fio=1; echo pass >>/tmp/fio-passes; done; echo \$fio >/tmp/fio-status) &"
}

# fio_end WHAT: happened meanwhile
fio_end()
{
	ask one run "touch /tmp/fio-end; wait_for test -s /tmp/fio-status; wc -l </tmp/fio-passes" || return
	note "fio verified $answer times while $1"
	ask one run 'same $(cat /tmp/fio-status) 0'
}
