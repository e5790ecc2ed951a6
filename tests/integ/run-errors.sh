#!/bin/bash
# SPDX-License-Identifier: MIT
# xenhost run, when it cannot: one line each that says what failed, on what, why, and what to do; status 2 for a
# mistake in the command line, 1 for others; and nothing is left behind.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

export XDG_RUNTIME_DIR=$dir XENHOST_GRUB=$dir/no-grub
errors=0

# refused STATUS LINES TEXT ARGUMENT...: what xenhost run says
refused()
{
	local status=0 want=$1 lines=$2 text=$3

	shift 3
	"$RUN" xenhost run "$@" >"$dir/out" 2>&1 </dev/null || status=$?
	[ "$status" = "$want" ] || fail "$*: status $status, not $want: $(cat "$dir/out")"
	grep -qF -- "$text" "$dir/out" || fail "$*: '$text' is not in: $(cat "$dir/out")"
	[ "$(wc -l <"$dir/out")" = "$lines" ] || fail "$*: not $lines lines: $(cat "$dir/out")"
	errors=$((errors + 1))
}

usage() { refused 2 1 "$@"; }
failure() { refused 1 1 "$@"; }

# config TEXT LINE...: a configuration with these lines
config()
{
	local text=$1

	shift
	printf '%s\n' "$@" >"$dir/guest.cfg"
	failure "$text" "$dir/guest.cfg"
}

truncate -s 1M "$dir/disk.img"
printf 'QFI\373' >"$dir/disk.qcow2"
truncate -s 1M "$dir/disk.qcow2"
head -c 4096 /dev/zero >"$dir/zeroes"
: >"$dir/file"

# the command line
usage 'there is nothing to boot: name a kernel (--kernel' --memory 64M
usage 'unknown option --frob; xenhost run --help' --frob
usage 'a value is missing after --kernel' --kernel
usage 'bad value: --memory lots' --memory lots
usage 'bad value: --vcpus 33' --vcpus 33
usage 'bad value: --vcpus 0' --vcpus 0
usage 'bad value: --disk /nowhere/disk' --disk /nowhere/disk
usage 'bad value: --net bridge=x' --net bridge=x
usage 'bad value: --net tap=a/b' --net tap=a/b
usage 'bad value: --net tap=a,mac=01:00:00:00:00:00' --net tap=a,mac=01:00:00:00:00:00
usage 'bad value: --name a/b' --name a/b
usage 'bad value: --uuid 1234' --uuid 1234
usage 'bad value: --on-crash weep' --on-crash weep
usage 'bad value: --on-watchdog bark' --on-watchdog bark
disks=()
for _ in $(seq 17); do
	disks+=(--disk "$dir/disk.img")
done
usage "bad value: --disk $dir/disk.img" "${disks[@]}"

# files
failure 'cannot read the guest'"'"'s kernel /nowhere: No such file' --kernel /nowhere
failure "cannot read the guest's kernel $dir: Is a directory" --kernel "$dir"
failure 'cannot read the guest'"'"'s initial RAM disk /nowhere' --kernel "$dir/zeroes" --initrd /nowhere
failure 'cannot use the disk /nowhere/disk.img: No such file' /nowhere/disk.img
failure "$dir/disk.img is no configuration, so nothing can follow it" "$dir/disk.img" memory=64
failure "no kernel is named, and GRUB to boot the disk with is not at $dir/no-grub: No such file or directory; install grub-xen-host" \
	"$dir/disk.img"
cp "$dir/disk.qcow2" "$dir/unnamed.img"
failure 'begins as a qcow2, and its format is not named: give it format=qcow2' --kernel "$dir/zeroes" "$dir/unnamed.img"
failure "cannot use the image $dir/disk.qcow2 as qcow2: it is of a version other than 2 and 3" \
	--kernel "$dir/zeroes" "$dir/disk.qcow2"
failure "cannot use the image $dir/disk.img as qcow2: it does not begin as a qcow2 image" \
	--kernel "$dir/zeroes" "$dir/disk.img,format=qcow2"
