# SPDX-License-Identifier: MIT
# "make bench-net": frames through xenhost-netbackd beside bare reads and writes of a TAP.
EXTRA_PROGRAMS += bench/bench-net
bench_bench_net_SOURCES = bench/bench-net.c bench/bench.c bench/bench.h
bench_bench_net_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
bench_bench_net_CFLAGS = $(LOOPBACK_CFLAGS)
bench_bench_net_LDADD = $(LOOPBACK_LIBS)

bench-net: bench/bench-net
	$(abs_top_builddir)/run $(abs_builddir)/bench/bench-net
# guests' iperf3 beside QEMU 10's cards, in a machine of tests/vm
bench-net-vm:
	$(srcdir)/bench/net-vm $(abs_top_builddir)
EXTRA_DIST += bench/net-vm
.PHONY: bench-net bench-net-vm
