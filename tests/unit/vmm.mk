# SPDX-License-Identifier: MIT
LIBGUEST = $(top_builddir)/hypercall-bridge/guest/libguest.la
LIBVMMCORE = $(top_builddir)/hypercall-bridge/vmm/libvmmcore.la

check_PROGRAMS += test-corefile test-dump
test_dump_SOURCES = test-dump.c $(top_srcdir)/hypercall-bridge/vmm/dump.c
test_dump_LDADD = $(LIBVMMCORE) $(LIBDAEMON) $(LDADD)
test_corefile_SOURCES = test-corefile.c
test_corefile_LDADD = $(LIBVMMCORE) $(LDADD)

check_PROGRAMS += test-ports test-upcall test-hypercall test-pvh test-bzimage test-acpi test-cpuid \
	test-conring test-conlog test-kcache test-console test-vmm-sandbox
test_ports_SOURCES = test-ports.c
test_ports_LDADD = $(LIBGUEST) $(LDADD)
test_upcall_SOURCES = test-upcall.c
test_upcall_LDADD = $(LIBGUEST) $(LDADD) -lpthread
test_hypercall_SOURCES = test-hypercall.c
test_hypercall_LDADD = $(LIBGUEST) $(LDADD)
test_pvh_SOURCES = test-pvh.c
test_pvh_LDADD = $(LIBVMMCORE) $(LDADD)
test_bzimage_SOURCES = test-bzimage.c
test_bzimage_CFLAGS = $(AM_CFLAGS) $(LZMA_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
test_bzimage_LDADD = $(LIBVMMCORE) $(LDADD) $(LZMA_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)
test_acpi_SOURCES = test-acpi.c
test_acpi_LDADD = $(LIBVMMCORE) $(LDADD)
test_cpuid_SOURCES = test-cpuid.c
test_cpuid_LDADD = $(LIBVMMCORE) $(LDADD)
test_conring_SOURCES = test-conring.c
test_vmm_sandbox_SOURCES = test-vmm-sandbox.c
test_vmm_sandbox_LDADD = $(LIBVMMCORE) $(LDADD) -lpthread
test_conlog_SOURCES = test-conlog.c
test_conlog_LDADD = $(LIBVMMCORE) $(LDADD)
test_conring_LDADD = $(LIBVMMCORE) $(LDADD)
test_console_SOURCES = test-console.c
test_console_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS)
test_console_LDADD = $(LIBVMMCORE) $(LIBDAEMON) $(LDADD) $(LIBEVENT_LIBS) -lutil -lpthread
test_kcache_SOURCES = test-kcache.c
test_kcache_LDADD = $(LIBVMMCORE) $(LDADD)
