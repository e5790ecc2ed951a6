# SPDX-License-Identifier: MIT
# The modules are compiled in, so that the fuzzer sees their branches.
check_PROGRAMS += fuzz-acpi fuzz-pvh fuzz-hypercall
fuzz_acpi_SOURCES = fuzz-acpi.c $(top_srcdir)/hypercall-bridge/vmm/acpi.c
fuzz_pvh_SOURCES = fuzz-pvh.c \
	$(top_srcdir)/hypercall-bridge/vmm/bzimage.c \
	$(top_srcdir)/hypercall-bridge/vmm/pvh.c \
	$(top_srcdir)/hypercall-bridge/vmm/unpack.c
fuzz_pvh_CFLAGS = $(AM_CFLAGS) $(LZMA_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
fuzz_pvh_LDADD = $(LZMA_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)
fuzz_hypercall_SOURCES = fuzz-hypercall.c \
	$(top_srcdir)/hypercall-bridge/guest/hypercall.c \
	$(top_srcdir)/hypercall-bridge/guest/hypercall_evtchn.c \
	$(top_srcdir)/hypercall-bridge/guest/hypercall_hvm.c \
	$(top_srcdir)/hypercall-bridge/guest/hypercall_memory.c \
	$(top_srcdir)/hypercall-bridge/guest/hypercall_vcpu.c \
	$(top_srcdir)/hypercall-bridge/guest/ports.c
EXTRA_DIST += corpus/acpi corpus/pvh corpus/hypercall
