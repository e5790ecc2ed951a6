#!/bin/sh
# SPDX-License-Identifier: MIT
# A host with systemd, as people have it: packages are installed, services started, a guest is made by a file
# and uses disk and network while each service is restarted, bridged is killed, and the packages are upgraded;
# the host reboots, the guest with it, and is back; in the end the packages are purged. Run by run-systemd-l1;
# the argument is the number of the boot.
#
# shellcheck disable=SC2034,SC2046,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"
# shellcheck source-path=SCRIPTDIR source=systemd-common.sh
. "${XH_SYSTEMD:-/systemd-common.sh}"

l2=/l2
boot_limit=240
guest_unit=xenhost-vm@one

make_guest()
{
	truncate -s 64M $images/one.img && chmod 600 $images/one.img || return
	# the operator's, and there again after a reboot
	cat >/etc/systemd/system/br0.service <<-EOF
		[Unit]
		Before=xenhost-services.target
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=ip link add br0 type bridge
		ExecStart=ip addr add 10.77.0.1/24 dev br0
		ExecStart=ip link set br0 up
		[Install]
		WantedBy=multi-user.target
	EOF
	systemctl enable --now br0 || return
	cat >/etc/xenhost/guests/one.conf <<-EOF
		kernel = $l2/vmlinuz-6.12
		initrd = $l2/initrd-6.12
		$cmdline
		memory = 256M
		disk = $images/one.img
		net = tap=xh0,bridge=br0
		console-log = /var/log/xenhost/console-one.log
	EOF
	next_one=0
}

# prints how long the longest silence of the guest was while the command ran, in hundredths of a second
answers()
{
	ping -c 1 -W 30 10.77.0.2 >/dev/null
}

ping_all_the_time()
{
	: >$tmp/pings
	while [ ! -e $tmp/stop-ping ]; do
		ping -c 1 -W 1 10.77.0.2 >/dev/null && centiseconds >>$tmp/pings
		usleep 50000
	done &
	pinger=$!
}

longest_silence()
{
	: >$tmp/stop-ping
	wait $pinger
	rm $tmp/stop-ping
	awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { print most + 0 }' $tmp/pings
}

# under_load WHAT COMMAND...: while the guest writes to its disk and is pinged; then all of it is right
under_load()
{
	what=$1
	shift
	answers || return
	ping_all_the_time
	tell one disk-write 12 || return
	begin=$(centiseconds)
	"$@"
	status=$?
	took=$(($(centiseconds) - begin))
	[ $status = 0 ] && answers
	status=$?
	silence=$(longest_silence)
	[ $status = 0 ] && answered && ask one disk-check && ask one disk-errors || return
	note "$what: took $((took * 10)) ms, longest silence of the network $((silence * 10)) ms"
}

# so many times; systemd starts it again by itself
kill_service()
{
	left=$2
	while [ $left -gt 0 ]; do
		before=$(pid_of $1)
		systemctl kill -s KILL --kill-who=main xenhost-$1 && wait_for 60 is_another_pid $1 $before || return
		xenhost domain info one >/dev/null && xenhost store ls /local/domain >/dev/null || return
		left=$((left - 1))
	done
}

attach_fio()
{
	truncate -s 8M $images/scratch.img && make_fio $images/fio.img &&
		xenhost block attach one $images/scratch.img xvdb &&
		xenhost block --read-only attach one $images/fio.img xvdd && ask one has-disk xvdb &&
		ask one has-disk xvdd && mount_fio
}

upgrade_under_fio()
{
	fio_begin && under_load upgrade upgrade && ask one run "test ! -e /tmp/fio-status" &&
		fio_end "the packages were upgraded" && ask one disk-errors
}

# need NAME COMMAND...: without it the rest makes no sense
need()
{
	check "$@" || end_boot
}

end_boot()
{
	check kernel-log kernel_log_clean
	echo "$passed $failed" >$results/counts
	if [ "$failed" != 0 ]; then
		journalctl -b --no-pager -o short-monotonic -u 'xenhost*' | tail -n 80
		echo "systemd: $passed passed, $failed failed"
		exit 1
	fi
	[ "$boot" = 2 ] || exit 99
	echo "systemd: $passed passed, $failed failed"
	exit 0
}

