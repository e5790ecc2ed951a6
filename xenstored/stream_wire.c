/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <byteswap.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "xenstored/stream_wire.h"
#include "xenstored/wire.h"

#define BIG_ENDIAN_BODY 1u /* flag of the header */
#define HAS_UNIQUE_ID 1u   /* flag of a connection */
#define STALE 1u	   /* flag of a permission */
#define RECORD_HEAD 8u
#define CONN_FIXED 24u

static const char ident[8] = { 'x', 'e', 'n', 's', 't', 'o', 'r', 'e' };

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* --- reading: what is behind the end makes it bad, and all that follows --- */

struct reader {
	const char *at;
	size_t left;
	bool swap, bad;
};

static struct stream_part take(struct reader *rd, size_t len)
{
	struct stream_part p = { rd->at, len };

	if (rd->bad || len > rd->left) {
		rd->bad = true;
		return (struct stream_part){ NULL, 0 };
	}
	rd->at += len;
	rd->left -= len;
	return p;
}

static uint16_t get16(struct reader *rd)
{
	const struct stream_part p = take(rd, 2);
	uint16_t v = 0;

	if (p.data)
		memcpy(&v, p.data, sizeof(v));
	return rd->swap ? bswap_16(v) : v;
}

static uint32_t get32(struct reader *rd)
{
	const struct stream_part p = take(rd, 4);
	uint32_t v = 0;

	if (p.data)
		memcpy(&v, p.data, sizeof(v));
	return rd->swap ? bswap_32(v) : v;
}

static uint64_t get64(struct reader *rd)
{
	const struct stream_part p = take(rd, 8);
	uint64_t v = 0;

	if (p.data)
		memcpy(&v, p.data, sizeof(v));
	return rd->swap ? bswap_64(v) : v;
}

/* len counts the NUL; there must be no other one */
static struct stream_part take_string(struct reader *rd, size_t len)
{
	struct stream_part p = take(rd, len);

	if (!p.data || !len || memchr(p.data, 0, len) != p.data + len - 1) {
		rd->bad = true;
		return p;
	}
	p.len--;
	return p;
}

static void read_conn(struct reader *rd, struct stream_record *r)
{
	const char *start = rd->at;
	uint16_t fields, in;
	uint32_t out;

	r->conn = get32(rd);
	r->kind = get16(rd);
	fields = get16(rd);
	if (r->kind == STREAM_RING) {
		r->domid = get16(rd);
		r->target = get16(rd);
		r->port = get32(rd);
	} else {
		r->fd = (int32_t)get32(rd);
		get32(rd);
	}
	in = get16(rd);
	r->partial = get16(rd);
	out = get32(rd);
	r->in = take(rd, in);
	r->out = take(rd, out);
	rd->bad |= !r->conn || r->kind > STREAM_SOCKET || (fields & ~HAS_UNIQUE_ID) ||
		   r->partial > r->out.len;
	if (rd->bad || !(fields & HAS_UNIQUE_ID))
		return;
	take(rd, padded((size_t)(rd->at - start)) - (size_t)(rd->at - start));
	r->has_unique_id = true;
	r->unique_id = get64(rd);
}

static void read_watch(struct reader *rd, struct stream_record *r, bool depth)
{
	uint16_t path, token;

	r->conn = get32(rd);
	path = get16(rd);
	token = get16(rd);
	r->depth = STREAM_ANY_DEPTH;
	if (depth) {
		r->depth = get16(rd);
		get16(rd);
	}
	r->path = take_string(rd, path);
	r->token = take_string(rd, token);
	r->type = STREAM_WATCH;
}

static void read_node(struct reader *rd, struct stream_record *r)
{
	uint16_t path, value;

	r->conn = get32(rd);
	r->tx = get32(rd);
	path = get16(rd);
	value = get16(rd);
	r->access = get16(rd);
	r->nr_perms = get16(rd);
	rd->bad |= r->nr_perms > STREAM_PERMS_MAX || (!r->conn && !r->nr_perms);
	r->raw = take(rd, 4u * r->nr_perms);
	r->path = take_string(rd, path);
	r->value = take(rd, value);
}

/* nr values, then as many names */
static void read_quotas(struct reader *rd, struct stream_record *r, size_t nr)
{
	rd->bad |= nr > STREAM_QUOTAS_MAX;
	r->raw = take(rd, 4 * nr);
	r->nr_quotas = (uint16_t)nr;
	r->names = (struct stream_part){ rd->at, 0 };
	for (size_t i = 0; i < nr && !rd->bad; i++) {
		const char *end = rd->left ? memchr(rd->at, 0, rd->left) : NULL;

		if (!end)
			rd->bad = true;
		else
			r->names.len += take(rd, (size_t)(end - rd->at) + 1).len;
	}
}

