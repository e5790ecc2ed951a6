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