first_boot()
{
	# our dependencies are there already
	need install sh -c 'dpkg -i /debs/*.deb >/root/results/install.log 2>&1' || tail -n 20 $results/install.log
	need after-install wait_for 60 active
	check nothing-failed nothing_failed
	check start-by-names start_by_names
	check confined confined
	check sockets owners_of_sockets
	check strangers-refused strangers_refused
	check clash clash
	check guest-file make_guest
	check guest-enable systemctl enable xenhost-vm@one
	need guest-start xenhost start one
	need guest-up up one $boot_limit
	need disk ask one disk-begin
	check net ask one net-up 10.77.0.2/24
	check ping answers
	count_kept
	for which in blkbackd netbackd opend xenstored bridged dbusd; do
		check restart-$which under_load restart-$which restart $which
	done
	check kill-bridged under_load kill-bridged-10-times kill_service bridged 10
	for which in xenstored blkbackd netbackd opend; do
		check kill-$which under_load kill-$which-3-times kill_service $which 3
	done
	check descriptors-kept kept $room
	check fio attach_fio
	count_kept
	check upgrade upgrade_under_fio || tail -n 20 $results/upgrade.log
	check new-programs new_programs
	check descriptors-as-before kept $room
	check guest-log ask one log
	check nothing-failed-again nothing_failed
	xenhost store read /local/domain/$(domid_of one)/vm >$tmp/uuid
	ask one disk-check && ask one disk-write 4
}

# sets $room
count_kept()
{
	room=$(systemctl show -p NFileDescriptorStore --value xenhost-bridged)
	note "systemd keeps $room descriptors for bridged"
}

d_bus()
{
	busctl call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains | grep '"one" "guest" "running"' &&
		busctl call org.xenhost /org/xenhost org.xenhost.Host1 StartGuest s one &&
		! setpriv --reuid nobody --regid nogroup --clear-groups \
			busctl call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains
}

# of the previous boot, in this order
order_of_end()
{
	journalctl -b -1 --no-pager -o short-monotonic >$results/journal-of-reboot
	asked=$(grep -n 'asking domain .* to power off' $results/journal-of-reboot | tail -n 1 | cut -d : -f 1)
	off=$(grep -n 'domain .* (one) powered off' $results/journal-of-reboot | tail -n 1 | cut -d : -f 1)
	backends=$(grep -n 'Stopping xenhost-\(blkbackd\|netbackd\|xenstored\|bridged\|opend\).service' $results/journal-of-reboot |
		tail -n 5 | head -n 1 | cut -d : -f 1)
	echo "asked in line $asked, off in line $off, services stopped in line $backends"
	[ "$asked" -lt "$off" ] && [ "$off" -lt "$backends" ]
}

second_boot()
{
	need services-back wait_for 120 active
	need guest-back up one $boot_limit
	check d-bus d_bus
	check file-system-clean ask one disk-clean
	check order-of-end order_of_end
	check clean-here sh -c '! dmesg | grep -i "recovery complete\|recovering journal"'
	begin=$(centiseconds)
	check stop-guest systemctl disable --now xenhost-vm@one
	note "the guest took $((($(centiseconds) - begin) * 10)) ms to power off"
	check guest-gone same "$(xenhost domain list | grep -c ' guest ')" 0
	check purge sh -c 'dpkg --purge $(dpkg-query -W -f "\${Package} " "*xenhost*") >/root/results/purge.log 2>&1' ||
		tail -n 20 $results/purge.log
	check no-process sh -c '! ps ax | grep "[x]enhost-"'
	check no-user sh -c '! getent passwd | grep xenhost'
	rm -f /etc/xenhost/guests/one.conf $images/*.img
	rmdir /etc/xenhost/guests /etc/xenhost $images /var/lib/xenhost 2>/dev/null
	check nothing-left nothing_left ''
}

boot=$1
passed=0
[ "$1" = 1 ] || read -r passed failed <$results/counts
case $1 in
1) first_boot ;;
2) second_boot ;;
esac
end_boot
