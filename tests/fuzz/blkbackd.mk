# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-blk-queue fuzz-blk-ring fuzz-nbd-spec
fuzz_nbd_spec_SOURCES = fuzz-nbd-spec.c $(top_srcdir)/blkbackd/nbd_spec.c
fuzz_blk_ring_SOURCES = fuzz-blk-ring.c $(top_srcdir)/blkbackd/blk_ring.c
fuzz_blk_queue_SOURCES = fuzz-blk-queue.c blk_queue_host.c blk_queue_host.h \
	$(top_srcdir)/backend/mailbox.c \
	$(top_srcdir)/blkbackd/blk_io.c $(top_srcdir)/blkbackd/blk_journal.c $(top_srcdir)/blkbackd/blk_ring.c \
	$(top_srcdir)/blkbackd/polling.c $(top_srcdir)/blkbackd/throttle.c $(top_srcdir)/blkbackd/vbd_queue.c \
	$(top_srcdir)/libxenhost/ring.c
fuzz_blk_queue_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS) $(LIBURING_CFLAGS)
fuzz_blk_queue_LDADD = $(LIBCOMMON) $(LIBEVENT_LIBS) $(LIBURING_LIBS) -lpthread
