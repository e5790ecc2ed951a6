# SPDX-License-Identifier: MIT
TESTS += integ/dbus.sh integ/service-manager.sh
EXTRA_DIST += integ/dbus.sh integ/service-manager.sh integ/service-manager.py

TESTS += integ/console.sh integ/doc-commands.sh integ/guest-files.sh integ/run-errors.sh integ/tool-complete.sh integ/tool-doctor.sh integ/tool-domain.sh integ/tool-store.sh integ/vmm-errors.sh
EXTRA_DIST += integ/console.sh integ/console.py integ/doc-commands.sh integ/guest-files.sh integ/run-errors.sh integ/tool-complete.sh integ/tool-doctor.sh integ/tool-domain.sh integ/tool-store.sh integ/vmm-errors.sh

check_PROGRAMS += integ/private-set
TESTS += integ/private-set
integ_private_set_SOURCES = integ/private-set.c ../tools/private_set.c ../tools/private_set.h
integ_private_set_CPPFLAGS = $(LOOPBACK_CPPFLAGS)
integ_private_set_CFLAGS = $(LOOPBACK_CFLAGS)
integ_private_set_LDADD = $(LOOPBACK_LIBS)
