/* SPDX-License-Identifier: MIT */
/*
 * Records of Xen's migration stream (docs/designs/xenstore-migration, versions 1 and 2): how one Xenstore
 * gives what it has to another one, of whatever make. Pure: no I/O, allocation or globals; what is read
 * may come from anywhere. Written is the byte order of this machine, read are both.
 */
#ifndef XENSTORED_STREAM_WIRE_H
#define XENSTORED_STREAM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xenstored/perm.h"

#define STREAM_HEAD_SIZE 16u
#define STREAM_VERSION_MAX 2u
#define STREAM_ANY_DEPTH 0xffffu
#define STREAM_NO_DOMAIN 0x7ff4u /* DOMID_INVALID */
#define STREAM_PERMS_MAX 4096u
#define STREAM_QUOTAS_MAX 64u

enum stream_type {
	STREAM_END,
	STREAM_GLOBAL,
	STREAM_CONN,
	STREAM_WATCH,
	STREAM_TXN,
	STREAM_NODE,
	STREAM_QUOTA,
	STREAM_DOMAIN,
	STREAM_DEPTH_WATCH, /* version 2; read as STREAM_WATCH with a depth */
	STREAM_TYPES
};

enum stream_kind { STREAM_RING, STREAM_SOCKET };

struct stream_part {
	const char *data;
	size_t len;
};

/* What of it counts depends on the type. Parts of a record that was read point into the stream. */
struct stream_record {
	uint32_t type;
	int32_t fd, event_fd;	/* global; connection by socket */
	uint32_t conn, tx;	/* connection, watch, transaction, node; node 0: committed */
	uint16_t kind;		/* of connection */
	uint16_t domid, target; /* of ring; of domain: domid */
	uint32_t port;
	bool has_unique_id;
	uint64_t unique_id;
	uint32_t partial; /* of the output: what belongs to a message that has begun to leave */
	struct stream_part in, out; /* connection */
	struct stream_part path;    /* watch, node: without its NUL */
	struct stream_part token;   /* watch: without its NUL */
	uint16_t depth;		    /* watch */
	struct stream_part value;   /* node */
	uint16_t access;	    /* pending node: 1 read, 2 written */
	uint16_t nr_perms;
	const struct perm *perms; /* to write */
	struct stream_part raw;	  /* as read: permissions or quota values, see below */
	uint32_t features;	  /* domain, version 2 */
	uint16_t nr_quotas;	  /* quota, domain */
	const uint32_t *quotas;	  /* to write */
	struct stream_part names; /* of quotas: each with its NUL */
	bool swap;		  /* as read: raw is in the other byte order */
};

struct stream_head {
	uint32_t version;
	bool swap;
};

/* 0, or -EPROTO: no stream, -EOPNOTSUPP: of a version that is not known */
int stream_head_decode(const void *buf, size_t len, struct stream_head *ret_head);
void stream_head_encode(uint32_t version, void *buf);

/* Bytes taken, or -EPROTO: cut off, or not what the document says */
int64_t stream_decode(const struct stream_head *h, const void *buf, size_t len,
		      struct stream_record *ret_record);
/* of the record in that version, a multiple of 8 */
size_t stream_size(uint32_t version, const struct stream_record *r);
void stream_encode(uint32_t version, const struct stream_record *r, void *buf);

/* i < nr_perms of a record that was read. 0, or -EPROTO: no permission */
int stream_perm(const struct stream_record *r, size_t i, struct perm *ret_perm);
/* i < nr_quotas; *at starts at 0 and is for this function */
void stream_quota(const struct stream_record *r, size_t i, size_t *at, struct stream_part *ret_name,
		  uint32_t *ret_value);

/* bytes of a message that has begun to leave, in front of whole messages */
size_t stream_partial(const void *out, size_t len);

#endif
