/* SPDX-License-Identifier: MIT */
/*
 * How a host is reached. A transport fills this table; everything above it is written once.
 * Only open, close and domid must be there; what needs another one gives -EOPNOTSUPP where it is NULL.
 * `state` is the transport's own.
 * Ops run in the thread that uses the handle; those marked (any) may run in any thread.
 */
#ifndef XENHOST_TRANSPORT_H
#define XENHOST_TRANSPORT_H

#include <xenhost/domain.h>
#include <xenhost/gnttab.h>
#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

/* a bound or offered port: wait_fd readable = pending; both descriptors belong to the library */
struct xenhost_port_fds {
	uint32_t port;
	int wait_fd;
	int notify_fd; /* may be equal to wait_fd */
	void *priv;    /* of the transport */
};

struct xenhost_transport_ops {
	size_t size; /* sizeof(struct xenhost_transport_ops): members are only ever appended */
	const char *scheme;
	uint64_t features;

	int (*open)(xenhost_t *host, const char *address, void **ret_state);
	void (*close)(void *state);
	uint16_t (*domid)(void *state);
	int (*get_fd)(
		void *state); /* readable = process; -EOPNOTSUPP: nothing ever happens by itself */
	int (*process)(
		void *state); /* as xenhost_process(); tells changes by xenhost_transport_domain() */

	/* a connected byte stream to xenstored, ours to close; again after a loss. Must not block: -EAGAIN */
	int (*store_connect)(void *state);

	int (*domain_info)(void *state, uint16_t domid, const char *name, /* name NULL: by domid */
			   struct xenhost_domain_info *ret_info);
	int (*domain_watch)(void *state); /* from now on tell all domains, then changes */
	int (*domain_control)(void *state, uint16_t domid,
			      int action); /* 0 unpause, 1 destroy, 2 pause */

	int (*port_bind)(void *state, uint16_t domid, uint32_t remote_port,
			 struct xenhost_port_fds *ret);
	int (*port_alloc)(void *state, uint16_t domid, struct xenhost_port_fds *ret);
	int (*port_close)(void *state, uint32_t port);
	int (*port_ack)(void *state, const struct xenhost_port_fds *port);    /* (any) */
	int (*port_notify)(void *state, const struct xenhost_port_fds *port); /* (any) */

	int (*map)(void *state, uint16_t domid, const uint32_t *grefs, size_t n, unsigned int prot,
		   void **ret_addr, void **ret_map);
	void (*unmap)(void *state, void *map);
	int (*io_begin)(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n, /* (any) */
			unsigned int prot, struct iovec *iov);
	int (*io_end)(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n, /* (any) */
		      unsigned int prot, struct iovec *iov);

	/* deposits; get gives a descriptor that is the caller's */
	int (*keep_put)(void *state, const char *name, int fd);
	int (*keep_get)(void *state, const char *name, int *ret_fd);
	int (*keep_drop)(void *state, const char *name);

	/* n pages of ours, contiguous and zeroed, granted to domid; n grefs are filled in */
	int (*share)(void *state, uint16_t domid, size_t n, unsigned int prot, uint32_t *grefs,
		     void **ret_addr, void **ret_share);
	int (*unshare)(void *state, void *share); /* -EBUSY in use, nothing was done */

	/* results are zeroed; counts and op have been checked: xenhost/hypercall.h */
	int (*hypercall)(void *state, unsigned int op, const uint64_t *args, uint64_t *results);
	int (*restrict_to)(void *state, uint16_t domid); /* give up what belongs to others */

	/*
	 * xenhost_translate_gref() and xenhost_put_gref(), both or none: without them, io_begin and io_end of
	 * one segment. translate fills in addr, domid, prot, seg.gref and, for itself, seg.priv; put makes
	 * addr NULL. (any)
	 */
	int (*translate)(void *state, uint16_t domid, uint32_t gref, unsigned int prot,
			 struct xenhost_page *ret_page);
	int (*put)(void *state, struct xenhost_page *page);

	/* xenhost_grants_settle() */
	int (*settle)(void *state, uint16_t domid);

	/* as domain_info by domid, but also of the last one that has gone; without it, domain_info */
	int (*domain_ended)(void *state, uint16_t domid, struct xenhost_domain_info *ret_info);
};

/*
 * Before the first xenhost_open() that needs it; the library keeps a copy of the table. -EEXIST scheme
 * known, -ENOSPC, -EINVAL: no scheme, an op missing that must be there (also one of a pair: map and unmap,
 * io_begin and io_end, share and unshare, translate and put; port_ack and port_notify where there are
 * ports), a size that ends before get_fd.
 */
XENHOST_API int xenhost_register_transport(const struct xenhost_transport_ops *ops);

/*
 * A plug-in is $libdir/xenhost/transports/SCHEME.so with its table in this variable. The library loads it
 * when a URI needs it; as root only if the file and its folder are root's and writable by nobody else.
 * $XENHOST_TRANSPORTS names another folder, except in programs with more rights than their user.
 */
XENHOST_API extern const struct xenhost_transport_ops xenhost_transport_plugin;

/* a transport tells that a domain appeared, changed or went; inside its open or process op only */
XENHOST_API void xenhost_transport_domain(xenhost_t *host, const struct xenhost_domain_info *info);

#ifdef __cplusplus
}
#endif

#endif
