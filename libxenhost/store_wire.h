/* SPDX-License-Identifier: MIT */
/*
 * Xenstore's wire format as a client needs it (public/io/xs_wire.h, docs/misc/xenstore.txt).
 * Pure: no I/O, allocation, clock or globals. Pointers returned point into the payload given.
 */
#ifndef LIBXENHOST_STORE_WIRE_H
#define LIBXENHOST_STORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenhost/store.h>

#define XH_WIRE_HEADER 16
#define XH_WIRE_PAYLOAD_MAX 4096
#define XH_WIRE_TOKEN_SIZE 32
#define XH_WIRE_PERM_SIZE 8 /* "b65535" and its NUL */

struct xh_wire_header {
	uint32_t type;
	uint32_t req_id;
	uint32_t tx_id;
	uint32_t len;
};

/* buf: XH_WIRE_HEADER bytes. -EPROTO when len is over the limit */
int xh_wire_parse(const uint8_t *buf, struct xh_wire_header *ret_header);
void xh_wire_build(const struct xh_wire_header *header, uint8_t *buf);

/* errno (positive) of an ERROR payload, EINVAL when it is none we know: as libxenstore does */
int xh_wire_errno(const char *payload, size_t len);
/* NULL when the protocol has no name for it */
const char *xh_wire_error_name(int error);

/* number of NUL-terminated strings the payload consists of; -EPROTO when the last one has no end */
int xh_wire_count(const char *payload, size_t len);
/* 0 for "OK", else -EPROTO */
int xh_wire_ack(const char *payload, size_t len);
/* path and token of a watch event. More strings behind them are ignored. -EPROTO */
int xh_wire_event(const char *payload, size_t len, const char **ret_path, const char **ret_token);
/* len digits and nothing else: -EINVAL otherwise, or with none or over 20; -ERANGE above max */
int xh_wire_number(const char *digits, size_t len, uint64_t max, uint64_t *ret_value);

/*
 * One page of DIRECTORY_PART: generation, then whole names; `last` when it ends with an empty
 * string. -EPROTO
 */
struct xh_wire_part {
	uint64_t generation;
	const char *names;
	size_t len; /* of the names with their NULs */
	bool last;
};
int xh_wire_part(const char *payload, size_t len, struct xh_wire_part *ret_part);

/* "r12". -EPROTO */
int xh_wire_perm_parse(const char *s, struct xenhost_perm *ret_perm);
/* length without the NUL, or -EINVAL for a letter that is none */
int xh_wire_perm_format(const struct xenhost_perm *perm, char buf[XH_WIRE_PERM_SIZE]);

/*
 * Our watch tokens: place in a table, and a serial number that is never used twice, so that an
 * event for a watch that has ended, or from a daemon that invents tokens, finds nothing.
 */
void xh_wire_token_format(uint32_t slot, uint64_t serial, char buf[XH_WIRE_TOKEN_SIZE]);
/* -EINVAL when it is none of ours */
int xh_wire_token_parse(const char *token, uint32_t *ret_slot, uint64_t *ret_serial);

#endif
