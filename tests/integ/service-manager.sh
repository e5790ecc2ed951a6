#!/bin/bash
# SPDX-License-Identifier: MIT
# The daemons under a service manager: what service-manager.py says.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/daemon.sh"
python3 "$SRCDIR/tests/integ/service-manager.py" "$dir"
