/* SPDX-License-Identifier: MIT */
/*
 * A Xenstore as simple as can be, for comparing with the real one: all nodes there can be are an array (four
 * names per directory, five levels below "/m"), a transaction is two copies of it. Written from the
 * protocol's rules; knows nothing of how the daemon does it. Pure: no I/O, clock or randomness.
 */
#ifndef TESTS_SUPPORT_XS_MODEL_H
#define TESTS_SUPPORT_XS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define M_KIDS 4
#define M_NODES 341 /* 1 + 4 + 16 + 64 + 256 */
#define M_INNER 85  /* of them with children */
#define M_ROOT (-1) /* "/", to be watched only */
#define M_VALUE_MAX 48
#define M_PERMS_MAX 4
#define M_TXNS 4
#define M_WATCHES 32
#define M_CLIENTS 8
#define M_DOMAINS 3

#define M_READ 1u
#define M_WRITE 2u

struct m_perm {
	uint16_t domid;
	uint8_t rights;
};

struct m_node {
	bool there;
	uint8_t nr_perms, len;
	char value[M_VALUE_MAX];
	struct m_perm perms[M_PERMS_MAX];
	uint64_t changed,
		listed; /* each change of it, or of the list of its children, has its own number */
};

struct m_tree {
	struct m_node nodes[M_NODES];
};

struct m_txn {
	bool open;
	uint32_t id;
	struct m_tree base, work;
	uint64_t since; /* m->version when it began */
	uint8_t what[M_NODES];
	int changes[M_NODES], nr_changes, fires[M_NODES], nr_fires;
};

struct m_watch {
	bool used;
	int path, depth; /* depth < 0: any */
	unsigned int token;
};

struct m_client {
	int domain; /* index */
	struct m_txn txns[M_TXNS];
	struct m_watch watches[M_WATCHES];
};

struct m_limits {
	unsigned int nodes, watches, transactions, node_size, node_permissions; /* 0: none */
};

/* an event that a client must be told, perhaps once for several equal ones */
typedef void m_event_fn(void *data, int client, int path, unsigned int token);

struct m_store {
	struct m_tree now;
	struct m_client clients[M_CLIENTS];
	struct m_limits limits[M_DOMAINS];
	uint64_t stamp, version;
	m_event_fn *event;
	void *data;
};

extern const uint16_t m_domids[M_DOMAINS];

const char *m_path(int path);
int m_parent(int path);
void m_init(struct m_store *m, m_event_fn *event, void *data);
/* its transactions and watches go */
void m_disconnect(struct m_store *m, int client);

/* All return 0 or the errno of the answer. t: NULL, or an open one of that client */
int m_read(struct m_store *m, int client, struct m_txn *t, int path, const struct m_node **ret);
int m_list(struct m_store *m, int client, struct m_txn *t, int path, const struct m_tree **ret);
int m_write(struct m_store *m, int client, struct m_txn *t, int path, const char *value,
	    size_t len);
int m_mkdir(struct m_store *m, int client, struct m_txn *t, int path);
int m_rm(struct m_store *m, int client, struct m_txn *t, int path);
int m_set_perms(struct m_store *m, int client, struct m_txn *t, int path,
		const struct m_perm *perms, int nr);
int m_watch(struct m_store *m, int client, int path, unsigned int token, int depth);
int m_unwatch(struct m_store *m, int client, int path, unsigned int token);
/* *ret is open without an id; NULL when the client has no place for one more, so it must not ask */
int m_start(struct m_store *m, int client, struct m_txn **ret);
int m_end(struct m_store *m, int client, struct m_txn *t, bool commit);

unsigned int m_count_nodes(const struct m_tree *tree, uint16_t domid);
unsigned int m_count_watches(const struct m_store *m, int domain);
unsigned int m_count_txns(const struct m_store *m, int domain);

#endif
