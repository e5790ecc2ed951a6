# SPDX-License-Identifier: MIT
LIBCORE = $(top_builddir)/libxenhost/libcore.la

check_PROGRAMS += fuzz-ring
fuzz_ring_SOURCES = fuzz-ring.c
fuzz_ring_LDADD = $(LIBCORE)
