# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-ring fuzz-store-wire fuzz-xenbus
fuzz_ring_SOURCES = fuzz-ring.c $(top_srcdir)/libxenhost/ring.c
fuzz_store_wire_SOURCES = fuzz-store-wire.c $(top_srcdir)/libxenhost/store_wire.c
fuzz_xenbus_SOURCES = fuzz-xenbus.c $(top_srcdir)/libxenhost/xenbus.c $(top_srcdir)/libxenhost/store_wire.c
