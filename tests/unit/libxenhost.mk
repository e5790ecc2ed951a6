# SPDX-License-Identifier: MIT
LIBCORE = $(top_builddir)/libxenhost/libcore.la

check_PROGRAMS += test-ring
test_ring_SOURCES = test-ring.c
test_ring_LDADD = $(LIBCORE) $(CHECK_LIBS)