qemu-img create -q -f qcow2 "$dir/below.qcow2" 1M
qemu-img create -q -f qcow2 -F qcow2 -b below.qcow2 "$dir/top.qcow2"
failure "is on top of another one, below.qcow2: allow that with FILE,backing" --kernel "$dir/zeroes" "$dir/top.qcow2"
usage "bad value: --disk $dir/disk.img,format=vhd" --disk "$dir/disk.img,format=vhd"
usage "bad value: --disk nbd://127.0.0.1,format=qcow2" --disk nbd://127.0.0.1,format=qcow2
XENHOST_QEMU_NBD=$dir/no-nbd failure 'images of format qcow2 need qemu-nbd: install the package qemu-utils' \
	--kernel "$dir/zeroes" "$dir/below.qcow2"

# configurations
printf 'name = "a"\n' >"$dir/guest.cfg"
failure "there is nothing to boot" "$dir/guest.cfg"
failure "memroy=64: there is no key memroy; see xenhost-guest.cfg(5)" "$dir/guest.cfg" memroy=64
failure "memory=much: a value is missing" "$dir/guest.cfg" memory=much
config 'guest.cfg, line 2: there is no key kernle; see xenhost-guest.cfg(5)' 'name = "a"' 'kernle = "/boot/vmlinuz"'
config 'guest.cfg, line 1: a string without its closing quote' 'name = "a'
config 'guest.cfg: name is missing' 'memory = 64'
config 'line 2: type is refused: PV guests cannot run here; a Linux kernel since 4.11 runs with type = "pvh"' \
	'name = "a"' 'type = "pv"'
config 'line 1: type is refused: HVM guests cannot run here; a Linux guest runs with type = "pvh"' \
	'type = "hvm"'
config 'line 2: bootloader is refused: no program of the host reads guests'"'"' disks: leave it out' \
	'name = "a"' 'bootloader = "pygrub"'
config 'line 1: disk has an image of format vhd: only raw and qcow2 can be served' \
	'disk = [ "/a.vhd,vhd,xvda" ]'
config 'cannot read the guest'"'"'s image /nowhere/a.qcow2: No such file' 'name = "a"' "kernel = '$dir/zeroes'" \
	'disk = [ "/nowhere/a.qcow2,,xvda" ]'
config "line 1: disk has a mistake at 'colour=red': there is no such key of a disk" \
	'disk = [ "/a,,xvda,colour=red" ]'
config "cannot read the guest's image /nowhere/a: No such file" 'name = "a"' "kernel = '$dir/zeroes'" \
	"disk = [ '/nowhere/a,raw,xvda,rw' ]"

# Debian's own example is taken as it is, but for the paths: the kernel is what is wrong. tests/vm lets it run
if example=$("$SRCDIR/tests/support/stock-xen" --example 2>"$dir/why"); then
	sed -e "s|/boot/vmlinuz|$dir/zeroes|" -e "s|/dev/zvol/tank/guest-volume|$dir/disk.img|" "$example" >"$dir/guest.cfg"
	[ "$(diff "$example" "$dir/guest.cfg" | grep -c '^>')" = 2 ] || fail "the example has other paths than these"
	refused 1 2 'it is neither an x86 ELF file nor a bzImage' "$dir/guest.cfg"
elif grep -q ',stock,' <<<",${XENHOST_REQUIRE:-},"; then
	fail "$(cat "$dir/why")"
fi

# the run directory
failure 'has too long a name (at most 63 characters)' --kernel "$dir/zeroes" \
	--rundir "$dir/$(head -c 64 /dev/zero | tr '\0' x)"
failure "cannot make the run directory $dir/file/run: Not a directory" --kernel "$dir/zeroes" \
	--rundir "$dir/file/run"
failure 'Not a directory' --kernel "$dir/zeroes" --rundir "$dir/file/run" --detach

# what the guest's own program finds: its line, and the one that it did not start
refused 1 2 'it is neither an x86 ELF file nor a bzImage' --kernel "$dir/zeroes"
refused 1 2 'xenhost-vmm could not start (its reason stands above)' --detach --kernel "$dir/zeroes"
refused 1 2 "kernel $dir/file is empty" --kernel "$dir/file"

[ "$errors" -ge 40 ] || fail "only $errors errors were tried"
left=$(find "$dir" -maxdepth 1 -name 'xenhost.*')
[ -z "$left" ] || fail "left behind: $left"
