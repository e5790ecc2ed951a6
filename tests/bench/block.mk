# SPDX-License-Identifier: MIT
# "make bench-block": disks beside bare io_uring and qemu-storage-daemon. On an idle machine.
EXTRA_PROGRAMS += bench/bench-block
bench_bench_block_SOURCES = bench/bench-block.c bench/bench.c bench/bench.h \
	bench/vhost_blk.c bench/vhost_blk.h
bench_bench_block_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
bench_bench_block_CFLAGS = $(LOOPBACK_CFLAGS) $(LIBURING_CFLAGS)
bench_bench_block_LDADD = $(LOOPBACK_LIBS) $(LIBURING_LIBS)

bench-block: bench/bench-block
	$(abs_top_builddir)/run $(abs_builddir)/bench/bench-block
# fio in a guest, beside QEMU 10's disks, in an emulated host
bench-block-vm:
	$(srcdir)/bench/block-vm $(abs_top_builddir)
EXTRA_DIST += bench/block-vm
.PHONY: bench-block bench-block-vm
