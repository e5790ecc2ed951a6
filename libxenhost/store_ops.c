/* SPDX-License-Identifier: MIT */
/* The public operations on the store: arguments to a request's parts, an answer to a result. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "libxenhost/store.h"

#define LIST_TRIES 64		  /* a directory that changes between its pages is read anew */
#define LIST_BYTES_MAX (4u << 20) /* names of one directory */
#define PERMS_PER_MESSAGE_MAX 512u

int xenhost_store_set_timeout(xenhost_t *host, int milliseconds)
{
	if (!host || milliseconds < -1)
		return -EINVAL;
	host->store_timeout = milliseconds;
	return 0;
}

/* a request whose payload is one path */
static int call_path(xenhost_t *host, uint32_t type, uint32_t txn, const char *path,
		     char **ret_reply, size_t *ret_len)
{
	struct iovec part;

	if (!path)
		return -EINVAL;
	part = xh_store_string(path);
	return xh_store_call(host, type, txn, &part, 1, ret_reply, ret_len);
}

static int ack_path(xenhost_t *host, uint32_t type, uint32_t txn, const char *path)
{
	struct iovec part;

	if (!path)
		return -EINVAL;
	part = xh_store_string(path);
	return xh_store_call_ack(host, type, txn, &part, 1);
}

/* --- values --- */

int xenhost_store_read(xenhost_t *host, xenhost_txn_t txn, const char *path, char **ret_value,
		       size_t *ret_len)
{
	char *value;
	size_t len;
	int r;

	if (!ret_value)
		return -EINVAL;
	r = call_path(host, XS_READ, txn, path, &value, &len);
	if (r < 0)
		return r;
	*ret_value = value;
	if (ret_len)
		*ret_len = len;
	return 0;
}

int xenhost_store_write(xenhost_t *host, xenhost_txn_t txn, const char *path, const void *value,
			size_t len)
{
	struct iovec parts[2];

	if (!path || (!value && len))
		return -EINVAL;
	parts[0] = xh_store_string(path);
	parts[1] = (struct iovec){ (void *)(uintptr_t)value, len };
	return xh_store_call_ack(host, XS_WRITE, txn, parts, 2);
}

int xenhost_store_printf(xenhost_t *host, xenhost_txn_t txn, const char *path, const char *fmt, ...)
{
	_cleanup_free_ char *value = NULL;
	va_list ap;
	int len;

	if (!fmt)
		return -EINVAL;
	va_start(ap, fmt);
	len = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (len < 0) {
		value = NULL;
		return -ENOMEM;
	}
	return xenhost_store_write(host, txn, path, value, (size_t)len);
}

int xenhost_store_read_u64(xenhost_t *host, xenhost_txn_t txn, const char *path, uint64_t max,
			   uint64_t *ret_value)
{
	_cleanup_free_ char *value = NULL;
	size_t len;
	int r;

	if (!ret_value)
		return -EINVAL;
	r = xenhost_store_read(host, txn, path, &value, &len);
	return r < 0 ? r : xh_wire_number(value, len, max, ret_value);
}

/* --- directories --- */

struct names {
	char *buf;
	size_t len, room;
};

static int names_append(struct names *names, const char *bytes, size_t len)
{
	if (len > LIST_BYTES_MAX - names->len)
		return -E2BIG;
	if (names->room < names->len + len) {
		size_t room = 2 * (names->len + len);
		char *more = realloc(names->buf, room);

		if (!more)
			return -ENOMEM;
		names->buf = more;
		names->room = room;
	}
	if (len)
		memcpy(names->buf + names->len, bytes, len);
	names->len += len;
	return 0;
}

static int read_part(xenhost_t *host, uint32_t txn, const char *path, struct names *names,
		     struct xh_wire_part *ret_part)
{
	_cleanup_free_ char *reply = NULL;
	struct iovec parts[2];
	char offset[24];
	size_t len;
	int r;

	snprintf(offset, sizeof(offset), "%zu", names->len);
	parts[0] = xh_store_string(path);
	parts[1] = xh_store_string(offset);
	r = xh_store_call(host, XS_DIRECTORY_PART, txn, parts, 2, &reply, &len);
	if (r < 0)
		return r;
	if (xh_wire_part(reply, len, ret_part) < 0)
		return xh_store_malformed(host);
	return names_append(names, ret_part->names, ret_part->len);
}

/* 1: all names, 0: the directory changed on the way */
static int read_parts(xenhost_t *host, uint32_t txn, const char *path, struct names *names)
{
	struct xh_wire_part part;
	uint64_t generation = 0;

	names->len = 0;
	do {
		bool first = names->len == 0;
		int r = read_part(host, txn, path, names, &part);

		if (r < 0)
			return r;
		if (!first && part.generation != generation)
			return 0;
		generation = part.generation;
	} while (!part.last);
	return 1;
}

