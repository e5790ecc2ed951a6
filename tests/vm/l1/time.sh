#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest's clock goes as fast as its host's, over two minutes in which it mostly sleeps. Run with
# --icount: the host's own time is exact then, however busy the machine below is.
#
# shellcheck disable=SC2086,SC2154 # no blanks in our paths

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

# hundredths of a second: of the guest, and ours in the middle of asking
both()
{
	read -r first _ </proc/uptime
	ask one time >/dev/null || return
	read -r last _ </proc/uptime
	theirs=$(echo ${answer% *} | tr -d .)
	ours=$((($(echo $first | tr -d .) + $(echo $last | tr -d .)) / 2))
}

# within 1 %
same_speed()
{
	both || return
	theirs_0=$theirs ours_0=$ours
	sleep 120
	both || return
	passed_there=$((theirs - theirs_0)) passed_here=$((ours - ours_0))
	echo "of 100 s in the host the guest saw $((passed_there * 10000 / passed_here)) hundredths"
	note "in $passed_here hundredths of a second the guest counted $passed_there"
	[ $((passed_there * 100)) -le $((passed_here * 101)) ] &&
		[ $((passed_there * 100)) -ge $((passed_here * 99)) ]
}

modprobe kvm-amd
check daemons start_daemons
configure one "$cmdline" 'memory = 224M'
supervise one
check up up one 300
check same-speed same_speed
check destroy xenhost domain destroy one
check finished finished one 60
finish
