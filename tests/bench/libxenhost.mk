# SPDX-License-Identifier: MIT
# "make bench-event": the library's data path. Not a test: figures need a machine that has nothing else to do.
EXTRA_PROGRAMS += bench/bench-event
bench_bench_event_SOURCES = bench/bench-event.c bench/bench.c bench/bench.h
bench_bench_event_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
bench_bench_event_CFLAGS = $(LOOPBACK_CFLAGS)
bench_bench_event_LDADD = $(LOOPBACK_LIBS)

bench-event: bench/bench-event
	$(abs_top_builddir)/run $(abs_builddir)/bench/bench-event

# a thousand guests beside one
EXTRA_PROGRAMS += bench/bench-guests
bench_bench_guests_SOURCES = bench/bench-guests.c bench/bench.c bench/bench.h
bench_bench_guests_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
bench_bench_guests_CFLAGS = $(LOOPBACK_CFLAGS)
bench_bench_guests_LDADD = $(LOOPBACK_LIBS)

bench-guests: bench/bench-guests
	$(abs_top_builddir)/run $(abs_builddir)/bench/bench-guests
.PHONY: bench-event bench-guests
