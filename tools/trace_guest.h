/* SPDX-License-Identifier: MIT */
/* xenhost trace NAME: what changes about one guest: its nodes in the Xenstore, both ends of its devices, its state. */
#ifndef TOOLS_TRACE_GUEST_H
#define TOOLS_TRACE_GUEST_H

struct bridge_tool;

/* left: lines, 0 for no end. Until then, the guest's end, or SIGINT or SIGTERM. 0 or -errno, logged */
int trace_guest(struct bridge_tool *t, const char *which, unsigned long long left);

#endif
