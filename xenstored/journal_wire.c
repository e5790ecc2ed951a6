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

/*
 * A record: its type, with one of these for what is rare or repeated; a bit for each thing that follows;
 * and these, in the order of the bits: numbers 7 bits at a time, lowest first, bytes after their number.
 */
#define HAS_FLAGS 0x80u
#define PERMS_AGAIN 0x40u /* the list is the one before */
#define TYPE 0x3fu

#define HAS_DOMID 0x01u
#define HAS_NUMBER(i) (0x02u << (i))
#define HAS_ID 0x10u
#define HAS_PART(i) (0x20u << (i))

#define NUMBER_MAX 10u /* bytes */
/* type, what follows; flags, domid, numbers, id; two for a path and one for the others */
#define HEAD_MAX (2u + (2u + JOURNAL_NUMBERS + 1u + JOURNAL_PARTS + 1u) * NUMBER_MAX)

_Static_assert(JOURNAL_TYPES <= TYPE, "room for the type");
_Static_assert(HAS_PART(JOURNAL_PARTS - 1) == 0x80u, "a bit for each");
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

static bool is_path(const struct journal_record *r, size_t i)
{
	return shapes[r->type][i] == PATH;
}

static bool is_perms(const struct journal_record *r, size_t i)
{
	return shapes[r->type][i] == PERMS || shapes[r->type][i] == PERMS_OR_NOTHING;
}

static void remember_perms(struct journal_past *past, const struct journal_part *p)
{
	past->nr_perms = p->len / sizeof(past->perms[0]);
	memcpy(past->perms, p->data, p->len);
}

static bool same_perms(const struct journal_past *past, const struct journal_part *p)
{
	return p->len && p->len == past->nr_perms * sizeof(past->perms[0]) &&
	       !memcmp(past->perms, p->data, p->len);
}

/* --- writing --- */

size_t journal_room(const struct journal_record *r)
{
	size_t n = HEAD_MAX;

	for (size_t i = 0; i < JOURNAL_PARTS; i++)
		n += r->part[i].len;
	return n;
}

static uint8_t *put_number(uint8_t *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*out++ = (uint8_t)(v | 0x80);
	*out++ = (uint8_t)v;
	return out;
}

static uint8_t *put_bytes(uint8_t *out, const char *data, size_t len)
{
	out = put_number(out, len);
	memcpy(out, data, len);
	return out + len;
}

static uint8_t *put_path(struct journal_past *past, uint8_t *out, const struct journal_part *p)
{
	const char *path = p->data;
	size_t same = 0;

	while (same < p->len && same < past->path_len && past->path[same] == path[same])
		same++;
	memcpy(past->path + same, path + same, p->len - same);
	past->path_len = p->len;
	return put_bytes(put_number(out, same), path + same, p->len - same);
}

static uint8_t *put_numbers(uint8_t *out, uint8_t *has, const struct journal_record *r)
{
	if (r->domid) {
		*has |= HAS_DOMID;
		out = put_number(out, r->domid);
	}
	for (size_t i = 0; i < JOURNAL_NUMBERS; i++)
		if (r->n[i]) {
			*has |= HAS_NUMBER(i);
			out = put_number(out, r->n[i]);
		}
	if (r->id) {
		*has |= HAS_ID;
		out = put_number(out, r->id);
	}
	return out;
}

static uint8_t *put_part(struct journal_past *past, uint8_t *out, const struct journal_record *r,
			 size_t i)
{
	const struct journal_part *p = &r->part[i];

	if (is_path(r, i))
		return put_path(past, out, p);
	if (is_perms(r, i))
		remember_perms(past, p);
	return put_bytes(out, p->data, p->len);
}

size_t journal_encode(struct journal_past *past, const struct journal_record *r, void *buf)
{
	uint8_t *out = buf, type = r->type, has = 0;

	out += 2;
	if (r->flags) {
		type |= HAS_FLAGS;
		out = put_number(out, r->flags);
	}
	out = put_numbers(out, &has, r);
	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		if (is_perms(r, i) && same_perms(past, &r->part[i])) {
			type |= PERMS_AGAIN;
		} else if (r->part[i].len) {
			has |= HAS_PART(i);
			out = put_part(past, out, r, i);
		}
	}
	((uint8_t *)buf)[0] = type;
	((uint8_t *)buf)[1] = has;
	return (size_t)(out - (uint8_t *)buf);
}

