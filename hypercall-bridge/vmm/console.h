/* SPDX-License-Identifier: MIT */
/*
 * The guest's PV console. Its output goes to standard output, to viewers and to a log; input comes from
 * standard input and from viewers. On a terminal: raw mode, and ^] ends the guest.
 *
 * Owned by the control thread, except console_early(), which vCPU threads call. Output that standard output
 * has no room for stays in the guest's ring, input that does not fit stays here or unread: of those nothing
 * is lost but early output, and nothing blocks. Viewers and the log keep nobody waiting. A broken ring ends
 * the console, not the guest.
 */
#ifndef HYPERCALL_BRIDGE_VMM_CONSOLE_H
#define HYPERCALL_BRIDGE_VMM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#include "hypercall-bridge/vmm/conlog.h"

struct event_base;
struct console;

struct console_config {
	bool no_stdio;		  /* standard input and output are not the console's */
	const char *socket;	  /* for viewers, NULL: none */
	const char *pty;	  /* symbolic link to a pseudoterminal to be made, NULL: none */
	struct conlog_config log; /* path NULL: none */
};

/* `leave` is called when the user asks to end the guest. Says what is wrong itself */
int console_new(struct event_base *base, const struct console_config *config, void *page,
		void (*leave)(void *data), void *data, struct console **ret);
/* writes what is left, with a short patience, and puts the terminal back */
struct console *console_free(struct console *c);
void console_freep(struct console **c);

/*
 * The guest's end of the console's event channel, to be given away: readable when we notify the guest;
 * notifies us. The caller's.
 */
int console_guest_fds(const struct console *c, int ret_fds[2]);

/* reads input only from here on: before, a guest that does not run yet would lose the terminal's keys */
int console_start(struct console *c);

/* output of the console_io hypercall; any thread */
void console_early(struct console *c, const char *text, size_t len);

#endif
