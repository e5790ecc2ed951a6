# SPDX-License-Identifier: MIT
# common/
check_PROGRAMS += test-bridge-wire test-options

test_bridge_wire_SOURCES = test-bridge-wire.c
test_bridge_wire_LDADD = $(LIBCOMMON) $(LDADD)

test_options_SOURCES = test-options.c
test_options_LDADD = $(LIBDAEMON) $(LDADD)
