# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-net-ring
fuzz_net_ring_SOURCES = \
	fuzz-net-ring.c \
	$(top_srcdir)/netbackd/net_filter.c \
	$(top_srcdir)/netbackd/net_offload.c \
	$(top_srcdir)/netbackd/net_ring.c

check_PROGRAMS += fuzz-net-stream
fuzz_net_stream_SOURCES = fuzz-net-stream.c $(top_srcdir)/netbackd/net_stream.c
