# SPDX-License-Identifier: MIT
# hypercall-bridge/bridged, and the library's half of grants
LIBBRIDGED = $(top_builddir)/hypercall-bridge/bridged/libbridged.la
check_PROGRAMS += test-evtchn test-domain test-direct

test_evtchn_SOURCES = test-evtchn.c
test_evtchn_LDADD = $(LIBBRIDGED) $(LDADD)

test_domain_SOURCES = test-domain.c
test_domain_LDADD = $(LIBBRIDGED) $(LDADD)

test_direct_SOURCES = test-direct.c
test_direct_LDADD = $(top_builddir)/libxenhost/libcore.la $(LDADD) -lpthread

# the real daemon
check_PROGRAMS += test-bridged
test_bridged_SOURCES = test-bridged.c $(TEST_DAEMON) ../support/peer.c ../support/peer.h
test_bridged_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_bridged_LDADD = $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(LDADD)

# the same with a keeper, killed
check_PROGRAMS += test-bridged-restart test-state
test_bridged_restart_SOURCES = test-bridged-restart.c ../support/peer.c ../support/peer.h \
	../../tools/keeper.c ../../tools/process.c
test_bridged_restart_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_BUILDDIR='"$(abs_top_builddir)"' -DXENHOST_SBINDIR='"$(sbindir)"'
test_bridged_restart_LDADD = $(LIBBRIDGED) $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(LDADD) -lpthread

test_state_SOURCES = test-state.c
test_state_LDADD = $(LIBBRIDGED) $(LDADD)
