# SPDX-License-Identifier: MIT
check_PROGRAMS += test-net-ring test-tap

test_net_ring_SOURCES = test-net-ring.c $(top_srcdir)/netbackd/net_ring.c
test_tap_SOURCES = test-tap.c $(top_srcdir)/netbackd/tap.c
