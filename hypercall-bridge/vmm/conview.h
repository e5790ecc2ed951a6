/* SPDX-License-Identifier: MIT */
/*
 * Who looks at the console beside standard output: viewers that connect to a Unix socket, and a
 * pseudoterminal. All see all output and all may type. One that does not read keeps nobody waiting: what
 * it has no room for is lost, and it is told. Newcomers get the last output first.
 * The control thread's.
 */
#ifndef HYPERCALL_BRIDGE_VMM_CONVIEW_H
#define HYPERCALL_BRIDGE_VMM_CONVIEW_H

#include <stddef.h>

#define CONVIEW_MAX 16	      /* at once; more are turned away */
#define CONVIEW_BUFFER 65536  /* unread output of each */
#define CONVIEW_HISTORY 16384 /* that newcomers get */

struct conview;
struct event_base;

/* take: somebody typed; returns how much there was room for. The rest comes again after conview_resume() */
int conview_new(struct event_base *base, size_t (*take)(void *data, const char *text, size_t len),
		void *data, struct conview **ret);
struct conview *conview_free(struct conview *v);

/* A socket that is there already and that nobody serves is replaced. 0 or -errno; -EADDRINUSE: served */
int conview_listen(struct conview *v, const char *path);

/* makes a pseudoterminal; link becomes a symbolic link to it. 0 or -errno */
int conview_pty(struct conview *v, const char *link);

void conview_output(struct conview *v, const char *text, size_t len);
void conview_resume(struct conview *v); /* there is room for input again */

#endif
