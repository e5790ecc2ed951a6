# SPDX-License-Identifier: MIT
check_PROGRAMS += test-blk-ring test-image test-blk-io

test_blk_ring_SOURCES = test-blk-ring.c $(top_srcdir)/blkbackd/blk_ring.c
test_image_SOURCES = test-image.c $(top_srcdir)/blkbackd/image.c
test_blk_io_SOURCES = test-blk-io.c $(top_srcdir)/blkbackd/blk_io.c
test_blk_io_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS) $(LIBURING_CFLAGS)
test_blk_io_LDADD = $(LIBDAEMON) $(LIBEVENT_LIBS) $(LIBURING_LIBS) $(LDADD)
