#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest with four vCPUs (or as many as the second argument says) under load for SECONDS (the first): processors,
# memory, disk, all at once.
#
# shellcheck disable=SC2086 # no blanks in our paths

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

modprobe -a kvm-amd loop ext4 2>/dev/null
truncate -s 64M $tmp/four.img
check daemons start_daemons
vcpus=${2:-4}
configure four "$cmdline" 'memory = 384M' "vcpus = $vcpus" "disk = $tmp/four.img"
supervise four
check up up four 240
check cpus ask four cpus $vcpus
check disk ask four disk-begin
tell four stress "$1"
sleep "$1"
check stress answered
check disk-works ask four disk-write 4
check disk-check ask four disk-check
check no-io-error ask four disk-errors
check guest-log ask four log
check poweroff xenhost domain shutdown four
check finished finished four 120
[ "$failed" = 0 ] || tail -n 20 $results/*.log
finish
