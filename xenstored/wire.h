/* SPDX-License-Identifier: MIT */
/*
 * The Xenstore protocol's bytes: message headers, strings, numbers, paths, names of errors.
 * Pure: no I/O, allocation, clock or globals. Everything here sees bytes of guests and clients.
 */
#ifndef XENSTORED_WIRE_H
#define XENSTORED_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEADER_SIZE 16u
#define WIRE_PAYLOAD_MAX 4096u
#define WIRE_PATH_MAX 3072u /* bytes of an absolute path */
#define WIRE_DEPTH_MAX (WIRE_PATH_MAX / 2)

/* libxen-dev 4.17 knows the types up to 22; the numbers are those of docs/misc/xenstore.txt */
enum wire_type {
	WIRE_CONTROL = 0,
	WIRE_DIRECTORY = 1,
	WIRE_READ = 2,
	WIRE_GET_PERMS = 3,
	WIRE_WATCH = 4,
	WIRE_UNWATCH = 5,
	WIRE_TRANSACTION_START = 6,
	WIRE_TRANSACTION_END = 7,
	WIRE_INTRODUCE = 8,
	WIRE_RELEASE = 9,
	WIRE_GET_DOMAIN_PATH = 10,
	WIRE_WRITE = 11,
	WIRE_MKDIR = 12,
	WIRE_RM = 13,
	WIRE_SET_PERMS = 14,
	WIRE_WATCH_EVENT = 15,
	WIRE_ERROR = 16,
	WIRE_IS_DOMAIN_INTRODUCED = 17,
	WIRE_RESUME = 18,
	WIRE_SET_TARGET = 19,
	WIRE_RESET_WATCHES = 21,
	WIRE_DIRECTORY_PART = 22,
	WIRE_GET_FEATURE = 23,
	WIRE_SET_FEATURE = 24,
	WIRE_GET_QUOTA = 25,
	WIRE_SET_QUOTA = 26,
	WIRE_TYPE_COUNT
};

struct wire_header {
	uint32_t type, req_id, tx_id, len;
};

/*
 * Bytes of the message that starts here, 0 when more are needed to know, -EPROTO when its payload is
 * too long (known from the header alone). The message is complete when the value is <= len.
 */
int wire_peek(const void *buf, size_t len, struct wire_header *ret_header);

struct wire_string {
	const char *s; /* ends with a NUL that len does not count */
	size_t len;
};

/*
 * The NUL-terminated strings of a payload: their number (0 for an empty payload), -EINVAL when the last
 * one has no NUL or there are more than max.
 */
int wire_strings(const char *payload, size_t len, struct wire_string *ret_strings, size_t max);

/* decimal digits and nothing else, at most max. 0 or -EINVAL */
int wire_number(const char *s, size_t len, uint64_t max, uint64_t *ret_value);
int wire_domid(const char *s, size_t len, uint16_t *ret_domid);

/* name as clients know it; an errno they do not know is EINVAL to them, so it is EINVAL here */
const char *wire_error_name(int error);

/*
 * A path in its one canonical form: "/", "/a/b", or special: "@name", "@name/x".
 */
struct wire_path {
	const char *s; /* no NUL */
	size_t len;
	uint32_t strip; /* bytes of the base that a relative path was put behind, else 0 */
	bool special;
};

/* bytes of "/local/domain/N/" that this absolute path starts with, else 0 */
size_t wire_domain_prefix(const char *s, size_t len);

/*
 * Checks a path and makes it absolute: base ("/local/domain/N/") is put before a relative one, in buf
 * (WIRE_PATH_MAX bytes; ret_path points into it or into s). rel_max: how much may follow a domain's
 * prefix, 0 = no such limit. special_ok: may begin with '@'. 0 or -EINVAL
 */
int wire_path_parse(const char *s, size_t len, const char *base, uint64_t rel_max, bool special_ok,
		    char *buf, struct wire_path *ret_path);

/* one component of a canonical path: starts at *pos (past the slash), *pos moves behind it */
static inline size_t wire_component(const char *path, size_t len, size_t *pos,
				    const char **ret_name)
{
	size_t start = *pos, end = start;

	while (end < len && path[end] != '/')
		end++;
	*ret_name = path + start;
	*pos = end + 1;
	return end - start;
}

#endif
