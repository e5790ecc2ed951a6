#!/bin/bash
# SPDX-License-Identifier: MIT
# Another program in the daemon's place (CONTROL live-update): what socket clients have goes on, and what
# cannot be done leaves everything as it was.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

command -v python3 >/dev/null || skip python "python3 is missing"
program=$(dirname "$RUN")/xenstored/xenhost-xenstored
xenstored_start xenhost-xenstored --host none
python3 "$SRCDIR/tests/integ/xenstored-live-update.py" "$dir" "$program" || fail "see above"
[ "$(grep -c 'live-update: from here on' "$dir/log")" -ge 5 ] || fail "no live updates happened"

# Debian's own client
if stock=$("$SRCDIR/tests/support/stock-xen" 2>/dev/null); then
	stock=$stock/xenstore-control
	"$stock" live-update "$program" || fail "$stock live-update failed"
	"$stock" live-update -c "--rundir $dir --host none" "$program" || fail "$stock live-update -c failed"
	! "$stock" live-update /bin/true 2>"$dir/refused" || fail "/bin/true serves now"
fi
xenstored_end # with status 0, and the socket is gone
