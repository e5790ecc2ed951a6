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
integ_upper_front_SOURCES = integ/upper-front.c \
	support/guest.c support/guest.h \
	support/guest_transport.c support/guest_transport.h
integ_upper_front_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)/common
integ_upper_front_LDADD = $(LIBXENHOST) $(LIBCOMMON)
TESTS += integ/example.sh
EXTRA_DIST += integ/example.sh

# services killed with grants in use
check_PROGRAMS += integ/grant-marks
TESTS += integ/grant-marks
integ_grant_marks_SOURCES = integ/grant-marks.c $(LOOPBACK_SOURCES)
integ_grant_marks_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_grant_marks_CFLAGS = $(LOOPBACK_CFLAGS)
integ_grant_marks_LDADD = $(LOOPBACK_LIBS)