static void read_body(const struct stream_head *h, struct reader *rd, struct stream_record *r)
{
	size_t nr;

	switch (r->type) {
	case STREAM_END:
		break;
	case STREAM_GLOBAL:
		r->fd = (int32_t)get32(rd);
		r->event_fd = (int32_t)get32(rd);
		break;
	case STREAM_CONN:
		read_conn(rd, r);
		break;
	case STREAM_WATCH:
		read_watch(rd, r, false);
		break;
	case STREAM_DEPTH_WATCH:
		read_watch(rd, r, true);
		rd->bad |= h->version < 2;
		break;
	case STREAM_TXN:
		r->conn = get32(rd);
		r->tx = get32(rd);
		break;
	case STREAM_NODE:
		read_node(rd, r);
		break;
	case STREAM_QUOTA:
		nr = get16(rd);
		nr += get16(rd);
		read_quotas(rd, r, nr);
		break;
	case STREAM_DOMAIN:
		r->domid = get16(rd);
		nr = get16(rd);
		r->features = get32(rd);
		if (h->version < 2)
			r->features = 0;
		read_quotas(rd, r, nr);
		break;
	default:
		rd->bad = true;
	}
}

int64_t stream_decode(const struct stream_head *h, const void *buf, size_t len,
		      struct stream_record *ret_record)
{
	struct reader rd = { buf, len, h->swap, false };
	struct stream_record r = { .swap = h->swap };
	uint32_t body;

	r.type = get32(&rd);
	body = get32(&rd);
	if (rd.bad || body > rd.left || padded(body) > rd.left)
		return -EPROTO;
	rd.left = body;
	read_body(h, &rd, &r);
	if (rd.bad || (r.type == STREAM_END && body))
		return -EPROTO;
	*ret_record = r;
	return (int64_t)(RECORD_HEAD + padded(body));
}

int stream_head_decode(const void *buf, size_t len, struct stream_head *ret_head)
{
	uint32_t version, flags;

	if (len < STREAM_HEAD_SIZE || memcmp(buf, ident, sizeof(ident)) != 0)
		return -EPROTO;
	memcpy(&version, (const char *)buf + 8, sizeof(version));
	memcpy(&flags, (const char *)buf + 12, sizeof(flags));
	version = be32toh(version);
	flags = be32toh(flags);
	if (!version || version > STREAM_VERSION_MAX || (flags & ~BIG_ENDIAN_BODY))
		return -EOPNOTSUPP;
	ret_head->version = version;
	ret_head->swap = (flags != 0) != (__BYTE_ORDER == __BIG_ENDIAN);
	return 0;
}

int stream_perm(const struct stream_record *r, size_t i, struct perm *ret_perm)
{
	struct reader rd = { r->raw.data + 4 * i, 4, r->swap, false };
	const char letter = *take(&rd, 1).data;
	const uint8_t flags = (uint8_t)*take(&rd, 1).data;
	static const char letters[] = "nrwb"; /* by PERM_READ and PERM_WRITE */
	const char *at = letter ? strchr(letters, letter) : NULL;

	if (!at || (flags & ~STALE))
		return -EPROTO;
	*ret_perm = (struct perm){ get16(&rd), (uint8_t)(at - letters), flags & STALE };
	return 0;
}

void stream_quota(const struct stream_record *r, size_t i, size_t *at, struct stream_part *ret_name,
		  uint32_t *ret_value)
{
	struct reader rd = { r->raw.data + 4 * i, 4, r->swap, false };
	const char *name = r->names.data + *at;

	*ret_name = (struct stream_part){ name, strlen(name) };
	*at += ret_name->len + 1;
	*ret_value = get32(&rd);
}

/* --- writing --- */

struct writer {
	char *at;
};

static void put(struct writer *w, const void *data, size_t len)
{
	if (len)
		memcpy(w->at, data, len);
	w->at += len;
}

static void put16(struct writer *w, uint16_t v)
{
	put(w, &v, sizeof(v));
}

static void put32(struct writer *w, uint32_t v)
{
	put(w, &v, sizeof(v));
}

static void put_string(struct writer *w, const struct stream_part *p)
{
	put(w, p->data, p->len);
	put(w, "", 1);
}

static bool has_depth(uint32_t version, const struct stream_record *r)
{
	return version >= 2 && r->depth != STREAM_ANY_DEPTH;
}

static size_t body_size(uint32_t version, const struct stream_record *r)
{
	switch (r->type) {
	case STREAM_GLOBAL:
	case STREAM_TXN:
		return 8;
	case STREAM_CONN:
		return r->has_unique_id ? padded(CONN_FIXED + r->in.len + r->out.len) + 8
					: CONN_FIXED + r->in.len + r->out.len;
	case STREAM_WATCH:
		return 8u + (has_depth(version, r) ? 4 : 0) + r->path.len + r->token.len + 2;
	case STREAM_NODE:
		return 16u + 4u * r->nr_perms + r->path.len + 1 + r->value.len;
	case STREAM_QUOTA:
		return 4u + 4u * r->nr_quotas + r->names.len;
	case STREAM_DOMAIN:
		return 8u + 4u * r->nr_quotas + r->names.len;
	default:
		return 0;
	}
}

