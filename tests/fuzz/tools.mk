# SPDX-License-Identifier: MIT
# The modules are compiled in, so that the fuzzer sees their branches.
check_PROGRAMS += fuzz-guest-cfg
fuzz_guest_cfg_SOURCES = fuzz-guest-cfg.c \
	$(top_srcdir)/tools/guest.c \
	$(top_srcdir)/tools/guest_cfg.c \
	$(top_srcdir)/tools/xl_disk.c \
	$(top_srcdir)/tools/xl_syntax.c \
	$(top_srcdir)/tools/xl_spec.c \
	$(top_srcdir)/tools/xl_vif.c
fuzz_guest_cfg_LDADD = $(LIBDAEMON) $(LIBCOMMON)
EXTRA_DIST += corpus/guest-cfg

check_PROGRAMS += fuzz-qcow2
fuzz_qcow2_SOURCES = fuzz-qcow2.c $(top_srcdir)/tools/qcow2.c
EXTRA_DIST += corpus/qcow2
