# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-pvh fuzz-hypercall
fuzz_pvh_SOURCES = fuzz-pvh.c
fuzz_pvh_LDADD = $(top_builddir)/hypercall-bridge/vmm/libvmmcore.la
fuzz_hypercall_SOURCES = fuzz-hypercall.c
fuzz_hypercall_LDADD = $(top_builddir)/hypercall-bridge/guest/libguest.la
