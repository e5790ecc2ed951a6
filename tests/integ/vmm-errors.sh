#!/bin/bash
# SPDX-License-Identifier: MIT
# Guests that cannot be started: one line each that says why, exit status 1, and no domain left behind.
# What needs KVM to be refused (memory, name) is in tests/vm/l1.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

# make_kernel FILE NOTE...: an x86-64 ELF with one segment and notes "TYPE VALUE" of owner Xen
make_kernel()
{
	python3 - "$@" <<-'EOF'
		import struct, sys
		notes = b"".join(struct.pack("<III4sI", 4, 4, int(n.split()[0]), b"Xen\0", int(n.split()[1], 0))
				 for n in sys.argv[2:])
		head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
		head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x100000, 64, 0, 0, 64, 56, 2, 0, 0, 0)
		load = struct.pack("<IIQQQQQQ", 1, 5, 512, 0x100000, 0x100000, 256, 256, 4096)
		note = struct.pack("<IIQQQQQQ", 4, 4, 256, 0, 0, len(notes), len(notes), 4)
		body = (head + load + note).ljust(256, b"\0") + notes
		open(sys.argv[1], "wb").write(body.ljust(768, b"\0"))
	EOF
}

# refused TEXT COMMAND...: status 1 and one line with TEXT
refused()
{
	local status=0 text=$1

	shift
	"$RUN" "$@" >"$dir/out" 2>&1 </dev/null || status=$?
	[ "$status" = 1 ] || fail "$*: status $status: $(cat "$dir/out")"
	grep -qF -- "$text" "$dir/out" || fail "$*: '$text' is not in: $(cat "$dir/out")"
	[ "$(wc -l <"$dir/out")" = 1 ] || fail "$*: more than one line: $(cat "$dir/out")"
}

vmm()
{
	local text=$1

	shift
	refused "$text" xenhost-vmm --rundir "$dir" --name a "$@"
}

make_kernel "$dir/good" '18 0x100000'
make_kernel "$dir/no-note"
make_kernel "$dir/other-notes" '5 0x100000'
make_kernel "$dir/pv-only" '1 0x100000' '2 0'
head -c 200 "$dir/good" >"$dir/short"
head -c 4096 /dev/zero >"$dir/zeroes"
: >"$dir/empty"

vmm 'cannot read kernel /nowhere: No such file' --kernel /nowhere
vmm 'is not a regular file' --kernel "$dir"
vmm 'is empty' --kernel "$dir/empty"
vmm 'it is neither an x86 ELF file nor a bzImage' --kernel "$dir/zeroes"
vmm 'its ELF headers are damaged' --kernel "$dir/short"
vmm 'it has no PVH entry point (a Linux kernel needs CONFIG_PVH=y)' --kernel "$dir/no-note"
vmm 'it is a Xen kernel for PV guests only' --kernel "$dir/pv-only"
vmm 'cannot read initrd /nowhere' --kernel "$dir/good" --initrd /nowhere
[ -e /dev/kvm ] || vmm 'KVM is missing (/dev/kvm: No such file or directory)' --kernel "$dir/good"

# what the configuration of a guest can have wrong
config()
{
	local text=$1

	shift
	printf '%s\n' "$@" >"$dir/guest.conf"
	refused "$text" xenhost supervise --rundir "$dir" --config "$dir/guest.conf" a
}

refused 'cannot read the guest'"'"'s configuration' xenhost supervise --rundir "$dir" \
	--config /nowhere a
config 'line 2: there is no such option (kernle)' '# a comment' "kernle = $dir/good"
config 'line 1: a value is missing: write OPTION = VALUE (memory)' memory
config 'line 3: bad value (memory)' "kernel = $dir/good" '' 'memory = much'
config 'line 1: this option takes no value (sparse)' 'sparse = yes'
config 'line 1: bad value (on-crash)' 'on-crash = weep'
config 'line 1: bad value (uuid)' 'uuid = 1234'
config 'line 1: bad value (vcpus)' 'vcpus = 33'
config 'is about a guest of another name, b' 'name = b' "kernel = $dir/good"
config 'there is nothing to boot: name a kernel' 'memory = 64M'
config 'does it run?' "kernel = $dir/good"
refused 'cannot reach the console of a' xenhost console --rundir "$dir" a
