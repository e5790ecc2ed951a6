# SPDX-License-Identifier: MIT
check_PROGRAMS += fuzz-open-wire fuzz-opend-conf
fuzz_open_wire_SOURCES = fuzz-open-wire.c $(top_srcdir)/common/open_wire.c
fuzz_opend_conf_SOURCES = fuzz-opend-conf.c $(top_srcdir)/opend/conf.c $(top_srcdir)/common/conf_text.c
