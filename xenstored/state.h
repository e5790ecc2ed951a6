/* SPDX-License-Identifier: MIT */
/*
 * What outlives the process: nodes, permissions, limits, domains, and the guests' connections with their
 * watches, half requests, unread answers and open transactions. Each change goes into a journal whose
 * descriptor the host keeps for our successor. Socket clients are not in it: they see their connection
 * end, as with any daemon that dies.
 *
 * Records count from state_commit() on, all at once, and that comes before anything of it can be seen
 * outside: before an answer or event leaves, and before a guest's request is taken off its ring. So a
 * change and its answer are kept together or not at all.
 *
 * All functions do nothing when nothing is kept (no host, or one that keeps nothing). If the journal
 * cannot be kept any more, the daemon serves on without one and says so.
 */
#ifndef XENSTORED_STATE_H
#define XENSTORED_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "xenstored/journal_wire.h"

struct conn;
struct domain;
struct node;
struct perms;
struct server;
struct watch;
struct xenhost;

#define STATE_DEPOSIT "xenstored"

/* Writes all there is into a new journal and has the host keep it. 0 also when the host keeps nothing */
int state_start(struct server *s, struct xenhost *host);
void state_stop(struct server *s); /* what was deposited stays */
void state_commit(struct server *s);
/* all is different from what the journal says: a new one. 0: also when the daemon goes on without */
int state_renew(struct server *s);
/* another host keeps it from now on */
void state_move(struct server *s, struct xenhost *host);
/* between requests: makes the journal short again when it has grown too long */
void state_settle(struct server *s);
/* a journal is kept, or being written */
static inline int state_is_kept(const void *state)
{
	return state != NULL;
}

/* path is now n (its value and permissions), or NULL: gone with all below */
void state_node(struct server *s, const char *path, size_t len, const struct node *n);
void state_special(struct server *s, unsigned int which, const struct perms *p);
void state_domain(struct server *s, const struct domain *d);
void state_domain_gone(struct server *s, uint16_t domid);
/* domid: JOURNAL_NEW_GUESTS for the defaults */
void state_quota(struct server *s, uint16_t domid, unsigned int item, uint32_t value);

/* of connections: only those that are kept */
void state_watch(struct conn *c, const struct watch *w);
void state_unwatch(struct conn *c, const struct watch *w);
void state_drop(struct conn *c);
void state_txn(struct conn *c, uint32_t id, int open);
/* begins anew, or a reset of the page that has to be done again if we die in it */
void state_ring(struct conn *c, uint32_t rsp_prod, enum journal_reset reset);
void state_ring_end(struct conn *c);
/* its input or output is not what the journal knows */
void state_touch(struct conn *c);

/*
 * The predecessor's state into a server that has only its fixed domains; rings are not mapped yet.
 * 1, or 0: there is none. -errno, said why
 */
int state_load(struct server *s, struct xenhost *host);
/* all of it or an error: nothing that is damaged is left out */
int state_load_fd(struct server *s, int fd);

/*
 * All there is, socket clients and what open transactions did included, for another program in our
 * place: a journal of its own that counts beside the one that is kept. The descriptor is the caller's.
 */
int state_image(struct server *s, int *ret_fd);

/* for state_txn.c */
struct txn;
void state_append(struct server *s, const struct journal_record *r);
uint64_t state_conn_id(const struct conn *c);
void state_txn_write(struct conn *c, const struct txn *t);
int state_txn_load(struct server *s, struct conn *c, const struct journal_record *r);

#endif
