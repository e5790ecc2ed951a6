#!/bin/sh
# SPDX-License-Identifier: MIT
# Guests and services are killed with grants in use; XENHOST_KILLS rounds, a few without it.
exec python3 "$SRCDIR/tests/integ/kills.py" "$RUN" "$(dirname "$RUN")/tests/examples/upper-backend" "${XENHOST_KILLS:-3}"
