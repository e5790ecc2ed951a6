# SPDX-License-Identifier: MIT
# make bench-store: our Xenstore beside Debian's own two. Nothing of it is built by "make" or "make check".
EXTRA_PROGRAMS += bench/store-load
bench_store_load_SOURCES = bench/store-load.c
EXTRA_LTLIBRARIES += idle.la
idle_la_SOURCES = bench/store-idle.c
idle_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -rpath /nonexistent
idle_la_LIBADD = $(LIBXENHOST)
EXTRA_DIST += bench/store.py
CLEANFILES += $(EXTRA_PROGRAMS) $(EXTRA_LTLIBRARIES)

bench-store: bench/store-load$(EXEEXT) idle.la xen-stub.la
	XENHOST_TRANSPORTS='$(abs_builddir)/.libs' python3 $(srcdir)/bench/store.py $(BENCHFLAGS) \
		--stock-daemon $(srcdir)/support/stock-daemon --stub '$(abs_builddir)/.libs/xen-stub.so' \
		--load '$(abs_builddir)/bench/store-load' \
		--daemon '$(abs_top_builddir)/run' xenhost-xenstored
.PHONY: bench-store
