# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-blk-ring fuzz-nbd-spec
fuzz_nbd_spec_SOURCES = fuzz-nbd-spec.c $(top_srcdir)/blkbackd/nbd_spec.c
fuzz_blk_ring_SOURCES = fuzz-blk-ring.c $(top_srcdir)/blkbackd/blk_ring.c
