# SPDX-License-Identifier: MIT
# Back ends driven by loopback guests; each is a Check program that starts a set of daemons of this build.
check_PROGRAMS += integ/loopback-blk integ/loopback-blk-restart integ/loopback-blk-tool integ/loopback-net integ/loopback-store
TESTS += integ/loopback-blk integ/loopback-blk-restart integ/loopback-blk-tool integ/loopback-net integ/loopback-store

LOOPBACK_SOURCES = \
	support/daemon.c support/daemon.h \
	support/front.c support/front.h \
	support/guest.c support/guest.h \
	support/set.c support/set.h \
	../tools/process.c ../tools/process.h
LOOPBACK_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)/common -DXENHOST_SBINDIR='"$(sbindir)"'
LOOPBACK_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
LOOPBACK_LIBS = $(LIBXENHOST) $(LIBCOMMON) $(LIBDAEMON) $(CHECK_LIBS)

integ_loopback_blk_SOURCES = integ/loopback-blk.c support/disk.c support/disk.h $(LOOPBACK_SOURCES)
integ_loopback_blk_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_LDADD = $(LOOPBACK_LIBS)

integ_loopback_blk_restart_SOURCES = integ/loopback-blk-restart.c support/disk.c support/disk.h $(LOOPBACK_SOURCES)
integ_loopback_blk_restart_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_restart_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_restart_LDADD = $(LOOPBACK_LIBS)

integ_loopback_blk_tool_SOURCES = integ/loopback-blk-tool.c support/disk.c support/disk.h $(LOOPBACK_SOURCES)
integ_loopback_blk_tool_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_tool_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_tool_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_SOURCES = integ/loopback-net.c $(LOOPBACK_SOURCES)
integ_loopback_net_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_LDADD = $(LOOPBACK_LIBS)

integ_loopback_store_SOURCES = integ/loopback-store.c $(LOOPBACK_SOURCES)
integ_loopback_store_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_store_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_store_LDADD = $(LOOPBACK_LIBS)
