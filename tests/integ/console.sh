#!/bin/bash
# SPDX-License-Identifier: MIT
# xenhost console on a terminal: what console.py says.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"
python3 "$SRCDIR/tests/integ/console.py" "$RUN" "$dir"
