# SPDX-License-Identifier: MIT
check_PROGRAMS += test-confine test-net-filter test-net-offload test-net-redo test-net-ring test-net-stream test-tap

test_confine_SOURCES = test-confine.c $(top_srcdir)/backend/confine.c $(top_srcdir)/netbackd/vif_filter.c
test_confine_LDADD = $(LIBFILTER) $(LDADD)
test_net_filter_SOURCES = \
	test-net-filter.c \
	$(top_srcdir)/netbackd/mcast.c \
	$(top_srcdir)/netbackd/net_filter.c
test_net_offload_SOURCES = test-net-offload.c $(top_srcdir)/netbackd/net_offload.c
test_net_redo_SOURCES = test-net-redo.c $(top_srcdir)/netbackd/vif_redo.c
test_net_redo_LDADD = $(top_builddir)/libxenhost/libcore.la $(LDADD)
test_net_ring_SOURCES = test-net-ring.c $(top_srcdir)/netbackd/net_ring.c
test_net_stream_SOURCES = test-net-stream.c $(top_srcdir)/netbackd/net_stream.c $(top_srcdir)/netbackd/stream.c
test_tap_SOURCES = test-tap.c $(top_srcdir)/netbackd/tap.c $(top_srcdir)/opend/conf.c $(top_srcdir)/common/conf_text.c $(top_srcdir)/opend/tap.c
