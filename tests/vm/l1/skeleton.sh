#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs an unmodified Debian kernel as a Xen guest with a disk and a network card, each served by a
# process of its own, and looks at both sides of everything. Arguments: the kernels, 6.12 and 6.1;
# --live shows the guest's console as it runs. The guest's half is tests/vm/l2/init; its lines
# arrive on the guest's console.
#
# shellcheck disable=SC2009,SC2086,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"

host=10.77.0.1
boot_limit=90
steps_limit=120
live_end='--- end of the console'
services='xenhost-bridged xenhost-xenstored xenhost-vmm xenhost-opend xenhost-blkbackd xenhost-netbackd'

network_up()
{
	tunctl -t xh0 && ip addr add $host/24 dev xh0 && ip link set xh0 up || return
	cat >$tmp/udhcpd.conf <<-EOF
		start 10.77.0.2
		end 10.77.0.99
		interface xh0
		lease_file $tmp/leases
		pidfile $tmp/udhcpd.pid
		option subnet 255.255.255.0
	EOF
	: >$tmp/leases
	udhcpd -f $tmp/udhcpd.conf >$tmp/udhcpd.log 2>&1 &
	servers=$!
	mkdir -p $tmp/srv
	head -c 1048576 /dev/urandom >$tmp/srv/payload
	digest $tmp/srv/payload >$tmp/srv/payload.sha256
	httpd -f -p $host:8000 -h $tmp/srv &
	servers="$servers $!"
}

network_down()
{
	kill $servers
	wait $servers
} 2>/dev/null

start_guest()
{
	: >"$log"
	rm -f $tmp/disk.img
	truncate -s 64M $tmp/disk.img
	xenhost run --rundir $tmp/run --kernel "$l2/vmlinuz-$kernel" --initrd "$l2/initrd-$kernel" \
		--memory 256M --disk $tmp/disk.img --net tap=xh0 \
		--append "console=hvc0 quiet panic=-1 xh_http=http://$host:8000 xh_steps=xen,disk,net,input" \
		>"$log" 2>"$errors" <$tmp/typed &
	pid=$!
}

# Prints the guest's console as it comes, to the end of our own output.
start_live()
{
	[ "$live" = yes ] || return 0
	: >"$log"
	mkfifo $tmp/live
	tail -f "$log" >$tmp/live &
	tail_pid=$!
	while read -r line && [ "$line" != "$live_end" ]; do
		echo "guest | $line"
	done <$tmp/live &
	live_pid=$!
}

stop_live()
{
	[ "$live" = yes ] || return 0
	echo "$live_end" >>"$log"
	wait $live_pid
	kill $tail_pid
	wait $tail_pid
	rm $tmp/live
} 2>/dev/null

stop_guest()
{
	kill "$pid" 2>/dev/null
	wait_exit "$pid" 10 || kill -9 "$pid"
	wait "$pid"
}

# The nested emulation fails a boot now and then (DESIGN section 10): one more try, never silent.
boot_guest()
{
	start_guest
	wait_line '^guest: .* is up' "$log" "$pid" $boot_limit >$tmp/boot && return
	note "RETRY $kernel: the guest did not come up: $(cat $tmp/boot)"
	show_logs >&3
	stop_guest
	start_guest
	wait_line '^guest: .* is up' "$log" "$pid" $boot_limit
}

show_logs()
{
	echo "--- console of the guest"
	tail -n 30 "$log"
	echo "--- messages of the host"
	tail -n 30 "$errors"
	echo "---"
}

# pids_of PROGRAM: by the file they run, as names in ps are cut short.
pids_of()
{
	for process in /proc/[0-9]*; do
		case $(readlink "$process/exe") in
		*/"$1") echo "${process#/proc/}" ;;
		esac
	done
}

# Each service is a process, and no process is two services.
one_process_each()
{
	: >$tmp/pids
	for service in $services; do
		pids=$(pids_of "$service")
		[ -n "$pids" ] || {
			echo "no process $service"
			return 1
		}
		echo "$pids" >>$tmp/pids
	done
	same "$(sort -u $tmp/pids | wc -l)" "$(echo $services | wc -w)"
}