/* --- whether it makes sense --- */

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

/* --- reading --- */

struct input {
	const uint8_t *at, *end;
	bool bad; /* cut off, or a number that is too large */
};

static uint64_t get_number(struct input *in, uint64_t max)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; in->at < in->end && shift < 64; shift += 7) {
		const uint64_t bits = *in->at & 0x7f;

		if (bits << shift >> shift != bits)
			break;
		v |= bits << shift;
		if (*in->at++ & 0x80)
			continue;
		if (v > max)
			break;
		return v;
	}
	in->bad = true;
	return 0;
}

static struct journal_part get_bytes(struct input *in)
{
	const size_t len = (size_t)get_number(in, SIZE_MAX);
	const uint8_t *data = in->at;

	if (in->bad || len > (size_t)(in->end - in->at)) {
		in->bad = true;
		return (struct journal_part){ NULL, 0 };
	}
	in->at += len;
	return (struct journal_part){ data, len };
}

static struct journal_part get_path(struct journal_past *past, struct input *in)
{
	const size_t same = (size_t)get_number(in, past->path_len);
	const struct journal_part rest = get_bytes(in);

	if (in->bad || rest.len > sizeof(past->path) - same) {
		in->bad = true;
		return (struct journal_part){ NULL, 0 };
	}
	if (rest.len)
		memcpy(past->path + same, rest.data, rest.len);
	past->path_len = same + rest.len;
	return (struct journal_part){ past->path, past->path_len };
}

/* Into past in any case: there they begin where a struct perm can. */
static struct journal_part get_perms(struct journal_past *past, struct input *in, bool again)
{
	const struct journal_part p = again ? (struct journal_part){ NULL, 0 } : get_bytes(in);

	if (again)
		in->bad |= !past->nr_perms;
	else if (in->bad || p.len % sizeof(past->perms[0]) || p.len > sizeof(past->perms))
		in->bad = true;
	else if (p.len)
		remember_perms(past, &p);
	return (struct journal_part){ past->perms, past->nr_perms * sizeof(past->perms[0]) };
}

static void get_numbers(struct input *in, uint8_t has, struct journal_record *r)
{
	if (has & HAS_DOMID)
		r->domid = (uint16_t)get_number(in, UINT16_MAX);
	for (size_t i = 0; i < JOURNAL_NUMBERS; i++)
		if (has & HAS_NUMBER(i))
			r->n[i] = (uint32_t)get_number(in, UINT32_MAX);
	if (has & HAS_ID)
		r->id = get_number(in, UINT64_MAX);
}

static void get_parts(struct journal_past *past, struct input *in, uint8_t has, bool again,
		      struct journal_record *r)
{
	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		const bool here = has & HAS_PART(i);

		if (is_perms(r, i) && (here || again)) {
			in->bad |= here && again;
			r->part[i] = get_perms(past, in, again);
			again = false;
		} else if (here) {
			r->part[i] = is_path(r, i) ? get_path(past, in) : get_bytes(in);
		}
	}
	in->bad |= again; /* no permissions are in such a record */
}

static bool good_parts(const struct journal_record *r)
{
	for (size_t i = 0; i < JOURNAL_PARTS; i++)
		if (!good_part(shapes[r->type][i], &r->part[i]))
			return false;
	return true;
}

int64_t journal_decode(struct journal_past *past, const void *buf, size_t len,
		       struct journal_record *ret_record)
{
	struct input in = { buf, (const uint8_t *)buf + len, false };
	struct journal_record r = { 0 };
	uint8_t type, has;

	if (len < JOURNAL_RECORD_MIN)
		return -EPROTO;
	type = *in.at++;
	has = *in.at++;
	r.type = type & TYPE;
	if (!r.type || r.type >= JOURNAL_TYPES)
		return -EPROTO;
	if (type & HAS_FLAGS)
		r.flags = (uint8_t)get_number(&in, UINT8_MAX);
	get_numbers(&in, has, &r);
	get_parts(past, &in, has, type & PERMS_AGAIN, &r);
	if (in.bad || !good_parts(&r) || !good_numbers(&r))
		return -EPROTO;
	*ret_record = r;
	return in.at - (const uint8_t *)buf;
}
