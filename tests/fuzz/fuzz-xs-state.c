/* SPDX-License-Identifier: MIT */
/*
 * A predecessor's state (state_load.c, state_txn.c) made of any records: it is refused, or it becomes a
 * store whose accounts agree, and which leaves nothing behind when it is closed.
 * Planted: a transaction that leaks what it removes was found within 40 s.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/support/xs_client.h"
#include "xenstored/journal.h"
#include "xenstored/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* a journal with these bytes as its records */
static int journal_of(const uint8_t *data, size_t size)
{
	struct journal j;
	uint64_t end;
	int fd;

	if (journal_new(1, &j) < 0 || size > j.size - j.end)
		abort();
	if (size)
		memcpy(j.map + j.end, data, size);
	end = j.end + size;
	memcpy(j.map + 16, &end, sizeof(end));
	fd = dup(j.fd);
	journal_close(&j);
	return fd;
}

static void check(struct server *s)
{
	char text[256];

	store_check(&s->store, text, sizeof(text));
	if (text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;

	if (size > 65536)
		return 0;
	log_open("fuzz", (enum log_level)0);
	memset(&server, 0, offsetof(struct server, scratch));
	server.fixed_seed = 1;
	server.rehearsal = server.taking_over = true;
	server.take_over_fd = journal_of(data, size);
	service_table_init(&server.services);
	if (server_open(&server) == 0)
		check(&server);
	sock_close_all(&server);
	server_close(&server);
	if (server.store.heap.bytes)
		abort();
	return 0;
}
