# SPDX-License-Identifier: MIT

# The modules are compiled in, so that the fuzzer sees their branches.
check_PROGRAMS += fuzz-policy fuzz-state
fuzz_policy_SOURCES = fuzz-policy.c $(top_srcdir)/hypercall-bridge/bridged/policy.c $(top_srcdir)/common/conf_text.c
fuzz_state_SOURCES = fuzz-state.c \
	$(top_srcdir)/hypercall-bridge/bridged/domain.c \
	$(top_srcdir)/hypercall-bridge/bridged/evtchn.c \
	$(top_srcdir)/hypercall-bridge/bridged/gnttab.c \
	$(top_srcdir)/hypercall-bridge/bridged/gone.c \
	$(top_srcdir)/hypercall-bridge/bridged/keep.c \
	$(top_srcdir)/hypercall-bridge/bridged/kick.c \
	$(top_srcdir)/hypercall-bridge/bridged/restore.c \
	$(top_srcdir)/hypercall-bridge/bridged/state.c
fuzz_state_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS)
fuzz_state_LDADD = $(LIBDAEMON) $(LIBCOMMON)
EXTRA_DIST += corpus/policy corpus/state
