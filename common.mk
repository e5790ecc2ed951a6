# SPDX-License-Identifier: MIT
# Included by every Makefile.am: one place for flags and paths.
XENHOST_WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wcast-align -Wformat=2 \
	-Wimplicit-fallthrough -Wredundant-decls -Wnested-externs -Wno-unused-parameter
AM_CPPFLAGS = -I$(top_srcdir) -I$(top_builddir) -I$(top_srcdir)/libxenhost/include
AM_CFLAGS = -std=gnu11 $(XENHOST_WARNINGS) $(WERROR_CFLAGS) $(SANITIZER_CFLAGS) \
	-fvisibility=hidden -fstack-protector-strong
# a library that nothing is used of is not loaded
AM_LDFLAGS = -Wl,--as-needed $(SANITIZER_CFLAGS)

list-tests:
	@echo $(TESTS)
.PHONY: list-tests

LIBCOMMON = $(top_builddir)/common/libcommon.la
LIBXENHOST = $(top_builddir)/libxenhost/libxenhost.la
LIBLOOPGUEST = $(top_builddir)/loopguest/libloopguest.la
LIBDAEMON = $(top_builddir)/common/libdaemon.la
LIBFILTER = $(top_builddir)/common/libfilter.la
# what tests share; it stands before the libraries that it needs
LIBSUPPORT = $(top_builddir)/tests/support/libsupport.la $(top_builddir)/tools/libguestcfg.la
LIBBACKEND = $(top_builddir)/backend/libbackend.la
