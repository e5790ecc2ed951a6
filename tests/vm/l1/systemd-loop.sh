#!/bin/sh
# SPDX-License-Identifier: MIT
# The services under a real systemd, with packages: each is restarted, bridged is killed 20 times, the packages are
# upgraded, while three loopback guests exchange events all the time; nothing of theirs is lost. In the end the packages
# are purged. Run by run-systemd-here.
#
# shellcheck disable=SC2034,SC2046,SC2086,SC2154,SC2317 # no blanks in our paths, functions called by check

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"
# shellcheck source-path=SCRIPTDIR source=systemd-common.sh
. "${XH_SYSTEMD:-/systemd-common.sh}"
guest_unit=loop

start_guests()
{
	systemd-run --quiet --unit=loop xenhost-loopguest --guests 3 --events --seconds 600 --json &&
		wait_for 60 guests_there
}

guests_there()
{
	same "$(xenhost domain list | grep -c 'loop-.*running')" 3
}

# with the store of descriptors that systemd has; so many times
kill_service()
{
	left=$2
	while [ $left -gt 0 ]; do
		before=$(pid_of $1)
		systemctl kill -s KILL --kill-who=main xenhost-$1 && wait_for 60 is_another_pid $1 $before &&
			wait_for 60 guests_there || return
		left=$((left - 1))
		# it would be a service that fails, for systemd
		[ $((left % 5)) != 0 ] || systemctl reset-failed xenhost-$1
	done
}

# says what it has done when it is ended; it could not go on if bridged had lost one of its guests
end_guests()
{
	systemctl kill -s INT loop
	wait_for 60 not systemctl is-active --quiet loop
	journalctl --no-pager -o cat -u loop | grep '"guests": 3.*"bad": 0' >&3
}

d_bus()
{
	busctl call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains | grep '"loop-0" "guest" "running"' &&
		! setpriv --reuid nobody --regid nogroup --clear-groups \
			busctl call org.xenhost /org/xenhost org.xenhost.Host1 ListDomains
}

# a back end of one guest's own: service domain blkback-web, with sockets and an allow-list of its own
per_guest()
{
	echo 'XENHOST_SERVICES=--service=blkback-web=32010' >/etc/xenhost/services.conf
	mkdir -p $images/web && truncate -s 1M $images/web/a.img $images/b.img || return
	printf '[service blkback-web]\nwritable = %s/web/\n' $images >>/etc/xenhost/opend.conf
	systemctl restart xenhost-bridged xenhost-xenstored xenhost-opend && wait_for 60 active &&
		wait_for 60 guests_there && systemctl enable --now xenhost-blkbackd@web || return
	systemctl set-property xenhost-guests-web.slice MemoryMax=2G CPUQuota=100% || return
	same "$(systemctl show -p MemoryMax --value xenhost-guests-web.slice)" 2147483648 || return
	wait_for 60 xenhost block --backend 32010 attach loop-0 $images/web/a.img || return
	! xenhost block --backend 32010 attach loop-0 $images/b.img 2>$tmp/refused || return
	grep 'opend.conf does not let blkback-web' $tmp/refused && same "$(systemctl is-active xenhost-blkbackd@web)" active
}

# messages by what they are about
fields()
{
	journalctl -b --no-pager -o cat DOMID=$(domid_of loop-0) | grep 'was made' &&
		journalctl -b --no-pager -o cat DEVICE=vbd-$(domid_of loop-0)-51712 | grep 'sectors, writable' &&
		! journalctl -b --no-pager -o cat DEVICE=vbd-$(domid_of loop-1)-51712 | grep sectors
}

check install sh -c 'dpkg -i /debs/*.deb >/root/results/install.log 2>&1' || cat $results/install.log
check after-install wait_for 60 active
check start-by-names start_by_names
check confined confined
check sockets owners_of_sockets
check strangers-refused strangers_refused
check clash clash
check user-net-refused user_net_refused
check guests start_guests
check d-bus d_bus
check per-guest-back-end per_guest || cat $tmp/refused
check journal-fields fields
room=$(systemctl show -p NFileDescriptorStore --value xenhost-bridged)
note "systemd keeps $room descriptors for bridged"
for which in $services; do
	begin=$(centiseconds)
	check restart-$which restart $which
	note "restart-$which took $((($(centiseconds) - begin) * 10)) ms"
done
check kill-bridged-20-times kill_service bridged 20
check descriptors-kept kept $room
check upgrade upgrade || tail -n 20 $results/upgrade.log
check new-programs new_programs
check descriptors-as-before kept $room
check guests-still-there guests_there
check events-all-there end_guests
check nothing-failed nothing_failed
rm -rf /etc/xenhost/services.conf $images/web $images/b.img
systemctl disable --quiet --now xenhost-blkbackd@web
systemctl revert xenhost-guests-web.slice
# those with debugging symbols, too
check purge sh -c 'dpkg --purge $(dpkg-query -W -f "\${Package} " "*xenhost*") >/root/results/purge.log 2>&1' || cat $results/purge.log
check no-process sh -c '! ps ax | grep "[s]bin/xenhost-"'
check no-user sh -c '! getent passwd | grep xenhost'
check nothing-left nothing_left /etc/systemd/system/xenhost-.service.d
echo "systemd: $passed passed, $failed failed"
[ "$failed" = 0 ]
