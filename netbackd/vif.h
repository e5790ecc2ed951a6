/* SPDX-License-Identifier: MIT */
/*
 * A network card of a guest: its nodes in the Xenstore, its TAP, its queues. Driver of xenhost/backend.h,
 * in the main thread; each queue has a thread of the pool.
 */
#ifndef NETBACKD_VIF_H
#define NETBACKD_VIF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <xenhost/backend.h>

#include "backend/opener.h"
#include "backend/worker.h"

#include "netbackd/net_filter.h"
#include "netbackd/tap.h"

struct event_base;
struct listed;
struct opener;
struct vif_queue;
struct vif_state;

/* data of xenhost_backend_new() */
struct vif_driver {
	struct event_base *base; /* of the main thread */
	struct opener *opener;
	struct mailbox box;
	struct workers workers;
	struct listed *kept; /* see vif_keep.c */
	bool swept;
	/* options */
	unsigned int nr_threads;
	unsigned int nr_queues; /* offered */
	unsigned int stall_ms;	/* a guest without buffers loses its carrier; 0: never */
	bool anti_spoof;	/* unless a card says otherwise */
};

#define VIF_STATS(X)                                                  \
	X(tx_frames) /* from the guest to the TAP */                  \
	X(tx_bytes)                                                   \
	X(tx_errors) /* the front end's fault */                      \
	X(tx_drops)  /* the kernel did not take it */                 \
	X(tx_spoofs) /* not from the card's own address */            \
	X(rx_frames)                                                  \
	X(rx_bytes)                                                   \
	X(rx_errors)   /* buffers that cannot be used */              \
	X(rx_drops)    /* too short or too long for the guest */      \
	X(rx_filtered) /* multicast that the guest did not ask for */ \
	X(events)      /* times the front end woke us */              \
	X(notifies)    /* times we woke it */                         \
	X(stalls)      /* times it left us without buffers for too long */

/* of one queue: its thread writes, the main thread looks */
struct vif_stats {
#define X(name) _Atomic uint64_t name;
	VIF_STATS(X)
#undef X
};

#define VIF_STATS_COUNT (sizeof(struct vif_stats) / sizeof(_Atomic uint64_t))

/* what the front end can do with what we send, settled while it is connected */
struct vif_features {
	bool sg;
	bool gso4, gso6;
	bool csum4, csum6;
	bool rx_notify; /* tells us of new buffers */
};

/* the question for the TAP */
struct vif_opening {
	struct opener_call call;
	enum { VIF_NOT_ASKED, VIF_ASKED, VIF_ANSWERED } state;
	char name[IFNAME_LEN_MAX + 1];
	char *bridge;
	int error;
	char text[OPEN_TEXT_MAX];
	int fds[TAP_QUEUES_MAX];
	unsigned int nr_fds;
};

struct vif {
	xenhost_device_t *dev;
	struct vif_driver *driver;
	struct tap *tap; /* NULL: */
	char *passt;	 /* the socket of one */
	struct vif_opening opening;
	struct opener_call mtu_call;
	unsigned int mtu; /* that was asked for last; 0: none */
	struct vif_state
		*state; /* outlives us; its list of addresses is for the queues' threads as well */
	struct vif_features features;
	uint8_t mac[6];
	bool have_mac;
	struct net_addresses addresses;
	bool have_addresses; /* it may send from these only, if there is anti_spoof */
	bool connected;
	bool resumed;	  /* the front end was connected to a predecessor */
	bool handed_over; /* to a successor: its deposits stay */
	bool carrier;	  /* as last told to the TAP */
	unsigned int nr_stalled;
	uint32_t nr_queues;
	struct vif_queue *queues[TAP_QUEUES_MAX]; /* while connected */
	struct vif_stats stats;			  /* of those that are gone */

	/* for the queues' threads as well */
	_Atomic bool mcast_filter;
	_Atomic bool anti_spoof;
	_Atomic bool unplugged;			/* somebody has drawn the cable */
	_Atomic uint64_t rate_bytes, rate_usec; /* of each queue; 0: no limit */
};

extern const struct xenhost_backend_ops vif_ops;

/* in a letter of a queue: it has no buffers for a long time, or has some again */
void vif_stalled(struct vif *vif, bool stalled);
/* sum over all queues, those that are and those that were */
void vif_sum_stats(const struct vif *vif, uint64_t sums[VIF_STATS_COUNT]);

/* --- vif_link.c --- */

void vif_link_init(struct vif *vif);
/* in probe, again and again: what the nodes say, or what a predecessor left; 0, XENHOST_LATER, -errno (logged) */
int vif_link_set_up(struct vif *vif);
void vif_link_fini(struct vif *vif);
/* when a front end connects, as it wants it; 0, XENHOST_LATER: when it connects anew, -errno (logged). And when it has gone */
int vif_link_prepare(struct vif *vif);
void vif_link_release(struct vif *vif);
void vif_link_carrier(struct vif *vif, bool on);
/* the most a card on it can have */
uint32_t vif_link_queues(const struct vif *vif);
/* for people */
const char *vif_link_name(const struct vif *vif);

/* --- vif_control.c --- */

/* an order from order_take(), in the event callback */
void vif_obey(struct vif *vif, uint64_t number, const char *order);
/* of one of VIF_STATS_COUNT */
const char *vif_stat_name(size_t i);

/* --- vif_nodes.c --- */

/* the TAP's name, into IFNAME_LEN_MAX + 1 bytes; logged */
int vif_read_name(xenhost_device_t *dev, char *name);
/* what the front end says; logged */
int vif_read_front_end(struct vif *vif);
/* what may change at any time */
void vif_read_settings(struct vif *vif);
/* `mtu`, with what the front end's features allow; logged */
int vif_read_mtu(struct vif *vif, unsigned int *ret_mtu);
int vif_publish_features(struct vif *vif);

#endif
