# SPDX-License-Identifier: MIT
# common/
check_PROGRAMS += test-bridge-wire test-conf-text test-listener test-manager test-options

test_bridge_wire_SOURCES = test-bridge-wire.c
test_bridge_wire_LDADD = $(LIBCOMMON) $(LDADD)

test_conf_text_SOURCES = test-conf-text.c
test_conf_text_LDADD = $(LIBDAEMON) $(LDADD)

test_listener_SOURCES = test-listener.c
test_listener_LDADD = $(LIBDAEMON) $(LIBEVENT_LIBS) $(LDADD)

test_options_SOURCES = test-options.c
test_options_LDADD = $(LIBDAEMON) $(LDADD)

test_manager_SOURCES = test-manager.c
test_manager_LDADD = $(LIBDAEMON) $(LDADD)
