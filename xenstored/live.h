/* SPDX-License-Identifier: MIT */
/*
 * Another program in our place, in the same process and without anybody noticing: CONTROL live-update, as
 * xenstore-control does it. A session names the program and its arguments, then asks to start until the
 * answer is no longer BUSY: by then the program has shown, in a process of its own, that it can read what
 * we have. Then this process writes all there is into a memfd, executes the program and is that. What
 * fails before leaves everything as it was.
 *
 * One session at a time; it belongs to the connection that began it and ends with it.
 */
#ifndef XENSTORED_LIVE_H
#define XENSTORED_LIVE_H

#include <stdbool.h>

struct conn;
struct server;
struct wire_header;

#define LIVE_REHEARSED 79 /* exit status that says yes: not 0, which any program ends with */

/* These return what is to be answered; NULL: OK */
const char *live_program(struct server *s, struct conn *c, const char *path);
const char *live_arguments(struct server *s, struct conn *c, const char *args);
const char *live_abort(struct server *s, struct conn *c);
/* the answer to h may come later, and from another program: then *ret_answered is true */
const char *live_start(struct server *s, struct conn *c, const struct wire_header *h,
		       bool *ret_answered);

/* the step that does not return when it succeeds: at the end of a callback, if it is time */
void live_go(struct server *s);
bool live_going(const struct server *s); /* no more requests */
void live_stop(struct server *s);

#endif
