/* SPDX-License-Identifier: MIT */
/*
 * The sockets of RUNDIR/open, one for each service: which one a client could connect to says who it is. One
 * thread, one request at a time.
 */
#ifndef OPEND_SERVER_H
#define OPEND_SERVER_H

#include "common/list.h"
#include "common/service.h"

#include "opend/conf.h"

struct event_base;

struct server {
	struct event_base *base;
	const char *rundir;
	const struct conf *conf;
	struct service_table services;
	struct list sockets; /* list_init() it */
	int lock_fd;	     /* -1; of the folder, as long as we serve it */
};

/* 0 or -errno, logged */
int server_open(struct server *server);
void server_close(struct server *server);

#endif
