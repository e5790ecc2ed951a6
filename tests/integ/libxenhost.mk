# SPDX-License-Identifier: MIT
# The library as programs outside of this tree see it: plug-ins, the exported symbols, an installed copy.

# the first plug-in; not installed. -rpath makes a shared object of a library that is only built to check
check_LTLIBRARIES = files.la
files_la_SOURCES = support/transport_files.c
files_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -rpath /nonexistent
files_la_LIBADD = $(LIBXENHOST)

check_PROGRAMS += integ/plugin
TESTS += integ/plugin
integ_plugin_SOURCES = integ/plugin.c
integ_plugin_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_DIR='"$(abs_builddir)/.libs"'
integ_plugin_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
integ_plugin_LDADD = $(LIBXENHOST) $(CHECK_LIBS)

TESTS += integ/man-examples.sh
EXTRA_DIST += integ/man-examples.sh

# the example back end and a loopback guest with its front end
check_PROGRAMS += integ/upper-front
integ_upper_front_SOURCES = integ/upper-front.c
integ_upper_front_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)/common
integ_upper_front_LDADD = $(LIBLOOPGUEST) $(LIBXENHOST) $(LIBCOMMON)
TESTS += integ/example.sh
EXTRA_DIST += integ/example.sh

# services killed with grants in use
check_PROGRAMS += integ/grant-marks
TESTS += integ/grant-marks
integ_grant_marks_SOURCES = integ/grant-marks.c
integ_grant_marks_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_grant_marks_CFLAGS = $(LOOPBACK_CFLAGS)
integ_grant_marks_LDADD = $(LOOPBACK_LIBS)

# their hypercalls
check_PROGRAMS += integ/loopguest-hypercalls
TESTS += integ/loopguest-hypercalls
integ_loopguest_hypercalls_SOURCES = integ/loopguest-hypercalls.c
integ_loopguest_hypercalls_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopguest_hypercalls_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopguest_hypercalls_LDADD = $(LOOPBACK_LIBS)

# installed guests without a machine, and the tools that look at them; the example as its users build it is in example.sh
check_PROGRAMS += examples/upper-backend
examples_upper_backend_SOURCES = ../examples/upper-backend.c
examples_upper_backend_LDADD = $(LIBXENHOST)
TESTS += integ/kills.sh integ/loopguest.sh
EXTRA_DIST += integ/kills.py integ/kills.sh integ/loopguest.sh

# one list of calls over every transport
check_PROGRAMS += integ/transports integ/transports-fake
TESTS += integ/transports integ/transports-fake
integ_transports_SOURCES = integ/transports.c
integ_transports_CPPFLAGS = $(LOOPBACK_CPPFLAGS) -DPLUGIN_DIR='"$(abs_builddir)/.libs"'
integ_transports_CFLAGS = $(LOOPBACK_CFLAGS)
integ_transports_LDADD = $(LOOPBACK_LIBS)
integ_transports_fake_SOURCES = integ/transports.c support/daemon.c support/daemon.h ../tools/keeper.c ../tools/keeper.h \
	../tools/process.c ../tools/process.h
integ_transports_fake_CPPFLAGS = $(LOOPBACK_CPPFLAGS) -DWORLD_FAKE -DTOP_BUILDDIR='"$(abs_top_builddir)"'
integ_transports_fake_CFLAGS = $(LOOPBACK_CFLAGS)
integ_transports_fake_LDADD = $(top_builddir)/libxenhost/libcore.la $(LIBDAEMON) $(CHECK_LIBS)
