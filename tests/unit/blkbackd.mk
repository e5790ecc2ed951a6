# SPDX-License-Identifier: MIT
check_PROGRAMS += test-blk-ring test-image test-blk-io test-blk-journal test-polling test-throttle test-nbd-spec test-confine-blk

test_confine_blk_SOURCES = test-confine-blk.c $(top_srcdir)/backend/confine.c $(top_srcdir)/blkbackd/vbd_filter.c
test_confine_blk_CFLAGS = $(AM_CFLAGS) $(LIBURING_CFLAGS)
test_confine_blk_LDADD = $(LIBFILTER) $(LIBURING_LIBS) $(LDADD)

test_nbd_spec_SOURCES = test-nbd-spec.c $(top_srcdir)/blkbackd/nbd_spec.c

test_blk_ring_SOURCES = test-blk-ring.c $(top_srcdir)/blkbackd/blk_ring.c
test_image_SOURCES = test-image.c $(top_srcdir)/blkbackd/image.c
test_image_LDADD = $(LIBDAEMON) $(LDADD)
test_blk_journal_SOURCES = test-blk-journal.c $(top_srcdir)/blkbackd/blk_journal.c
test_polling_SOURCES = test-polling.c $(top_srcdir)/blkbackd/polling.c
test_throttle_SOURCES = test-throttle.c $(top_srcdir)/blkbackd/throttle.c
test_blk_io_SOURCES = test-blk-io.c $(top_srcdir)/blkbackd/blk_io.c $(top_srcdir)/blkbackd/blk_nbd.c
test_blk_io_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS) $(LIBURING_CFLAGS) $(LIBNBD_CFLAGS)
test_blk_io_LDADD = $(LIBDAEMON) $(LIBEVENT_LIBS) $(LIBURING_LIBS) $(LIBNBD_LIBS) $(LDADD)
