/* SPDX-License-Identifier: MIT */
/*
 * The beginning of a connection to an NBD server: from a connected socket to a handle that takes requests.
 * In the main loop; nothing blocks.
 */
#ifndef BLKBACKD_NBD_DIAL_H
#define BLKBACKD_NBD_DIAL_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct nbd_dial;
struct nbd_handle;

/* what the server says of its disk */
struct nbd_export {
	uint64_t size; /* bytes */
	uint32_t sector_size, physical_size;
	bool readonly, flush, fua, trim, zero;
};

/*
 * Once, from the loop. handle is the receiver's (nbd_close()), or NULL with the reason in *why. The dial is
 * over and may be freed from inside.
 */
typedef void nbd_dial_fn(void *data, struct nbd_handle *handle, const struct nbd_export *exp,
			 const char *why);

/* socket is taken over in any case. 0 or -errno; fn is not called from inside */
int nbd_dial_new(struct event_base *base, int socket, const char *export_name, nbd_dial_fn *fn,
		 void *data, struct nbd_dial **ret_dial);
struct nbd_dial *nbd_dial_free(struct nbd_dial *dial); /* NULL */

#endif
