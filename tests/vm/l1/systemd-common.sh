# SPDX-License-Identifier: MIT
# shellcheck shell=dash disable=SC2034,SC2046,SC2086,SC2154,SC2317
# What tests of a host with systemd and our packages share; sourced after toolstack.sh. $guest_unit is what an upgrade
# must leave alone.

unset XENHOST_RUNDIR
services='bridged xenstored opend blkbackd netbackd dbusd'
images=/var/lib/xenhost/images

centiseconds()
{
	read -r up _ </proc/uptime
	echo $up | tr -d .
}

active()
{
	for service in $services; do
		same "$(systemctl is-active xenhost-$service)" active || return
	done
}

nothing_failed()
{
	same "$(systemctl list-units --failed --no-legend 'xenhost*' | wc -l)" 0
}

pid_of()
{
	systemctl show -p MainPID --value xenhost-$1
}

# each by its name, and all that are not there by the pattern
start_by_names()
{
	for service in $services; do
		systemctl stop xenhost-$service && systemctl start xenhost-$service || return
	done
	systemctl kill -s KILL --kill-who=main xenhost-netbackd && systemctl stop xenhost-netbackd xenhost-blkbackd &&
		systemctl start 'xenhost-*' && active
}

# user and confinement are in force, not just in the file
confined()
{
	for pair in bridged:bridge xenstored:store opend:open blkbackd:blk netbackd:net; do
		status=/proc/$(pid_of ${pair%:*})/status
		same "$(stat -c %U $status)" xenhost-${pair#*:} || return
		same "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' $status)" 1 || return
		same "$(sed -n 's/^Seccomp:[[:space:]]*//p' $status)" 2 || return
		case $pair in
		opend*) ;;
		*) same "$(sed -n 's/^CapBnd:[[:space:]]*//p' $status)" 0000000000000000 || return ;;
		esac
	done
}

owners_of_sockets()
{
	same "$(stat -c '%n %U %G %a' /run/xenhost/bridge/*.sock /run/xenhost/xenstored.sock /run/xenhost/store/*.sock)" \
		"/run/xenhost/bridge/blkback.sock root xenhost-blk 660
/run/xenhost/bridge/netback.sock root xenhost-net 660
/run/xenhost/bridge/store.sock root xenhost-store 660
/run/xenhost/bridge/tool.sock root xenhost-tool 660
/run/xenhost/bridge/vmm.sock root xenhost-vm 660
/run/xenhost/xenstored.sock root xenhost-tool 660
/run/xenhost/store/blkback.sock root xenhost-blk 660
/run/xenhost/store/netback.sock root xenhost-net 660"
}

# whoever is somebody else cannot open what is not his
strangers_refused()
{
	for who in nobody xenhost-blk xenhost-net; do
		! setpriv --reuid $who --regid $(id -g $who) --clear-groups xenhost domain list || return
	done
	setpriv --reuid nobody --regid $(id -g nobody) --groups $(getent group xenhost-tool | cut -d : -f 3) \
		xenhost domain list
}

# Debian's own xenstored, or whatever has its socket: ours says so, and does not take it
clash()
{
	# a target has stopped before what it wants
	systemctl stop xenhost.target xenhost-xenstored &&
		systemd-run --quiet --unit=other-xenstored --socket-property=ListenStream=/run/xenstored/socket \
			sleep 9999 || return
	! systemctl start xenhost-xenstored 2>/dev/null || return
	journalctl --no-pager -u xenhost-xenstored | grep 'cannot serve /run/xenstored/socket: .* does; end that' &&
		systemctl is-active other-xenstored.socket || return
	# it tries again and again, and wants bridged: first of all
	systemctl stop xenhost-xenstored xenhost-xenstored.socket
	systemctl stop other-xenstored.socket other-xenstored.service xenhost.target
	systemctl reset-failed
	systemctl start xenhost.target && wait_for 60 active
}

restart()
{
	before=$(pid_of $1)
	systemctl restart xenhost-$1 && not same "$(pid_of $1)" $before && active
}

is_another_pid()
{
	now=$(pid_of $1)
	[ "$now" != 0 ] && [ "$now" != $2 ] && same "$(systemctl is-active xenhost-$1)" active
}

kept()
{
	same "$(systemctl show -p NFileDescriptorStore --value xenhost-bridged)" "$1"
}

upgrade()
{
	before="$(systemctl show -p MainPID --value $guest_unit) $(systemctl show -p ActiveEnterTimestampMonotonic --value xenhost-bridged-tool.socket)"
	old=$(pid_of blkbackd)
	dpkg -i /debs2/*.deb >$results/upgrade.log 2>&1 || return
	same "$(systemctl show -p MainPID --value $guest_unit) $(systemctl show -p ActiveEnterTimestampMonotonic --value xenhost-bridged-tool.socket)" \
		"$before" && not same "$(pid_of blkbackd)" $old && active
}

# passt(1) could not work in a guest's unit: one line says so
user_net_refused()
{
	printf 'kernel = /rig\nnet = user\n' >/etc/xenhost/guests/user-net.conf
	! xenhost start user-net || return
	rm /etc/xenhost/guests/user-net.conf
	systemctl reset-failed xenhost-vm@user-net
	journalctl --no-pager -o cat -u xenhost-vm@user-net |
		grep 'card 0 cannot have user-mode networking: this unit is kept from all networks'
}

# what runs after an upgrade is the new program
new_programs()
{
	for service in $services; do
		case $(readlink /proc/$(pid_of $service)/exe) in
		*deleted*) echo "xenhost-$service is the old one"; return 1 ;;
		esac
	done
}

nothing_left()
{
	left=$(find / -xdev -name '*xenhost*' ! -path '/proc/*' ! -path '/debs*' ! -path '/root/*' ! -path '/var/lib/dpkg/*' \
		! -path '/var/log/journal/*' ! -path '/test' ! -path '/l2/*' ! -path '/usr/local/lib/busybox/*')
	same "$left" "$1"
}
