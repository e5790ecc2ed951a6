# SPDX-License-Identifier: MIT
# xenstored by itself, without guests or with some that are played by files (the plug-in of libxenhost.mk).
XENSTORED_TESTS = integ/xenstored-stock-clients.sh integ/xenstored-prober.sh integ/xenstored-restart.sh \
	integ/xenstored-live-update.sh integ/xenstored-migrate.sh
TESTS += $(XENSTORED_TESTS)
EXTRA_DIST += $(XENSTORED_TESTS) integ/xenstored-restart.py integ/xenstored-live-update.py support/restart-xenstored.sh support/live-update.py
