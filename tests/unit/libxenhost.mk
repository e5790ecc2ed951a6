# SPDX-License-Identifier: MIT
LIBCORE = $(top_builddir)/libxenhost/libcore.la

check_PROGRAMS += test-ring test-store test-store_wire
test_ring_SOURCES = test-ring.c
test_ring_LDADD = $(LIBCORE) $(CHECK_LIBS)
test_store_SOURCES = test-store.c
test_store_LDADD = $(LIBCORE) $(CHECK_LIBS)
test_store_wire_SOURCES = test-store_wire.c
test_store_wire_LDADD = $(LIBCORE) $(CHECK_LIBS)
