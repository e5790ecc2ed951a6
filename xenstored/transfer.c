/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/migrate.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"
#include "xenstored/state.h"
#include "xenstored/transfer.h"

#define IN_MAX (1u << 30)

struct transfer {
	uint64_t owner; /* number of the connection */
	struct buf stream;
};

void transfer_stop(struct server *s)
{
	if (!s->transfer)
		return;
	buf_fini(&s->transfer->stream);
	free(steal_ptr(&s->transfer));
}

void transfer_settle(struct server *s)
{
	if (s->transfer && !sock_find(s, s->transfer->owner))
		transfer_stop(s);
}

static int begin(struct server *s, const struct conn *c)
{
	if (s->transfer && s->transfer->owner != c->number)
		return EBUSY;
	transfer_stop(s);
	s->transfer = calloc(1, sizeof(*s->transfer));
	if (!s->transfer)
		return ENOMEM;
	s->transfer->owner = c->number;
	return 0;
}

static struct transfer *own(struct server *s, const struct conn *c)
{
	return s->transfer && s->transfer->owner == c->number ? s->transfer : NULL;
}

int transfer_out(struct server *s, struct conn *c, uint32_t version, char *buf, size_t size)
{
	int r = begin(s, c);

	if (r)
		return r;
	r = migrate_export(s, version, &s->transfer->stream);
	if (r < 0) {
		transfer_stop(s);
		return r == -ENOMEM ? ENOMEM : EIO; /* which is in the log */
	}
	snprintf(buf, size, "%zu", s->transfer->stream.len);
	return 0;
}

int transfer_get(struct server *s, struct conn *c, uint64_t offset, const char **ret_data,
		 size_t *ret_len)
{
	const struct transfer *t = own(s, c);

	if (!t)
		return ENOENT;
	if (offset >= t->stream.len) {
		transfer_stop(s);
		*ret_len = 0;
		return 0;
	}
	*ret_data = buf_head(&t->stream) + offset;
	*ret_len = t->stream.len - offset < WIRE_PAYLOAD_MAX ? t->stream.len - offset
							     : WIRE_PAYLOAD_MAX;
	return 0;
}

int transfer_put(struct server *s, struct conn *c, const char *data, size_t len)
{
	struct transfer *t = own(s, c);
	int r = t ? 0 : begin(s, c);
	char *to;

	if (r)
		return r;
	t = s->transfer;
	if (t->stream.len + len > IN_MAX)
		return E2BIG;
	to = buf_add(&t->stream, len);
	if (!to)
		return ENOMEM;
	memcpy(to, data, len);
	return 0;
}

static int take_in(struct server *s, const struct buf *b, char *buf, size_t size)
{
	int r;

	if (!migrate_is_new(s)) {
		snprintf(buf, size, "The store is not new: it has nodes or domains of its own.");
		return 0;
	}
	if (migrate_check(s, buf_head(b), b->len, buf, size) < 0)
		return 0;
	r = migrate_load(s, buf_head(b), b->len);
	if (r == 0)
		r = server_first_nodes(s);
	if (r == 0)
		r = domains_adopt(s);
	if (r == 0)
		log_info("took in a migration stream of %zu bytes", b->len);
	return -r;
}

int transfer_in(struct server *s, struct conn *c, char *buf, size_t size)
{
	int r;

	buf[0] = 0;
	if (!own(s, c) || !s->transfer->stream.len)
		return ENOENT;
	r = take_in(s, &s->transfer->stream, buf, size);
	transfer_stop(s);
	return r;
}
