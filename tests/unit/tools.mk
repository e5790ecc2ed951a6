# SPDX-License-Identifier: MIT
# tools/
LIBGUESTCFG = $(top_builddir)/tools/libguestcfg.la

check_PROGRAMS += test-xl-syntax test-xl-spec test-guest-cfg
test_xl_syntax_SOURCES = test-xl-syntax.c
test_xl_syntax_LDADD = $(LIBGUESTCFG) $(LIBDAEMON) $(LIBCOMMON) $(LDADD) -lpthread
test_xl_spec_SOURCES = test-xl-spec.c
test_xl_spec_LDADD = $(LIBGUESTCFG) $(LIBDAEMON) $(LIBCOMMON) $(LDADD) -lpthread
test_guest_cfg_SOURCES = test-guest-cfg.c
test_guest_cfg_CPPFLAGS = $(AM_CPPFLAGS) -DMAN_PAGE='"$(abs_top_srcdir)/man/xenhost-guest.cfg.5.pod"'
test_guest_cfg_LDADD = $(LIBGUESTCFG) $(LIBDAEMON) $(LIBCOMMON) $(LDADD) -lpthread

check_PROGRAMS += test-redact
test_redact_SOURCES = test-redact.c
test_redact_LDADD = $(LIBGUESTCFG) $(LIBDAEMON) $(LIBCOMMON) $(LDADD) -lpthread

check_PROGRAMS += test-jail test-qcow2
test_jail_SOURCES = test-jail.c
test_jail_LDADD = $(LIBGUESTCFG) $(LIBDAEMON) $(LIBCOMMON) $(LDADD) -lpthread
test_qcow2_SOURCES = test-qcow2.c
test_qcow2_LDADD = $(LIBGUESTCFG) $(LIBDAEMON) $(LIBCOMMON) $(LDADD) -lpthread

check_PROGRAMS += test-log
test_log_SOURCES = test-log.c
test_log_LDADD = $(LIBDAEMON) $(LIBCOMMON) $(LDADD)
