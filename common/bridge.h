/* SPDX-License-Identifier: MIT */
/* Constants of the bridge protocol (bridge.proto) that both ends share. */
#ifndef COMMON_BRIDGE_H
#define COMMON_BRIDGE_H

#define BRIDGE_VERSION 1
#define BRIDGE_VERSION_OLDEST 1 /* that we still speak */

/* largest message, and so the bound of everything that is allocated for one */
#define BRIDGE_MESSAGE_MAX 16384

/* DomainInfo.snapshot */
#define BRIDGE_SNAPSHOT_FIRST 1u
#define BRIDGE_SNAPSHOT_LAST 2u

#define BRIDGE_SECRET_SIZE 32
#define BRIDGE_DOMID_SELF 0x7ff0u
#define BRIDGE_VALUES_MAX 4 /* arguments or results of a hypercall op */
/* Hypercall.op, as in xenhost/hypercall.h */
#define BRIDGE_HYPERCALL_VERSION 1u
#define BRIDGE_HYPERCALL_EVTCHN_STATUS 2u
#define BRIDGE_HYPERCALL_GRANT_SIZE 3u
#define BRIDGE_HYPERCALL_HVM_PARAM 4u
#define BRIDGE_HYPERCALL_SHUTDOWN 5u
#define BRIDGE_PORT_LIST_MAX 256 /* ports in one answer */

#define BRIDGE_GRANT_LIST_MAX 256 /* grants in one answer */

#define BRIDGE_NAME_MAX 64    /* domain name with its NUL */
#define BRIDGE_REGIONS_MAX 8  /* pieces of memory of one domain */
#define BRIDGE_PORTS_MAX 4096 /* ports of one domain: the two-level event channel ABI, 64 bit */
#define BRIDGE_DOMID_GUEST_MIN 1
#define BRIDGE_DOMID_GUEST_MAX 31999

/* files of RUNDIR */
#define BRIDGE_DIR "bridge"
#define BRIDGE_SOCKET_TOOL "bridge/tool.sock"
#define BRIDGE_SOCKET_STORE "bridge/store.sock"
#define BRIDGE_SOCKET_VMM "bridge/vmm.sock"
#define STORE_DIR "store"
#define STORE_SOCKET "xenstored.sock"

#endif
