# SPDX-License-Identifier: MIT
# xenstored by itself, without guests or with some that are played by files (the plug-in of libxenhost.mk).
XENSTORED_TESTS = integ/xenstored-stock-clients.sh integ/xenstored-prober.sh integ/xenstored-restart.sh \
	integ/xenstored-live-update.sh integ/xenstored-stock-daemons.sh integ/xenstored-migrate.sh
TESTS += $(XENSTORED_TESTS)
EXTRA_DIST += $(XENSTORED_TESTS) integ/xenstored-restart.py integ/xenstored-live-update.py \
	support/stock-xen support/stock-daemon

# What Debian's own daemons are preloaded with. They are not ours to sanitize.
check_LTLIBRARIES += xen-stub.la
xen_stub_la_SOURCES = support/xen-stub.c
xen_stub_la_CFLAGS = -std=gnu11 $(XENHOST_WARNINGS) $(WERROR_CFLAGS) -fvisibility=hidden
xen_stub_la_LDFLAGS = -module -avoid-version -rpath /nonexistent
xen_stub_la_LIBADD = -ldl
