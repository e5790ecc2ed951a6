# SPDX-License-Identifier: MIT
check_PROGRAMS += test-open-wire test-opend-conf test-opend-filter test-opend-image

test_open_wire_SOURCES = test-open-wire.c
test_open_wire_LDADD = $(LIBCOMMON) $(LDADD)
test_opend_conf_SOURCES = test-opend-conf.c $(top_srcdir)/opend/conf.c $(top_srcdir)/common/conf_text.c
test_opend_image_SOURCES = test-opend-image.c $(top_srcdir)/opend/conf.c $(top_srcdir)/common/conf_text.c $(top_srcdir)/opend/image.c
test_opend_filter_SOURCES = test-opend-filter.c $(top_srcdir)/opend/opend_filter.c
test_opend_filter_CFLAGS = $(AM_CFLAGS) $(LIBSECCOMP_CFLAGS)
test_opend_filter_LDADD = $(LIBFILTER) $(LDADD)
