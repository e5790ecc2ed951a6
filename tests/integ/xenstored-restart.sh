#!/bin/bash
# SPDX-License-Identifier: MIT
# kill -9 under guests that write, watch and use transactions: no answer is lost or given twice, what was
# acknowledged is there, watches still fire, accounts agree.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

command -v python3 >/dev/null || skip python "python3 is missing"
mkdir "$dir/rings"
XENHOST_TRANSPORTS=$(dirname "$RUN")/tests/.libs
export XENHOST_TRANSPORTS
python3 "$SRCDIR/tests/integ/xenstored-restart.py" "$dir" "${KILLS:-20}" \
	"$RUN" "$(dirname "$RUN")/xenstored/xenhost-xenstored" || fail "see above"
