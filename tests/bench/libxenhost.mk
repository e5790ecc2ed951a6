# SPDX-License-Identifier: MIT
# "make bench-event": the library's data path. Not a test: figures need a machine that has nothing else to do.
EXTRA_PROGRAMS += bench/bench-event
bench_bench_event_SOURCES = bench/bench-event.c bench/bench.c bench/bench.h \
	support/set.c support/set.h \
	../tools/keeper.c ../tools/keeper.h \
	../tools/process.c ../tools/process.h
bench_bench_event_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)/common -DXENHOST_SBINDIR='"$(sbindir)"'
bench_bench_event_LDADD = $(LIBLOOPGUEST) $(LIBXENHOST) $(LIBCOMMON) $(LIBDAEMON) -lpthread

bench-event: bench/bench-event
	$(abs_top_builddir)/run $(abs_builddir)/bench/bench-event
.PHONY: bench-event
