/* SPDX-License-Identifier: MIT */
/* Requests to a real bridged, one function each; they give what bridge_client_call() gives. */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include <stdint.h>

#include "common/bridge_client.h"

#define RAM_SIZE (16 * 4096)

struct bridge_client *peer_open(const char *rundir, const char *socket);
bridge_frame peer_frame_of(Bridge__Frame__BodyCase body, void *message);
int peer_memory(off_t size);
/* a guest with RAM, grant frames and a store ring; its domid, or the error. create: without a secret */
int peer_create(struct bridge_client *c, const char *name);
/* the same with three descriptors of one's own, which are closed */
int peer_create_with(struct bridge_client *c, const char *name, const int fds[3]);
int peer_own(struct bridge_client *c, const char *name, uint64_t *ret_unique_id);
int peer_reattach(struct bridge_client *c, uint64_t unique_id, uint8_t *secret, size_t len);
int peer_watch(struct bridge_client *c);
int peer_control(struct bridge_client *c, uint32_t domid, Bridge__ControlAction action);
int peer_query(struct bridge_client *c, uint32_t domid, struct bridge_message *ret_answer);
/* also of the guest that had this domid last */
int peer_query_gone(struct bridge_client *c, uint32_t domid, struct bridge_message *ret_answer);
int peer_restrict(struct bridge_client *c, uint32_t domid);
int peer_hypercall(struct bridge_client *c, uint32_t domid, uint32_t op, size_t nr_args,
		   uint64_t arg, struct bridge_message *ret_answer);
int peer_port_query(struct bridge_client *c, uint32_t domid, uint32_t from,
		    struct bridge_message *ret_answer);
int peer_port_close(struct bridge_client *c, uint32_t port);
int peer_attach(struct bridge_client *c, uint32_t domid, struct bridge_message *ret_answer);
int peer_port_alloc(struct bridge_client *c, uint32_t port, uint32_t remote,
		    struct bridge_message *ret_answer);
int peer_port_bind(struct bridge_client *c, uint32_t domid, uint32_t port,
		   struct bridge_message *ret_answer);
int peer_keep(struct bridge_client *c, Bridge__Keep__Action action, const char *name, int fd,
	      struct bridge_message *ret_answer);
/* the next event, waited for */
void peer_next_event(struct bridge_client *c, struct bridge_message *ret_event);
void peer_expect_info(struct bridge_client *c, uint32_t domid, Bridge__DomainState state,
		      uint32_t snapshot);
void peer_expect_state(struct bridge_client *c, uint32_t domid, Bridge__DomainState state);
int peer_update(struct bridge_client *c, Bridge__DomainState state, uint32_t store_port);
int peer_update_reason(struct bridge_client *c, Bridge__DomainState state, uint32_t reason);

#endif
