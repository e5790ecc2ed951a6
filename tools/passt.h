/* SPDX-License-Identifier: MIT */
/*
 * One passt(1), which gives a guest's network card the host's network without any right of root's: started, watched
 * and ended by us; xenhost-netbackd finds its socket in the card's nodes. It ends with us, also when we are killed.
 */
#ifndef TOOLS_PASST_H
#define TOOLS_PASST_H

#include <stdbool.h>

#include "tools/process.h"

#define PASST_PORTS_MAX 32u
#define PASST_SOCKET_MAX 108u

/* as passt takes it: [ADDRESS/]HOST:GUEST */
struct passt_port {
	bool udp;
	char spec[64];
};

struct passt {
	/* the caller's */
	char socket[PASST_SOCKET_MAX]; /* SOCKET.log beside it is what passt says */
	struct passt_port ports[PASST_PORTS_MAX];
	unsigned int nr_ports;

	struct process process;
};

/* [ADDRESS:]HOST:GUEST[/udp], numbers of ports from 1 to 65535: 0, -EINVAL, -ENOSPC */
int passt_publish(struct passt *p, const char *text);
/* returns when its socket is there. -errno, logged */
int passt_start(struct passt *p);
void passt_stop(struct passt *p);

#endif
