#!/bin/sh
# SPDX-License-Identifier: MIT
# On a host whose kernel cannot host Xen guests (Debian's 6.1) the vmm says so, in one line that helps.
#
# shellcheck disable=SC2086 # no blanks in our paths

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"

refused()
{
	status=0
	xenhost-vmm --rundir $tmp --name a --kernel $l2/vmlinuz-6.1 2>$tmp/said || status=$?
	cat $tmp/said
	same $status 1 && same "$(wc -l <$tmp/said)" 1 && grep -q "$1" $tmp/said
}

check no-kvm refused 'KVM is missing (/dev/kvm: No such file'
modprobe kvm-amd
check has-kvm test -c /dev/kvm
check no-kvm-xen refused 'KVM_CAP_XEN_HVM is missing.*apt install -t bookworm-backports linux-image-amd64'
finish
