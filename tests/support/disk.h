/* SPDX-License-Identifier: MIT */
/*
 * A disk as its front end sees it, played by a loopback guest. Every byte that is read is checked against
 * a model of the disk; every grant is revoked as soon as its request was answered, as front ends do that
 * trust nobody. Failures end the test.
 */
#ifndef TESTS_SUPPORT_DISK_H
#define TESTS_SUPPORT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/front.h"
#include "tests/support/set.h"

#define DISK_SECTORS 8192u
#define DISK_QUEUES_MAX 4u
#define DISK_PAGES_MAX 16u
#define DISK_DEPTH 32u	   /* requests of a queue, at most */
#define DISK_DEPTH_BIG 64u /* ... whose ring has more than one page */
#define DISK_SEGS_MAX 32u  /* as Linux uses of an indirect request */
#define DISK_PATIENCE_MS 60000
#define DISK_XVDA 51712u

struct disk_request {
	bool busy;
	uint8_t op;
	uint64_t sector;
	unsigned int nr_sectors;
	unsigned int nr_segs;
	uint32_t frames[DISK_SEGS_MAX];
	uint32_t grefs[DISK_SEGS_MAX];
	uint32_t indirect_frame;
	uint32_t indirect_gref; /* 0: none */
};

struct disk_queue {
	struct xenhost_front_ring ring;
	struct guest_port port;
	uint32_t frames[DISK_PAGES_MAX]; /* one behind the other */
	uint32_t grefs[DISK_PAGES_MAX];
};

struct disk {
	struct guest *guest;
	struct front front;
	unsigned int nr_queues; /* to be set before disk_connect(), like pages; else 1 */
	unsigned int pages;	/* of each ring */
	bool order_node;	/* names one page as a ring of order 0 */
	bool is32;		/* the 32-bit layout */
	struct disk_queue queues[DISK_QUEUES_MAX];
	char path[128];
	unsigned int nr_requests; /* of all queues */
	struct disk_request requests[DISK_QUEUES_MAX * DISK_DEPTH_BIG];
	uint32_t versions[DISK_SECTORS]; /* the model: what was written last, 0: zeros */
	bool claimed[DISK_SECTORS];	 /* a request is under way there */
	unsigned int inflight;
	uint32_t version;
};

/* what random requests may be, beside reads and writes */
#define DISK_INDIRECT 1u
#define DISK_FLUSH 2u
#define DISK_DISCARD 4u

void disk_make_image(const struct set *set, const char *name, char *path, size_t size);
/* A guest with a device that is complete in the store but for front_start(). mode: "r" or "w" */
void disk_prepare(struct disk *d, const struct set *set, const char *name, const char *mode,
		  const char *image);
/* the same of another back end than SET_BLKBACK */
void disk_prepare_of(struct disk *d, const struct set *set, uint16_t service, const char *name,
		     const char *mode, const char *image);
/* ... complete; with an image of its own, or `image` */
void disk_create(struct disk *d, const struct set *set, const char *name, const char *mode);
void disk_create_on(struct disk *d, const struct set *set, const char *name, const char *mode,
		    const char *image);
/* shares rings and ports and publishes them, but for the state */
void disk_offer(struct disk *d, bool is32);
/* What a front end does when it sees InitWait. state: 3, or 4 as OVMF does */
void disk_connect(struct disk *d, bool is32, unsigned int state);
void disk_open(struct disk *d, const struct set *set, const char *name, const char *mode,
	       bool is32);
void disk_release_rings(struct disk *d);
void disk_disconnect(struct disk *d);
void disk_close(struct disk *d);

/* The slot of a plain request without segments, in the ring of request i, which is its id. */
uint8_t *disk_put_header(struct disk *d, unsigned int i, uint8_t op, uint8_t nr, uint64_t sector);
/* Puts a request into the ring, not yet published. op: BLKIF_OP_READ, _WRITE, _WRITE_BARRIER, _DISCARD,
 * _FLUSH_DISKCACHE (nr 0) */
void disk_submit(struct disk *d, unsigned int i, uint8_t op, uint64_t sector, unsigned int nr,
		 bool indirect);
void disk_publish(struct disk *d);
uint8_t *disk_data_of(struct disk *d, const struct disk_request *q, unsigned int n);
/* The next response: its id, with the status in *ret_status. */
uint64_t disk_next_response(struct disk *d, uint8_t *ret_op, int16_t *ret_status);
/* The pages are ours again at this moment, not later. */
void disk_give_back(struct disk *d, struct disk_request *q);
/* one more response, of a request that must have worked, is checked */
void disk_complete(struct disk *d);
void disk_complete_all(struct disk *d);
/* One request without data, or one that must fail: its status. */
int16_t disk_ask(struct disk *d, uint8_t op, uint8_t nr, uint64_t sector, uint32_t gref,
		 unsigned int first_last);
void disk_flush(struct disk *d);
/* A request at a random place that no other is at; false: none was found */
bool disk_submit_random(struct disk *d, unsigned int what);
void disk_random_io(struct disk *d, unsigned int count, unsigned int what);
/* requests that the back end has not answered, by the rings */
unsigned int disk_unanswered(const struct disk *d);
/* what is in the file is what was written */
void disk_check_image(struct disk *d);

/* As a tool of domain 0: writes an order and waits for its answer, without its number, in a static buffer */
const char *disk_order(struct disk *d, const char *order);
/* the number behind "NAME=" in what disk_order("stat") says */
unsigned long long disk_stat(struct disk *d, const char *name);
/* text of the error node */
const char *disk_error(struct disk *d);

#endif
