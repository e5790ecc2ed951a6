/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of a vhost-user-blk disk with one queue: what drives the peer of our disk back end as
 * lean as a loopback guest drives ours. Reads of one size, one descriptor chain per request.
 */
#ifndef TESTS_BENCH_VHOST_BLK_H
#define TESTS_BENCH_VHOST_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vhost_blk;

#define VHOST_BLK_DEPTH 32u

/* connects to a server that listens; bytes: of each request. 0 or -errno */
int vhost_blk_open(const char *socket, size_t bytes, struct vhost_blk **ret_disk);
struct vhost_blk *vhost_blk_close(struct vhost_blk *v); /* NULL */

/* request `id`, below VHOST_BLK_DEPTH and not under way; seen by the server after the push */
void vhost_blk_put(struct vhost_blk *v, unsigned int id, uint64_t sector);
void vhost_blk_push(struct vhost_blk *v);
/* the id of one that is done, -1 none, -EIO it failed */
int vhost_blk_take(struct vhost_blk *v);
/* asks for an event at the next one; true: there is one already */
bool vhost_blk_arm(struct vhost_blk *v);
int vhost_blk_fd(const struct vhost_blk *v); /* of events */
/* until there is one; false: the server keeps silent so long */
bool vhost_blk_wait(struct vhost_blk *v, int timeout_ms);

/* takes an event of any eventfd, without waiting; true: there was one */
bool vhost_blk_look(int fd);

#endif
