# SPDX-License-Identifier: MIT
# xenstored by itself, without guests or with some that are played by files (the plug-in of libxenhost.mk).
XENSTORED_TESTS = integ/xenstored-stock-clients.sh integ/xenstored-prober.sh integ/xenstored-restart.sh \
	integ/xenstored-live-update.sh integ/xenstored-stock-daemons.sh integ/xenstored-migrate.sh \
	integ/xenstored-migrate-stock.sh integ/xenstored-libxenstore.sh integ/xenstored-sockets.sh \
	integ/xenstored-quota.sh integ/daemon-signals.sh
TESTS += $(XENSTORED_TESTS)
EXTRA_DIST += $(XENSTORED_TESTS) integ/xenstored-restart.py integ/xenstored-live-update.py integ/libxenstore.c integ/xenstored-quota.py \
	support/stock-xen support/stock-daemon support/through-ours

# What Debian's own daemons are preloaded with. They are not ours to sanitize.
check_LTLIBRARIES += xen-stub.la
xen_stub_la_SOURCES = support/xen-stub.c
xen_stub_la_CFLAGS = -std=gnu11 $(XENHOST_WARNINGS) $(WERROR_CFLAGS) -fvisibility=hidden
xen_stub_la_LDFLAGS = -module -avoid-version -rpath /nonexistent
xen_stub_la_LIBADD = -ldl

# Random requests against a model.
if HEAVY_TESTS
check_PROGRAMS += integ/xenstored-model
TESTS += integ/xenstored-model
endif
integ_xenstored_model_SOURCES = integ/xenstored-model.c support/xs_model.c support/xs_model.h
integ_xenstored_model_CPPFLAGS = $(AM_CPPFLAGS) -DPLUGIN_DIR='"$(abs_builddir)/.libs"'
