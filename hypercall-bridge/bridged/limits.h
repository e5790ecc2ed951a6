/* SPDX-License-Identifier: MIT */
/* Everything that a peer can make bridged keep has its limit here. */
#ifndef BRIDGED_LIMITS_H
#define BRIDGED_LIMITS_H

#define LIMIT_CLIENTS 8192 /* connections, all sockets together */
#define LIMIT_DOMAINS 4096 /* guests */
#define LIMIT_QUEUE 8192 /* unsent messages of one connection; a peer that reads none is dropped */
#define LIMIT_TRACE_QUEUE 1024 /* unsent lines of one trace; more are lost */
#define LIMIT_QUEUED_NEWS \
	1024 /* unsent messages of one connection before news of domains are left out */
#define LIMIT_ATTACHMENTS 4096	  /* guests that one connection is attached to */
#define LIMIT_KEPT 4096		  /* descriptors kept for one socket's services */
#define LIMIT_MEMORY (1ULL << 40) /* bytes of one guest; services map it whole */
#define LIMIT_GUEST_PORTS 1024	  /* ports of one guest: two descriptors each */
#define LIMIT_QUEUED_FDS 256	  /* descriptors in unsent messages of one connection */
#define LIMIT_GONE 1024		  /* guests that have gone and are still known */
#define LIMIT_GRANT_FRAMES 64	  /* frames of one guest's grant table */
#define LIMIT_STORED 24000 /* with the keeper; their names go through one environment variable */

#endif
