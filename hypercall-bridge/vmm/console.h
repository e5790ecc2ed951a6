/* SPDX-License-Identifier: MIT */
/*
 * The PV console on our stdin and stdout. On a terminal: raw mode, and ^] ends the guest.
 *
 * Owned by the control thread, except console_early(), which vCPU threads call. Output that cannot be
 * written stays in the guest's ring, input that does not fit stays here or unread: nothing is dropped but
 * early output, and nothing blocks. A broken ring ends the console, not the guest.
 */
#ifndef HYPERCALL_BRIDGE_VMM_CONSOLE_H
#define HYPERCALL_BRIDGE_VMM_CONSOLE_H

#include <stddef.h>

struct event_base;
struct console;

/* `leave` is called when the user asks to end the guest */
int console_new(struct event_base *base, void *page, void (*leave)(void *data), void *data,
		struct console **ret);
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
