# SPDX-License-Identifier: MIT
# "make bench-net": frames through xenhost-netbackd beside bare reads and writes of a TAP.
EXTRA_PROGRAMS += bench/bench-net
bench_bench_net_SOURCES = bench/bench-net.c bench/bench.c bench/bench.h
bench_bench_net_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
bench_bench_net_CFLAGS = $(LOOPBACK_CFLAGS)
bench_bench_net_LDADD = $(LOOPBACK_LIBS)

bench-net: bench/bench-net
	$(abs_top_builddir)/run $(abs_builddir)/bench/bench-net
.PHONY: bench-net
