#!/bin/bash
# SPDX-License-Identifier: MIT
# Quotas are exact, and each refusal is logged once with domain, quota and value.
# shellcheck source-path=SCRIPTDIR
. "$SRCDIR/tests/support/xenstored.sh"

command -v python3 >/dev/null || skip python "python3 is missing"
xenstored_start xenhost-xenstored --host none
python3 "$SRCDIR/tests/integ/xenstored-quota.py" "$dir" "$dir/log" || fail "see above"
xenstored_end
