/* SPDX-License-Identifier: MIT */
/*
 * Transactions. What the caller holds is a number of ours, never xenstored's: a new connection may be
 * given the same numbers again, and a request of a transaction that was lost with the old one must not
 * end up in a new one. A lost transaction answers -EAGAIN, like one that lost its race, because for the
 * caller it is the same: nothing was changed, begin anew.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "libxenhost/store.h"

#define TXN_TRIES 64

struct txn {
	struct list link; /* store->txns */
	xenhost_txn_t number;
	uint32_t wire;	     /* xenstored's number */
	uint64_t connection; /* of store->connection */
};

static struct txn *find(const struct xh_store *store, xenhost_txn_t number)
{
	struct txn *txn;

	list_for_each(txn, &store->txns, link)
		if (txn->number == number)
			return txn;
	return NULL;
}

static bool lost(const struct xh_store *store, const struct txn *txn)
{
	return store->fd < 0 || txn->connection != store->connection;
}

int xh_txn_wire(const struct xh_store *store, xenhost_txn_t number, uint32_t *ret_wire)
{
	const struct txn *txn = NULL;

	if (number) {
		txn = find(store, number);
		if (!txn)
			return -ENOENT;
		if (lost(store, txn))
			return -EAGAIN;
	}
	*ret_wire = txn ? txn->wire : 0;
	return 0;
}

static void txn_free(struct txn *txn)
{
	list_remove(&txn->link);
	free(txn);
}

void xh_txn_free_all(struct xh_store *store)
{
	struct txn *txn, *tmp;

	list_for_each_safe(txn, tmp, &store->txns, link)
		txn_free(txn);
}

static xenhost_txn_t new_number(struct xh_store *store)
{
	do {
		store->last_txn++;
	} while (store->last_txn == 0 || find(store, store->last_txn));
	return store->last_txn;
}

static int begin(xenhost_t *host, struct txn *txn)
{
	_cleanup_free_ char *reply = NULL;
	const struct iovec part = xh_store_string("");
	uint64_t wire;
	size_t len;
	int r;

	r = xh_store_call(host, XS_TRANSACTION_START, 0, &part, 1, &reply, &len);
	if (r < 0)
		return r;
	if (len == 0 || xh_wire_number(reply, len - 1, UINT32_MAX, &wire) < 0 || reply[len - 1] ||
	    wire == 0)
		return xh_store_malformed(host);
	txn->wire = (uint32_t)wire;
	txn->number = new_number(host->store);
	txn->connection = host->store->connection;
	list_append(&host->store->txns, &txn->link);
	return 0;
}

int xenhost_txn_begin(xenhost_t *host, xenhost_txn_t *ret_txn)
{
	struct txn *txn;
	int r;

	if (!host || !ret_txn)
		return -EINVAL;
	txn = calloc(1, sizeof(*txn));
	if (!txn)
		return -ENOMEM;
	r = begin(host, txn);
	if (r < 0) {
		free(txn);
		return r;
	}
	*ret_txn = txn->number;
	return 0;
}

int xenhost_txn_end(xenhost_t *host, xenhost_txn_t number, int commit)
{
	const struct iovec part = xh_store_string(commit ? "T" : "F");
	struct txn *txn;
	int r;

	if (!host || number == 0)
		return -EINVAL;
	txn = host->store ? find(host->store, number) : NULL;
	if (!txn)
		return -ENOENT;
	if (lost(host->store, txn))
		r = commit ? -EAGAIN : 0; /* dropped it is */
	else
		r = xh_store_call_ack(host, XS_TRANSACTION_END, number, &part, 1);
	txn_free(txn);
	return r;
}

static int try_txn(xenhost_t *host, int (*fn)(xenhost_t *host, xenhost_txn_t txn, void *data),
		   void *data, bool *ret_again)
{
	xenhost_txn_t number;
	const struct txn *txn;
	int r;

	r = xenhost_txn_begin(host, &number);
	if (r < 0)
		return r;
	r = fn(host, number, data);
	if (r < 0) {
		txn = find(host->store, number);
		*ret_again = txn && lost(host->store, txn);
		(void)xenhost_txn_end(host, number, 0);
		return r;
	}
	r = xenhost_txn_end(host, number, 1);
	*ret_again = r == -EAGAIN;
	return r;
}

int xenhost_txn_run(xenhost_t *host, int (*fn)(xenhost_t *host, xenhost_txn_t txn, void *data),
		    void *data)
{
	int r = -EINVAL;

	if (!host || !fn)
		return r;
	for (int i = 0; i < TXN_TRIES; i++) {
		bool again = false;

		r = try_txn(host, fn, data, &again);
		if (!again)
			break;
	}
	return r;
}
