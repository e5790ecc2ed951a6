# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-blk-ring
fuzz_blk_ring_SOURCES = fuzz-blk-ring.c $(top_srcdir)/blkbackd/blk_ring.c
