/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "xenstored/journal_wire.h"
#include "xenstored/perm.h"
#include "xenstored/quota.h"
#include "xenstored/wire.h"

struct head {
	uint32_t len; /* of the whole record */
	uint8_t type, flags;
	uint16_t domid;
	uint32_t n[JOURNAL_NUMBERS];
	uint32_t part_len[JOURNAL_PARTS];
	uint64_t id;
};

_Static_assert(sizeof(struct head) == JOURNAL_RECORD_MIN, "no holes");
_Static_assert(sizeof(struct perm) == 4, "permissions are kept as they are");

/* what a part may be */
enum kind { NOTHING, BYTES, PATH, WATCHED, PERMS, VALUE, TOKEN, TALLY, PERMS_OR_NOTHING };

static const uint8_t shapes[JOURNAL_TYPES][JOURNAL_PARTS] = {
	[JOURNAL_NODE] = { PATH, PERMS, VALUE },
	[JOURNAL_GONE] = { PATH },
	[JOURNAL_SPECIAL] = { NOTHING, PERMS },
	[JOURNAL_RING] = { BYTES, BYTES },
	[JOURNAL_RING_IO] = { BYTES, BYTES },
	[JOURNAL_WATCH] = { WATCHED, TOKEN },
	[JOURNAL_UNWATCH] = { WATCHED, TOKEN },
	[JOURNAL_LISTEN] = { BYTES },
	[JOURNAL_SOCKET] = { BYTES, BYTES },
	[JOURNAL_TXN_TOUCH] = { PATH, PERMS_OR_NOTHING, VALUE },
	[JOURNAL_TXN_TALLY] = { NOTHING, NOTHING, TALLY },
	[JOURNAL_TXN_SPECIAL] = { NOTHING, PERMS_OR_NOTHING },
};

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

size_t journal_size(const struct journal_record *r)
{
	size_t n = sizeof(struct head);

	for (size_t i = 0; i < JOURNAL_PARTS; i++)
		n += padded(r->part[i].len);
	return n;
}

void journal_encode(const struct journal_record *r, void *buf)
{
	struct head h = { (uint32_t)journal_size(r),	 r->type, r->flags, r->domid,
			  { r->n[0], r->n[1], r->n[2] }, { 0 },	  r->id };
	char *out = (char *)buf + sizeof(h);

	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		const size_t len = r->part[i].len;

		h.part_len[i] = (uint32_t)len;
		if (len)
			memcpy(out, r->part[i].data, len);
		memset(out + len, 0, padded(len) - len);
		out += padded(len);
	}
	memcpy(buf, &h, sizeof(h));
}

static bool good_path(const char *s, size_t len, bool special_ok)
{
	char buf[WIRE_PATH_MAX];
	struct wire_path p;

	if (!len || (s[0] != '/' && s[0] != '@'))
		return false;
	return wire_path_parse(s, len, "/", 0, special_ok, buf, &p) == 0 && p.s == s &&
	       p.len == len;
}

static bool good_perms(const char *s, size_t len)
{
	struct perm p;

	if (!len || len % sizeof(p))
		return false;
	for (; len; s += sizeof(p), len -= sizeof(p)) {
		memcpy(&p, s, sizeof(p));
		if (p.rights > (PERM_READ | PERM_WRITE) || p.is_void > 1)
			return false;
	}
	return true;
}

static bool good_part(enum kind kind, const struct journal_part *p)
{
	switch (kind) {
	case NOTHING:
		return p->len == 0;
	case PATH:
		return good_path(p->data, p->len, false);
	case WATCHED:
		return good_path(p->data, p->len, true);
	case PERMS:
		return good_perms(p->data, p->len);
	case PERMS_OR_NOTHING:
		return !p->len || good_perms(p->data, p->len);
	case TALLY:
		return p->len == sizeof(struct journal_tally);
	case VALUE:
	case TOKEN:
		return p->len <= WIRE_PAYLOAD_MAX;
	case BYTES:
		break;
	}
	return true;
}

static bool has_what_it_says(const struct journal_record *r)
{
	return !(r->flags & ~(JOURNAL_HAS | JOURNAL_SEEN)) &&
	       !(r->flags & JOURNAL_HAS) == !r->part[1].len;
}

static bool good_numbers(const struct journal_record *r)
{
	switch (r->type) {
	case JOURNAL_SPECIAL:
		return r->n[0] < 2;
	case JOURNAL_DOMAIN:
		return r->n[2] <= DOMID_NONE && !(r->flags & ~JOURNAL_FLAGS);
	case JOURNAL_QUOTA:
		return r->n[0] < QUOTA_ITEMS;
	case JOURNAL_RING:
		return r->n[2] < JOURNAL_RESETS;
	case JOURNAL_WATCH:
		return r->n[1] <= r->part[0].len;
	case JOURNAL_TXN_START:
	case JOURNAL_TXN_END:
	case JOURNAL_TXN_KEEP:
		return r->n[0] != 0;
	case JOURNAL_LOCK:
	case JOURNAL_LISTEN:
		return r->n[0] <= INT_MAX;
	case JOURNAL_SOCKET:
		return r->n[0] <= INT_MAX && r->id;
	case JOURNAL_TXN_TOUCH:
		return r->n[0] && has_what_it_says(r) && (r->part[1].len || !r->part[2].len);
	case JOURNAL_TXN_TALLY:
		return r->n[0] && r->n[1] <= UINT16_MAX;
	case JOURNAL_TXN_SPECIAL:
		return r->n[0] && r->n[1] < 2 && has_what_it_says(r);
	default:
		return true;
	}
}

int64_t journal_decode(const void *buf, size_t len, struct journal_record *ret_record)
{
	struct journal_record r = { 0 };
	const char *at = (const char *)buf + sizeof(struct head);
	struct head h;
	size_t room;

	if (len < sizeof(h))
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	if (h.len < sizeof(h) || h.len > len || !h.type || h.type >= JOURNAL_TYPES)
		return -EPROTO;
	r.type = h.type;
	r.flags = h.flags;
	r.domid = h.domid;
	r.id = h.id;
	memcpy(r.n, h.n, sizeof(r.n));
	room = h.len - sizeof(h);
	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		if (padded(h.part_len[i]) > room)
			return -EPROTO;
		r.part[i] = (struct journal_part){ at, h.part_len[i] };
		at += padded(h.part_len[i]);
		room -= padded(h.part_len[i]);
		if (!good_part(shapes[r.type][i], &r.part[i]))
			return -EPROTO;
	}
	if (journal_size(&r) != h.len || !good_numbers(&r))
		return -EPROTO;
	*ret_record = r;
	return h.len;
}
