/* SPDX-License-Identifier: MIT */
/* CONTROL requests to xenhost-xenstored, on domain 0's socket: what is asked of the daemon, not of the store. */
#ifndef TOOLS_STORE_CONTROL_H
#define TOOLS_STORE_CONTROL_H

#include <stddef.h>

#define CONTROL_MAX 4096

struct control {
	int fd;
	size_t len;		      /* of the last answer */
	char answer[CONTROL_MAX + 1]; /* with a NUL behind it */
};

/* rundir NULL: the system's. 0 or -errno, logged */
int control_open(const char *rundir, struct control *ret_control);
void control_close(struct control *c);

/*
 * 0: c->answer has it. -EREMOTEIO: refused, answer is the name of the error; other -errno: connection
 * lost, logged. The payload's strings end with a NUL each.
 */
int control_ask(struct control *c, const void *payload, size_t len);
/* one text with spaces between the strings, which have none */
int control_words(struct control *c, const char *words);

#endif
