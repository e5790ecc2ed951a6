#!/bin/bash
# SPDX-License-Identifier: MIT
# SIGTERM ends a daemon also when whoever started it had its signals blocked: a mask goes through fork and exec.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"

cat >"$dir/blocked" <<END
#!/bin/sh
exec env --block-signal "$RUN" "\$@"
END
chmod +x "$dir/blocked"
RUN=$dir/blocked

daemon_start xenhost-bridged
bridged=$started
daemon_start xenhost-xenstored --host none
xenstored=$started
# a mask that is empty, and not only without these two: children would have it, too
for pid in "$bridged" "$xenstored"; do
	grep -q '^SigBlk:[[:space:]]*0*$' "/proc/$pid/status" || fail "$(grep SigBlk "/proc/$pid/status")"
	daemon_end "$pid"
done
