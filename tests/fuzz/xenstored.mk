# SPDX-License-Identifier: MIT
LIBXENSTORED = $(top_builddir)/xenstored/libxenstored.la

check_PROGRAMS += fuzz-xs-wire fuzz-xs-ring fuzz-xs-conn fuzz-xs-journal fuzz-xs-state fuzz-xs-stream
fuzz_xs_wire_SOURCES = fuzz-xs-wire.c
fuzz_xs_wire_LDADD = $(LIBXENSTORED)
fuzz_xs_ring_SOURCES = fuzz-xs-ring.c
fuzz_xs_ring_LDADD = $(LIBXENSTORED)
fuzz_xs_conn_SOURCES = fuzz-xs-conn.c
fuzz_xs_conn_LDADD = $(LIBXENSTORED) $(LIBXENHOST) $(LIBDAEMON)
fuzz_xs_state_SOURCES = fuzz-xs-state.c
fuzz_xs_state_LDADD = $(LIBXENSTORED) $(LIBXENHOST) $(LIBDAEMON)
fuzz_xs_stream_SOURCES = fuzz-xs-stream.c
fuzz_xs_stream_LDADD = $(LIBXENSTORED) $(LIBXENHOST) $(LIBDAEMON)
fuzz_xs_journal_SOURCES = fuzz-xs-journal.c
fuzz_xs_journal_LDADD = $(LIBXENSTORED)
