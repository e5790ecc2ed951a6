/* SPDX-License-Identifier: MIT */
/*
 * The daemon's one object: store, watches, domains, connections, listening sockets. One thread, one loop;
 * every callback of the loop does its work and ends with server_settle() or server_settle_soon(), which
 * sends what was queued for any connection and frees what ended.
 */
#ifndef XENSTORED_SERVER_H
#define XENSTORED_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/service.h"
#include "xenstored/quota.h"
#include "xenstored/store.h"
#include "xenstored/watch.h"

/* bits of GET_FEATURE and of the ring page */
#define FEATURE_RECONNECT 1u
#define FEATURE_ERROR 2u
#define FEATURE_DEPTH 4u
#define FEATURE_ANY_DOMAIN 8u
#define FEATURES_ALL 15u

struct conn;
struct domain;
struct domains;
struct event_base;
struct state;

struct server {
	struct event_base *base;
	const char *rundir;
	const char *xen_socket; /* where Xen's clients look, or NULL */
	const char *host_uri;	/* NULL: sockets only, no guests */
	struct service_table services;

	struct store store;
	struct quota quota;
	struct watch_set watches;
	struct domains *domains;
	struct list conns;
	struct list dirty;
	struct list ended; /* of struct conn by of_dirty: to be freed */
	struct list listeners;
	struct state *state; /* NULL: nothing is kept beyond the process */
	uint64_t generation; /* processes that had this store before */
	int lock_fd;
	uint64_t last_conn; /* number of the newest connection */
	char **argv;	    /* of this program; for another one in its place */
	struct live *live;  /* a session of live-update, or NULL */
	bool taking_over;   /* from the program before us in this process, which left */
	int take_over_fd;   /* that (state_image()) */
	const char *import; /* a migration stream to begin with, or NULL */
	size_t import_len;
	char *complaint; /* what is wrong with it, instead of in the log; or NULL */
	size_t complaint_size;
	struct transfer *transfer; /* one in pieces, or NULL */
	bool rehearsal;		   /* only to see whether that can be read */
	uint64_t fixed_seed;	   /* of hashes, for tests that must repeat; 0: a random one */
	struct conn *favoured;	   /* guests' requests wait until its transaction ends, or NULL */
	struct event *favour_end;
	struct event *settling; /* at the end of this pass of the loop, or NULL */
	unsigned int unsettled;
	uint64_t favour_next; /* not before that time, ms */
	bool trace;	      /* CONTROL log on */
	char scratch[65536];  /* what was just read */
};

/* The folders, the lock, all below, and the sockets. -errno, said why, nothing left open */
int server_start(struct server *s);
void server_stop(struct server *s);

/* Only tries whether state_image() of another process can be read. 0, or -errno, said why */
int server_rehearse(struct server *s);

/* store, watches and domains without sockets, as tests use them; close also after a failed open */
int server_open(struct server *s);
void server_close(struct server *s);

/* what every store has, as far as it is not there. -errno, said why */
int server_first_nodes(struct server *s);

void server_settle(struct server *s);
/*
 * The same once for a few callbacks of this pass of the loop: their answers leave one behind the other, so
 * who reads those of many connections is woken less often; and has something to do while we go on.
 */
void server_settle_soon(struct server *s);

/*
 * A transaction of the control domain that lost against guests' writes time after time gets a moment
 * (XSA-206): requests of all but the control domain wait until it ends, but not for long, and not again
 * before they had as long for themselves.
 */
void server_favour(struct server *s, struct conn *c);
void server_unfavour(struct server *s, struct conn *c); /* if it is c */
bool server_holds(const struct server *s, const struct conn *c);

/* @introduceDomain or @releaseDomain for that domain */
void server_fire_special(struct server *s, enum store_special which, uint16_t domid);

#endif
