# SPDX-License-Identifier: MIT
# hypercall-bridge/bridged, and the library's half of grants
LIBBRIDGED = $(top_builddir)/hypercall-bridge/bridged/libbridged.la
check_PROGRAMS += test-evtchn test-domain test-direct test-direct-changes

test_evtchn_SOURCES = test-evtchn.c
test_evtchn_LDADD = $(LIBBRIDGED) $(LDADD)

test_domain_SOURCES = test-domain.c
test_domain_LDADD = $(LIBBRIDGED) $(LDADD)

test_direct_SOURCES = test-direct.c
test_direct_LDADD = $(top_builddir)/libxenhost/libcore.la $(LDADD) -lpthread

# eventfds that peers abuse
check_PROGRAMS += test-notify
test_notify_SOURCES = test-notify.c
test_notify_LDADD = $(LIBBRIDGED) $(top_builddir)/libxenhost/libcore.la $(LDADD) -lpthread

# with direct.c compiled in, see there
test_direct_changes_SOURCES = test-direct-changes.c
test_direct_changes_LDADD = $(top_builddir)/libxenhost/libcore.la $(LDADD) -lpthread

# the real daemon
check_PROGRAMS += test-bridged
test_bridged_SOURCES = test-bridged.c
test_bridged_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_bridged_LDADD = $(LIBSUPPORT) $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(LDADD) -lpthread

# the same with a keeper, killed
check_PROGRAMS += test-bridged-restart test-state
test_bridged_restart_SOURCES = test-bridged-restart.c
test_bridged_restart_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_bridged_restart_LDADD = $(LIBSUPPORT) $(LIBBRIDGED) $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(LDADD) -lpthread

test_state_SOURCES = test-state.c
test_state_LDADD = $(LIBBRIDGED) $(LDADD)

# what may be asked and what may not; other versions
check_PROGRAMS += test-bridged-ops test-bridge-skew
test_bridged_ops_SOURCES = test-bridged-ops.c
test_bridged_ops_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_bridged_ops_LDADD = $(LIBSUPPORT) $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(LDADD) -lpthread

test_bridge_skew_SOURCES = test-bridge-skew.c
test_bridge_skew_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_bridge_skew_LDADD = $(LIBSUPPORT) $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(LDADD) -lpthread

check_PROGRAMS += test-policy
test_policy_SOURCES = test-policy.c
test_policy_LDADD = $(LIBBRIDGED) $(LDADD)