fetch_back()
{
	timeout 30 wget -q -O $tmp/back "http://$guest/payload" &&
		same "$(digest $tmp/back)" "$(cat $tmp/srv/payload.sha256)"
}

# The guest waits for this, then powers off. It listens a moment after it said so.
release_guest()
{
	release_end=$(($(uptime_s) + 30))
	until timeout 10 nc $guest 9 </dev/null; do
		[ "$(uptime_s)" -lt $release_end ] || return 1
		usleep 200000
	done
}

# While the guest serves: our side of the network.
talk_to_guest()
{
	check "$kernel/serving" wait_line '^guest: serving on' "$log" "$pid" $steps_limit || return
	guest=$(tr -d '\r' <"$log" | sed -n 's/^guest: serving on //p')
	ps | grep '[x]enhost'
	check "$kernel/five-processes" one_process_each
	check "$kernel/ping-guest" ping -c 3 -W 10 $guest
	check "$kernel/get-from-guest" fetch_back
	check "$kernel/release" release_guest
}

# The guest's own steps count as ours, and it must have come to its end.
take_guest_steps()
{
	while read -r verdict name why; do
		case $verdict in
		ok) ok "$kernel/guest-$name" ;;
		FAIL) fail "$kernel/guest-$name: $why" ;;
		esac
	done <$tmp/console
	check "$kernel/guest-steps" same "17 ok, 0 failed" \
		"$(sed -n 's/^guest: \(.* ok, .* failed\)$/\1/p' $tmp/console)"
}

powered_off()
{
	wait_exit "$pid" 30 || {
		echo "xenhost run still runs long after the guest's last step"
		stop_guest
		return 1
	}
	wait "$pid"
}

image_holds_file()
{
	mkdir -p $tmp/mnt
	mount -t ext4 -o loop,ro $tmp/disk.img $tmp/mnt || return
	seen=$(digest $tmp/mnt/payload)
	umount $tmp/mnt
	same "$seen" "$(sed -n 's/^guest: disk holds //p' $tmp/console)"
}

image_clean()
{
	e2fsck -fn $tmp/disk.img
}

# Event sends of disk and net must not reach user space once their ports are bound.
sends_stay_in_kernel()
{
	line=$(grep '^evtchn-user-sends:' "$errors") || {
		echo "no line evtchn-user-sends: from the vmm"
		return 1
	}
	echo "$line"
	same "${line##*bound=}" 0
}

# its disk and its card have more grants than fit into one: it maps shared_info, then frame by frame
has_grant_frames()
{
	mapped=$(sed -n 's|^hypercall: memory_op(12)/7=||p' "$errors")
	echo "it mapped ${mapped:-no} pages"
	[ "${mapped:-0}" -ge 3 ]
}

nothing_left()
{
	for service in $services; do
		[ -z "$(pids_of "$service")" ] || {
			echo "$service still runs"
			return 1
		}
	done
}

test_guest()
{
	kernel=$1
	log=$results/guest-$kernel.log
	errors=$results/host-$kernel.log
	failed_before=$failed
	begin=$(uptime_s)
	start_live
	if check "$kernel/boot" boot_guest; then
		talk_to_guest
		check "$kernel/power-off" powered_off
	else
		stop_guest
	fi
	stop_live
	tr -d '\r' <"$log" >$tmp/console
	[ "$live" = yes ] || grep '^guest:' $tmp/console
	take_guest_steps
	check "$kernel/image-clean" image_clean
	check "$kernel/image-holds-file" image_holds_file
	check "$kernel/sends-stay-in-kernel" sends_stay_in_kernel
	check "$kernel/grant-frames" has_grant_frames
	check "$kernel/nothing-left" nothing_left
	[ "$failed" = "$failed_before" ] || show_logs
	echo "$kernel took $(($(uptime_s) - begin)) s"
}

live=no
if [ "$1" = --live ]; then
	live=yes
	shift
fi
for module in kvm-amd tun loop ext4; do
	# outside of L1 the modules are there already
	modprobe $module 2>/dev/null
done
check kvm-caps kvm-caps
cat $tmp/why
check network network_up
mkdir -p $tmp/run
echo "typed before the boot" >$tmp/typed
for k in "$@"; do
	test_guest "$k"
done
network_down
finish
