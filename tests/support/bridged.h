/* SPDX-License-Identifier: MIT */
/* One xenhost-bridged of this build for each test, in a folder of its own. Failures fail the test. */
#ifndef TESTS_SUPPORT_BRIDGED_H
#define TESTS_SUPPORT_BRIDGED_H

#include <xenhost/xenhost.h>

#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/support/tempdir.h"

#define BRIDGED_PROGRAM TOP_BUILDDIR "/hypercall-bridge/bridged/xenhost-bridged"

extern char bridged_rundir[TEMPDIR_SIZE];
extern struct test_daemon bridged;

/* for UNIT_MAIN_WITH() */
void bridged_setup(void);
void bridged_teardown(void);
/* ended and started with these arguments */
void bridged_restart(const char *const *args);

/* a peer on its socket NAME.sock; a handle of the library there; a socket that has said nothing yet */
struct bridge_client *bridged_peer(const char *name);
xenhost_t *bridged_host(const char *name);
int bridged_raw_socket(const char *name);
/* the raw socket is at its end, and closed */
void bridged_expect_closed(int fd);

/* its descriptors when it has done with what came before: answers come before those of a request are closed */
unsigned int bridged_open_files(struct bridge_client *fence);

#endif