static int read_large(xenhost_t *host, uint32_t txn, const char *path, struct names *names)
{
	for (int i = 0; i < LIST_TRIES; i++) {
		int r = read_parts(host, txn, path, names);

		if (r != 0)
			return r < 0 ? r : 0;
	}
	return -EAGAIN;
}

static int read_names(xenhost_t *host, uint32_t txn, const char *path, struct names *names)
{
	int r = call_path(host, XS_DIRECTORY, txn, path, &names->buf, &names->len);

	if (r != -E2BIG)
		return r;
	/* either there are too many names, or the path does not even fit into a request */
	if (strlen(path) + 24 > XH_WIRE_PAYLOAD_MAX)
		return r;
	return read_large(host, txn, path, names);
}

/* one block: the pointers, then the names they point to */
static int names_table(const struct names *names, char ***ret_names)
{
	int n = xh_wire_count(names->buf, names->len);
	char **table, *p;

	if (n < 0)
		return n;
	table = malloc(((size_t)n + 1) * sizeof(char *) + names->len);
	if (!table)
		return -ENOMEM;
	p = (char *)(table + n + 1);
	if (names->len)
		memcpy(p, names->buf, names->len);
	for (int i = 0; i < n; i++) {
		table[i] = p;
		p += strlen(p) + 1;
	}
	table[n] = NULL;
	*ret_names = table;
	return n;
}

int xenhost_store_list(xenhost_t *host, xenhost_txn_t txn, const char *path, char ***ret_names)
{
	struct names names = { 0 };
	int r;

	if (!ret_names)
		return -EINVAL;
	r = read_names(host, txn, path, &names);
	if (r == 0)
		r = names_table(&names, ret_names);
	free(names.buf);
	return r == -EPROTO && host->store ? xh_store_malformed(host) : r;
}

int xenhost_store_mkdir(xenhost_t *host, xenhost_txn_t txn, const char *path)
{
	return ack_path(host, XS_MKDIR, txn, path);
}

int xenhost_store_rm(xenhost_t *host, xenhost_txn_t txn, const char *path)
{
	return ack_path(host, XS_RM, txn, path);
}

/* --- permissions --- */

int xenhost_store_get_perms(xenhost_t *host, xenhost_txn_t txn, const char *path,
			    struct xenhost_perm *perms, size_t max)
{
	_cleanup_free_ char *reply = NULL;
	struct xenhost_perm perm;
	size_t len;
	char *p;
	int r, n;

	if (!perms && max)
		return -EINVAL;
	r = call_path(host, XS_GET_PERMS, txn, path, &reply, &len);
	if (r < 0)
		return r;
	n = xh_wire_count(reply, len);
	if (n < 1)
		return xh_store_malformed(host);
	p = reply;
	for (int i = 0; i < n; i++, p += strlen(p) + 1)
		if (xh_wire_perm_parse(p, &perm) < 0)
			return xh_store_malformed(host);
	p = reply;
	for (int i = 0; i < n && (size_t)i < max; i++, p += strlen(p) + 1)
		(void)xh_wire_perm_parse(p, &perms[i]);
	return n;
}

int xenhost_store_set_perms(xenhost_t *host, xenhost_txn_t txn, const char *path,
			    const struct xenhost_perm *perms, size_t n)
{
	char buf[PERMS_PER_MESSAGE_MAX * XH_WIRE_PERM_SIZE];
	struct iovec parts[2];
	size_t len = 0;

	if (!path || !perms || n == 0)
		return -EINVAL;
	if (n > PERMS_PER_MESSAGE_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		int r = xh_wire_perm_format(&perms[i], buf + len);

		if (r < 0)
			return r;
		len += (size_t)r + 1;
	}
	parts[0] = xh_store_string(path);
	parts[1] = (struct iovec){ buf, len };
	return xh_store_call_ack(host, XS_SET_PERMS, txn, parts, 2);
}

/* --- domains, for the toolstack --- */

int xenhost_store_introduce(xenhost_t *host, uint16_t domid, uint64_t gfn, uint32_t port)
{
	char payload[64];
	struct iovec part = { payload, 0 };
	int n;

	n = snprintf(payload, sizeof(payload), "%" PRIu16 "%c%" PRIu64 "%c%" PRIu32, domid, 0, gfn,
		     0, port);
	part.iov_len = (size_t)n + 1;
	return xh_store_call_ack(host, XS_INTRODUCE, 0, &part, 1);
}

int xenhost_store_release(xenhost_t *host, uint16_t domid)
{
	char payload[8];

	snprintf(payload, sizeof(payload), "%" PRIu16, domid);
	return ack_path(host, XS_RELEASE, 0, payload);
}
