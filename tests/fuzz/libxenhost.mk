# SPDX-License-Identifier: MIT
LIBCORE = $(top_builddir)/libxenhost/libcore.la

check_PROGRAMS += fuzz-ring fuzz-store_wire
fuzz_ring_SOURCES = fuzz-ring.c
fuzz_ring_LDADD = $(LIBCORE)
fuzz_store_wire_SOURCES = fuzz-store_wire.c
fuzz_store_wire_LDADD = $(LIBCORE)
