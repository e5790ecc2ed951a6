# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-bridge-wire
fuzz_bridge_wire_SOURCES = fuzz-bridge-wire.c $(top_srcdir)/common/bridge_wire.c
fuzz_bridge_wire_LDADD = $(LIBCOMMON)
