# SPDX-License-Identifier: MIT
# xenstored by itself, without guests or with some that are played by files: that needs a transport
# which is not installed, so the daemon is linked with it once more.
check_PROGRAMS += xenstored-files
xenstored_files_SOURCES = ../xenstored/main.c support/transport_files.c
xenstored_files_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS)
xenstored_files_LDADD = $(top_builddir)/xenstored/libxenstored.la $(LIBXENHOST) $(LIBDAEMON) \
	$(LIBEVENT_LIBS)

XENSTORED_TESTS = integ/xenstored-stock-clients.sh integ/xenstored-prober.sh integ/xenstored-restart.sh
TESTS += $(XENSTORED_TESTS)
EXTRA_DIST += $(XENSTORED_TESTS) integ/xenstored-restart.py support/restart-xenstored.sh
