# SPDX-License-Identifier: MIT
LIBCORE = $(top_builddir)/libxenhost/libcore.la
# programs that start daemons of the build tree
DAEMON_CPPFLAGS = $(AM_CPPFLAGS) -DTOP_BUILDDIR='"$(abs_top_builddir)"' -DXENHOST_SBINDIR='"$(sbindir)"'

check_PROGRAMS += test-fake test-handle test-ring test-store test-store-wire test-xenbus
test_fake_SOURCES = test-fake.c
test_fake_LDADD = $(LIBCORE) $(CHECK_LIBS)
test_handle_SOURCES = test-handle.c
test_handle_CFLAGS = $(AM_CFLAGS) $(LIBEVENT_CFLAGS)
test_handle_LDADD = $(LIBCORE) $(LIBEVENT_LIBS) $(CHECK_LIBS)
test_ring_SOURCES = test-ring.c
test_ring_LDADD = $(LIBCORE) $(CHECK_LIBS)
test_store_SOURCES = test-store.c
test_store_LDADD = $(LIBCORE) $(CHECK_LIBS)
test_store_wire_SOURCES = test-store-wire.c
test_store_wire_LDADD = $(LIBCORE) $(CHECK_LIBS)
test_xenbus_SOURCES = test-xenbus.c
test_xenbus_LDADD = $(LIBCORE) $(CHECK_LIBS)

# against our own xenstored
check_PROGRAMS += test-backend test-frontend test-store-daemon
test_frontend_SOURCES = test-frontend.c
test_frontend_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_frontend_LDADD = $(LIBSUPPORT) $(LIBCORE) $(LIBDAEMON) $(CHECK_LIBS)
test_backend_SOURCES = test-backend.c
test_backend_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_backend_LDADD = $(LIBSUPPORT) $(LIBCORE) $(LIBDAEMON) $(CHECK_LIBS)
test_store_daemon_SOURCES = test-store-daemon.c
test_store_daemon_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_store_daemon_LDADD = $(LIBSUPPORT) $(LIBCORE) $(LIBDAEMON) $(CHECK_LIBS)

# with memory that runs out: the linker leads allocations of all that is linked in to support/faults.c
check_PROGRAMS += test-faults
test_faults_SOURCES = test-faults.c ../support/faults.c ../support/faults.h
test_faults_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray \
	-Wl,--wrap=strdup,--wrap=asprintf,--wrap=vasprintf
test_faults_LDADD = $(LIBSUPPORT) $(LIBCORE) $(LIBDAEMON) $(CHECK_LIBS)

# the errors that no other test produces: see tests/ERRORS.tsv
check_PROGRAMS += test-errors
test_errors_SOURCES = test-errors.c
test_errors_CPPFLAGS = $(DAEMON_CPPFLAGS)
test_errors_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pthread_create
test_errors_LDADD = $(LIBSUPPORT) $(LIBCORE) $(LIBDAEMON) $(LDADD) -lpthread
