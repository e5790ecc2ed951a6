#!/bin/sh
# SPDX-License-Identifier: MIT
# The include graph: which folder may use which. A line says who; the rest are the prefixes it may include
# beside system headers and config.h.
set -eu
cd "${SRCDIR:-$(dirname "$0")/..}"
failed=0

# check FOLDER PREFIX...: every quoted include of FOLDER must begin with one of the prefixes
check() {
	folder=$1
	shift
	for file in "$folder"/*.[ch]; do
		[ -e "$file" ] || continue
		sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file" | while read -r inc; do
			ok=no
			for prefix in config.h "$@"; do
				case $inc in "$prefix"*) ok=yes ;; esac
			done
			[ $ok = yes ] || echo "$file includes $inc"
		done
	done
}

# check_public FOLDER PATTERN: no system include of FOLDER may match
forbid() {
	grep -Ens "^#include <($2)" "$1"/*.[ch] | sed 's/^/not allowed here: /' || :
}

{
	check common common/
	check libxenhost libxenhost/ common/
	check xenstored xenstored/ common/
	check opend opend/ common/
	check backend backend/ common/
	check blkbackd blkbackd/ backend/ common/
	check netbackd netbackd/ backend/ common/
	check dbusd dbusd/ common/
	check tools tools/ common/
	check loopguest loopguest/ hypercall-bridge/guest/ common/
	check hypercall-bridge/guest hypercall-bridge/guest/ common/
	check hypercall-bridge/bridged hypercall-bridge/bridged/ common/
	check hypercall-bridge/vmm hypercall-bridge/vmm/ hypercall-bridge/guest/ common/
	check libxenhost/include/xenhost none
	forbid hypercall-bridge/bridged 'xenhost/'
	forbid hypercall-bridge/vmm 'xenhost/'
	forbid hypercall-bridge/guest 'xenhost/'
	forbid opend 'xenhost/'
	# event.h is the one that is for users of another library
	forbid libxenhost/include/xenhost 'xen/|event2/' | grep -v '/event.h:.*<event2/event.h' || :
	for folder in common libxenhost xenstored opend backend blkbackd netbackd loopguest dbusd tools hypercall-bridge/guest \
		hypercall-bridge/bridged hypercall-bridge/vmm; do
		# Xen's headers come through common/xen.h, in one interface version
		forbid $folder 'xen/'
	done
} | grep -v '^not allowed here: common/xen.h:' > "${TMPDIR:-/tmp}/xenhost-includes.$$" || :

if [ -s "${TMPDIR:-/tmp}/xenhost-includes.$$" ]; then
	cat "${TMPDIR:-/tmp}/xenhost-includes.$$"
	failed=1
fi
rm -f "${TMPDIR:-/tmp}/xenhost-includes.$$"
exit $failed