size_t stream_size(uint32_t version, const struct stream_record *r)
{
	return RECORD_HEAD + padded(body_size(version, r));
}

static void write_conn(struct writer *w, const struct stream_record *r)
{
	const char *start = w->at;

	put32(w, r->conn);
	put16(w, r->kind);
	put16(w, r->has_unique_id ? HAS_UNIQUE_ID : 0);
	if (r->kind == STREAM_RING) {
		put16(w, r->domid);
		put16(w, r->target);
		put32(w, r->port);
	} else {
		put32(w, (uint32_t)r->fd);
		put32(w, 0);
	}
	put16(w, (uint16_t)r->in.len);
	put16(w, (uint16_t)r->partial);
	put32(w, (uint32_t)r->out.len);
	put(w, r->in.data, r->in.len);
	put(w, r->out.data, r->out.len);
	if (!r->has_unique_id)
		return;
	while ((w->at - start) % 8)
		put(w, "", 1);
	put(w, &r->unique_id, sizeof(r->unique_id));
}

static void write_watch(struct writer *w, uint32_t version, const struct stream_record *r)
{
	put32(w, r->conn);
	put16(w, (uint16_t)(r->path.len + 1));
	put16(w, (uint16_t)(r->token.len + 1));
	if (has_depth(version, r)) {
		put16(w, r->depth);
		put16(w, 0);
	}
	put_string(w, &r->path);
	put_string(w, &r->token);
}

static void write_node(struct writer *w, const struct stream_record *r)
{
	put32(w, r->conn);
	put32(w, r->tx);
	put16(w, (uint16_t)(r->path.len + 1));
	put16(w, (uint16_t)r->value.len);
	put16(w, r->access);
	put16(w, r->nr_perms);
	for (size_t i = 0; i < r->nr_perms; i++) {
		put(w, &"nrwb"[r->perms[i].rights & (PERM_READ | PERM_WRITE)], 1);
		put(w, r->perms[i].is_void ? "\1" : "", 1);
		put16(w, r->perms[i].domid);
	}
	put_string(w, &r->path);
	put(w, r->value.data, r->value.len);
}

static void write_body(struct writer *w, uint32_t version, const struct stream_record *r)
{
	switch (r->type) {
	case STREAM_GLOBAL:
		put32(w, (uint32_t)r->fd);
		put32(w, (uint32_t)r->event_fd);
		break;
	case STREAM_CONN:
		write_conn(w, r);
		break;
	case STREAM_WATCH:
		write_watch(w, version, r);
		break;
	case STREAM_TXN:
		put32(w, r->conn);
		put32(w, r->tx);
		break;
	case STREAM_NODE:
		write_node(w, r);
		break;
	case STREAM_QUOTA:
		put16(w, r->nr_quotas);
		put16(w, 0);
		put(w, r->quotas, 4u * r->nr_quotas);
		put(w, r->names.data, r->names.len);
		break;
	case STREAM_DOMAIN:
		put16(w, r->domid);
		put16(w, r->nr_quotas);
		put32(w, version >= 2 ? r->features : 0);
		put(w, r->quotas, 4u * r->nr_quotas);
		put(w, r->names.data, r->names.len);
		break;
	default:
		break;
	}
}

void stream_encode(uint32_t version, const struct stream_record *r, void *buf)
{
	struct writer w = { buf };
	const bool depth = r->type == STREAM_WATCH && has_depth(version, r);

	put32(&w, depth ? STREAM_DEPTH_WATCH : r->type);
	/* the padding counts as body: Xen's own readers (4.17) do not look for any behind it */
	put32(&w, (uint32_t)padded(body_size(version, r)));
	write_body(&w, version, r);
	while (w.at < (char *)buf + stream_size(version, r))
		put(&w, "", 1);
}

void stream_head_encode(uint32_t version, void *buf)
{
	struct writer w = { buf };

	put(&w, ident, sizeof(ident));
	put32(&w, htobe32(version));
	put32(&w, htobe32(__BYTE_ORDER == __BIG_ENDIAN ? BIG_ENDIAN_BODY : 0));
}

/* --- output under way --- */

static bool whole_messages(const char *out, size_t len)
{
	while (len) {
		struct wire_header h;
		const int n = wire_peek(out, len, &h);

		if (n <= 0 || (size_t)n > len || h.type >= WIRE_TYPE_COUNT)
			return false;
		out += n;
		len -= (size_t)n;
	}
	return true;
}

/* Nobody has written down where a message began; the first place that makes sense is as good for a reader. */
size_t stream_partial(const void *out, size_t len)
{
	for (size_t i = 0; i < len && i < WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX; i++)
		if (whole_messages((const char *)out + i, len - i))
			return i;
	return len < UINT16_MAX ? len : UINT16_MAX;
}
