#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest with four vCPUs under load for SECONDS (the argument): processors, memory, disk, all at once.
#
# shellcheck disable=SC2086 # no blanks in our paths

# shellcheck source-path=SCRIPTDIR source=harness.sh
. "${XH_HARNESS:-/harness.sh}"
# shellcheck source-path=SCRIPTDIR source=toolstack.sh
. "${XH_TOOLSTACK:-/toolstack.sh}"

modprobe -a kvm-amd loop ext4 2>/dev/null
truncate -s 64M $tmp/four.img
check daemons start_daemons
configure four "$cmdline" 'memory = 384M' 'vcpus = 4' "disk = $tmp/four.img"
supervise four
check up up four 240
check cpus ask four cpus 4
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
