# SPDX-License-Identifier: MIT
# xenstored/; "xs" in the names, because libxenhost has a ring and a store as well
LIBXENSTORED = $(top_builddir)/xenstored/libxenstored.la
check_PROGRAMS += test-xs-wire test-xs-perm test-xs-quota test-xs-ring test-xs-watch test-xs-tree test-xs-txn \
	test-xs-store test-xs-conn test-xs-domain test-xs-events test-xs-journal test-xs-order test-xs-stream test-xs-xsa \
	test-xs-model test-xs-slab test-xs-table

test_xs_wire_SOURCES = test-xs-wire.c
test_xs_wire_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_perm_SOURCES = test-xs-perm.c
test_xs_perm_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_quota_SOURCES = test-xs-quota.c
test_xs_quota_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_ring_SOURCES = test-xs-ring.c
test_xs_ring_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_watch_SOURCES = test-xs-watch.c
test_xs_watch_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_tree_SOURCES = test-xs-tree.c
test_xs_tree_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_txn_SOURCES = test-xs-txn.c
test_xs_txn_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_store_SOURCES = test-xs-store.c
test_xs_store_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_model_SOURCES = test-xs-model.c
test_xs_model_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_conn_SOURCES = test-xs-conn.c
test_xs_conn_LDADD = $(LIBXENSTORED) $(LIBXENHOST) $(LIBDAEMON) $(LDADD)
test_xs_journal_SOURCES = test-xs-journal.c
test_xs_journal_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_order_SOURCES = test-xs-order.c
test_xs_order_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
test_xs_order_LDADD = $(LIBXENSTORED) $(LIBXENHOST) $(LIBDAEMON) $(LIBEVENT_LIBS) $(LDADD)
test_xs_stream_SOURCES = test-xs-stream.c
test_xs_stream_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_slab_SOURCES = test-xs-slab.c
test_xs_slab_LDADD = $(LIBXENSTORED) $(LDADD)
test_xs_table_SOURCES = test-xs-table.c
test_xs_table_LDADD = $(LIBXENSTORED) $(LDADD)
# over the library's fake transport, so with its hidden symbols
test_xs_domain_SOURCES = test-xs-domain.c
test_xs_domain_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
test_xs_domain_LDADD = $(LIBXENSTORED) $(LIBCORE) $(LIBDAEMON) $(LIBEVENT_LIBS) $(LDADD)
test_xs_xsa_SOURCES = test-xs-xsa.c
test_xs_xsa_CPPFLAGS = $(AM_CPPFLAGS) $(LIBEVENT_CFLAGS)
test_xs_xsa_LDADD = $(LIBXENSTORED) $(LIBCORE) $(LIBDAEMON) $(LIBEVENT_LIBS) $(LDADD)
test_xs_events_SOURCES = test-xs-events.c
test_xs_events_LDADD = $(LIBXENSTORED) $(LIBXENHOST) $(LIBDAEMON) $(LDADD)
