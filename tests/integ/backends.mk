# SPDX-License-Identifier: MIT
# Back ends driven by loopback guests; each is a Check program that starts a set of daemons of this build.
LOOPBACK_TESTS = \
	integ/loopback-blk-nbd \
	integ/loopback-blk-own \
	integ/loopback-blk-qcow2 \
	integ/loopback-blk-tool \
	integ/loopback-net \
	integ/loopback-net-hostile \
	integ/loopback-net-keys \
	integ/loopback-net-restart \
	integ/loopback-net-tool \
	integ/loopback-net-user \
	integ/loopback-restart \
	integ/loopback-store \
	integ/loopback-store-kills
if HEAVY_TESTS
LOOPBACK_TESTS += integ/loopback-blk integ/loopback-blk-restart integ/loopback-net-frames
endif
check_PROGRAMS += $(LOOPBACK_TESTS)
TESTS += $(LOOPBACK_TESTS)

LOOPBACK_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)/common -DXENHOST_SBINDIR='"$(sbindir)"'
LOOPBACK_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
LOOPBACK_LIBS = $(LIBSUPPORT) $(LIBLOOPGUEST) $(LIBXENHOST) $(LIBCOMMON) $(LIBDAEMON) $(CHECK_LIBS) -lpthread

integ_loopback_blk_SOURCES = integ/loopback-blk.c
integ_loopback_blk_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_LDADD = $(LOOPBACK_LIBS)

integ_loopback_blk_restart_SOURCES = integ/loopback-blk-restart.c
integ_loopback_blk_restart_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_restart_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_restart_LDADD = $(LOOPBACK_LIBS)

integ_loopback_blk_nbd_SOURCES = integ/loopback-blk-nbd.c
integ_loopback_blk_nbd_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_nbd_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_nbd_LDADD = $(LOOPBACK_LIBS)

integ_loopback_blk_own_SOURCES = integ/loopback-blk-own.c
integ_loopback_blk_own_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_own_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_own_LDADD = $(LOOPBACK_LIBS)

integ_loopback_blk_qcow2_SOURCES = integ/loopback-blk-qcow2.c ../tools/image_server.c ../tools/jail.c ../tools/qcow2.c
integ_loopback_blk_qcow2_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_qcow2_CFLAGS = $(LOOPBACK_CFLAGS) $(LIBSECCOMP_CFLAGS)
integ_loopback_blk_qcow2_LDADD = $(LOOPBACK_LIBS) $(LIBSECCOMP_LIBS)

integ_loopback_blk_tool_SOURCES = integ/loopback-blk-tool.c
integ_loopback_blk_tool_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_blk_tool_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_blk_tool_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_SOURCES = integ/loopback-net.c
integ_loopback_net_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_LDADD = $(LIBFILTER) $(LOOPBACK_LIBS)

integ_loopback_net_hostile_SOURCES = integ/loopback-net-hostile.c
integ_loopback_net_hostile_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_hostile_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_hostile_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_tool_SOURCES = integ/loopback-net-tool.c
integ_loopback_net_tool_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_tool_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_tool_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_user_SOURCES = integ/loopback-net-user.c
integ_loopback_net_user_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_user_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_user_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_keys_SOURCES = integ/loopback-net-keys.c
integ_loopback_net_keys_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_keys_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_keys_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_restart_SOURCES = integ/loopback-net-restart.c
integ_loopback_net_restart_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_restart_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_restart_LDADD = $(LOOPBACK_LIBS)

integ_loopback_net_frames_SOURCES = integ/loopback-net-frames.c
integ_loopback_net_frames_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_net_frames_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_net_frames_LDADD = $(LOOPBACK_LIBS)

integ_loopback_store_kills_SOURCES = integ/loopback-store-kills.c
integ_loopback_store_kills_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_store_kills_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_store_kills_LDADD = $(LOOPBACK_LIBS) -lpthread
integ_loopback_store_SOURCES = integ/loopback-store.c
integ_loopback_store_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_store_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_store_LDADD = $(LOOPBACK_LIBS)

integ_loopback_restart_SOURCES = integ/loopback-restart.c
integ_loopback_restart_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_loopback_restart_CFLAGS = $(LOOPBACK_CFLAGS)
integ_loopback_restart_LDADD = $(LOOPBACK_LIBS)
