# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Helpers shared by the scripts of the VM rig. Sourced, never run.

# shellcheck disable=SC2034 # used by the scripts that source this one
rig_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034
rig_cache=${XENHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenhost}
# mkfs.ext4, depmod and friends are not on an ordinary user's path.
PATH=$PATH:/usr/sbin:/sbin

say()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die()
{
	say "$*"
	exit 1
}

need()
{
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null ||
			die "$tool is not installed; run scripts/install-deps"
	done
}

# Makes a folder for this run in $work; it is removed at the end unless keep_work is called.
make_work()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/xenhost-vm.XXXXXX")
	trap 'rm -rf "$work"' EXIT
}

keep_work()
{
	trap - EXIT
	rm -f "$work/initrd"
	say "logs are kept in $work"
}

# pack DIR: a cpio archive of DIR on stdout, the same bytes for the same content, owned by root.
pack()
{
	(cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
		cpio --null --create --format=newc --owner=0:0 --reproducible --quiet)
}

# add_file ROOT SRC DEST: copies SRC to ROOT/DEST. Folders that are links in the image (bin, lib)
# are written through to usr/, as an archive entry would replace the link.
add_file()
{
	local dest=${3#/}

	case $dest in
	bin/* | sbin/* | lib/* | lib64/*) dest=usr/$dest ;;
	esac
	mkdir -p "$1/${dest%/*}"
	cp -L --preserve=mode,timestamps "$2" "$1/$dest"
}

# libs_of PROGRAM: the shared libraries it loads, with those it opens only when a thread ends.
libs_of()
{
	local lib

	ldd "$1" 2>/dev/null | awk '$2 == "=>" && $3 ~ "^/" { print $3 } $1 ~ "^/" { print $1 }'
	# shellcheck disable=SC2016
	if ldd "$1" 2>/dev/null | grep -q libc.so; then
		lib=$(ldconfig -p | awk '/libgcc_s.so.1.*x86-64/ { print $NF; exit }')
		[ -z "$lib" ] || echo "$lib"
	fi
}

# missing_libs PROGRAM: what the loader would not find.
missing_libs()
{
	ldd "$1" 2>/dev/null | awk '/not found/ { print $1 }'
}

# add_program ROOT SRC DEST: a program with its libraries.
add_program()
{
	local lib missing

	missing=$(missing_libs "$2" | tr '\n' ' ')
	[ -z "$missing" ] || die "$2 needs $missing, which is not found on this machine"
	add_file "$1" "$2" "$3"
	while read -r lib; do
		add_file "$1" "$lib" "$(realpath "${lib%/*}")/${lib##*/}"
	done < <(libs_of "$2")
}

# add_net_tools ROOT: what the guests of l1/network.sh fetch
add_net_tools()
{
	local tool

	for tool in iperf3 ethtool; do
		need $tool
		add_program "$1" "$(command -v $tool)" usr/bin/$tool
	done
}
