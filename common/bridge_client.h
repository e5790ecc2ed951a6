/* SPDX-License-Identifier: MIT */
/*
 * A peer's end of the bridge: blocking calls with a deadline, events kept in order for later.
 *
 * A bridged that keeps its tables (welcome: kept) may be killed and started again. Then a client that can
 * resume connects again, at once in a call, from bridge_client_event() otherwise: hello, which must come
 * from the same tables (instance), then resume(), which says again who we are and what we watch, then the
 * call that was under way is made again. Every request may be repeated: a key makes PortAlloc so, the
 * secret DomainCreate, and what is closed already is closed. Calls wait for bridged as long as for an
 * answer, from the moment it was lost; after that they fail at once, and events go on trying.
 *
 * Used by libxenhost's bridge transport, by the vmm and by loopback guests.
 * Threads: none of this locks; one thread at a time (callers with several threads hold a mutex).
 */
#ifndef COMMON_BRIDGE_CLIENT_H
#define COMMON_BRIDGE_CLIENT_H

#include <stddef.h>

#include "common/bridge_wire.h"
#include "common/fdpass.h"

#define BRIDGE_CALL_TIMEOUT_MS 10000
#define BRIDGE_PATIENCE_MS 60000 /* so long bridged may be away, then it is lost */
#define BRIDGE_EVENTS_MAX 4096	 /* events kept while calls are waiting; more end the connection */

struct bridge_client;

/* an answer or event with its descriptors, both the caller's: release with bridge_message_fini() */
struct bridge_message {
	bridge_frame *frame;
	int fds[FDPASS_MAX];
	size_t nr_fds;
};

void bridge_message_fini(struct bridge_message *m);

/*
 * Connects and says hello; the welcome stays readable through bridge_client_welcome(). -errno of
 * socket/connect, -ETIMEDOUT, -EPROTONOSUPPORT (versions), or bridged's own refusal.
 */
int bridge_client_open(const char *path, const char *name, struct bridge_client **ret_client);
struct bridge_client *bridge_client_close(struct bridge_client *c); /* NULL */
void bridge_client_closep(struct bridge_client **c);

const Bridge__Welcome *bridge_client_welcome(const struct bridge_client *c);

/*
 * From now on the connection is made again when it is lost. resume makes calls on the new one; its error
 * is the end, but for the loss of the new connection. It runs inside any call or bridge_client_event().
 */
void bridge_client_set_resume(struct bridge_client *c,
			      int (*resume)(struct bridge_client *c, void *data), void *data);

/*
 * DomainCreate; the secret is filled in, and the domain is ours again after bridged was lost. The answer
 * is as of bridge_client_call().
 */
int bridge_client_create_domain(struct bridge_client *c, Bridge__DomainCreate *create,
				const int *fds, size_t nr_fds, uint16_t *ret_domid,
				uint64_t *ret_unique_id);

/* readable: bridge_client_event() has something, or the connection was lost. -errno of epoll_ctl(2) at first */
int bridge_client_fd(struct bridge_client *c);

/*
 * Sends `body` (its id is filled in) with descriptors that stay the caller's and waits for the answer,
 * which must be `expect` (BRIDGE__FRAME__BODY__NOT_SET: an empty success). An error answer gives its
 * -errno; bridge_client_why() has its text. ret_answer may be NULL. -ETIMEDOUT, -ECONNRESET end the
 * connection, for good if it cannot be resumed: later calls fail with -ENOTCONN. PortAlloc without a key
 * gets one.
 */
int bridge_client_call(struct bridge_client *c, bridge_frame *body, const int *fds, size_t nr_fds,
		       Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer);

/* text of the last error answer, "" if there was none; valid until the next call */
const char *bridge_client_why(const struct bridge_client *c);

/* next event: 1, 0 if there is none now, -errno when the connection is lost. Never blocks. */
int bridge_client_event(struct bridge_client *c, struct bridge_message *ret_event);

#endif
