/* SPDX-License-Identifier: MIT */
/*
 * Grants: reaching memory that a front end granted to our domain. ABI: Xen's public/grant_table.h,
 * version 1 entries. A grant is checked (granted to us, writable if we ask so) each time.
 */
#ifndef XENHOST_GNTTAB_H
#define XENHOST_GNTTAB_H

#include <sys/uio.h>

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENHOST_PAGE_SIZE 4096u
#define XENHOST_GRANTS_MAX 128u /* of one call */

#define XENHOST_READ 1u	 /* we read guest memory */
#define XENHOST_WRITE 2u /* we write it: the grant must not be read-only */

typedef struct xenhost_map xenhost_map_t;

/*
 * n granted pages in one contiguous view, for rings; in use by us until unmapped. prot: XENHOST_READ,
 * or with XENHOST_WRITE. -EPERM not granted to us, -EACCES read-only, -EFAULT frame outside of the
 * guest's memory, -EINVAL gref out of range, -EAGAIN the entry kept changing, -ESRCH no such domain.
 * gref 1 of a guest is its Xenstore ring (public/grant_table.h GNTTAB_RESERVED_XENSTORE).
 */
XENHOST_API int xenhost_map_grants(xenhost_t *host, uint16_t domid, const uint32_t *grefs, size_t n,
				   unsigned int prot, xenhost_map_t **ret_map);
XENHOST_API void *xenhost_map_addr(const xenhost_map_t *map);
XENHOST_API xenhost_map_t *xenhost_unmap(xenhost_map_t *map); /* NULL */

/* a part of one granted page */
struct xenhost_seg {
	uint32_t gref;
	uint16_t offset; /* in bytes; offset + len <= 4096, len >= 1 */
	uint16_t len;
	int status; /* out: 0 or -errno as above */
	void *priv; /* of the library, between begin and end */
};

/*
 * The data path: iov[i] becomes the memory of segs[i], usable until xenhost_io_end(). prot as above.
 * Returns 0 when every segment is good, else the first error; per segment in `status`. After a failure
 * no segment is held and xenhost_io_end() must not be called. n <= 512. Threads: any, one at a time per
 * segment array.
 */
XENHOST_API int xenhost_io_begin(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs,
				 size_t n, unsigned int prot, struct iovec *iov);
/*
 * Gives the segments back; must be done before the answer is published. It takes the same batch as
 * xenhost_io_begin() did: the same domid, n, prot and arrays, segs as begin left them; a batch is never
 * given back in parts, nor two of them at once. 0, or the first error: data did not reach the guest
 * (copying transports), per segment in `status`.
 */
XENHOST_API int xenhost_io_end(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
			       unsigned int prot, struct iovec *iov);

/* one whole granted page: the form of the above for n = 1 */
struct xenhost_page {
	void *addr;
	uint16_t domid;
	uint16_t prot;
	struct xenhost_seg seg;
};

/* No allocation and, where XENHOST_F_DIRECT holds, no system call. addr is good until it is put back */
XENHOST_API int xenhost_translate_gref(xenhost_t *host, uint16_t domid, uint32_t gref,
				       unsigned int prot, struct xenhost_page *ret_page);
XENHOST_API int xenhost_put_gref(xenhost_t *host, struct xenhost_page *page);

/* a part of one granted page and memory of ours */
struct xenhost_copy {
	void *local;
	uint32_t gref;
	uint16_t offset;
	uint16_t len;
	int status; /* out: 0 or -errno */
};

/*
 * Copies each segment, by XENHOST_READ out of the guest's memory or by XENHOST_WRITE into it. Segments do
 * not depend on each other: the good ones are copied, `status` says which. 0, or the first error.
 * n <= 512.
 */
XENHOST_API int xenhost_grant_copy(xenhost_t *host, uint16_t domid, struct xenhost_copy *segs,
				   size_t n, unsigned int direction);

/*
 * A process that is killed leaves grants marked as in use, and their guest cannot take them back. This unmarks
 * what processes of our domain left so in domid's grant table, not what we use: when nothing that they began
 * can touch the guest's memory any more. Returns how many there were. -EBUSY another process of our domain
 * is there, -ESRCH, -EOPNOTSUPP. One thread at a time with others of the handle that do not say otherwise.
 */
XENHOST_API int xenhost_grants_settle(xenhost_t *host, uint16_t domid);

/*
 * The offering side, for front ends (needs XENHOST_F_SHARE, else -EOPNOTSUPP): n new zeroed pages of our
 * domain, in one view, granted to domid; prot is what it may do: XENHOST_READ, or with XENHOST_WRITE.
 * -ENOSPC no free page or grant.
 */
typedef struct xenhost_share xenhost_share_t;
XENHOST_API int xenhost_share(xenhost_t *host, uint16_t domid, size_t n, unsigned int prot,
			      xenhost_share_t **ret_share);
XENHOST_API void *xenhost_share_addr(const xenhost_share_t *share);
XENHOST_API uint32_t xenhost_share_gref(const xenhost_share_t *share, size_t i);
/*
 * 0: taken back and freed; -EBUSY: in use by the other domain, still shared, to be tried again or left
 * until the handle is closed.
 */
XENHOST_API int xenhost_unshare(xenhost_share_t *share);

#ifdef __cplusplus
}
#endif

#endif
