/* SPDX-License-Identifier: MIT */
/*
 * Entries of the grant table and I/O by them: the data path of every back end.
 *
 * One word per gref (use[]) counts our uses, so that two requests may name one grant: the guest's entry is
 * marked at the first and unmarked at the last, and nothing is decided from the guest's own marks. Counts
 * change under the lock of the guest's memory, which is taken once for all segments of a call; the entry
 * itself is the guest's as well and changes by compare-and-swap only. Entries that are marked for our domain and have no
 * count were left so by a process before us: direct_settle().
 */
#include "config.h"

#include <errno.h>

#include "libxenhost/direct_memory.h"
#include "libxenhost/internal.h"

#include "common/xen.h"

#define USE_WRITER (1u << 16) /* writers in bits 16-30, all users in bits 0-15 */
#define USE_USERS_MAX 0xfffu
#define ENTRY_TRIES 5
#define DOMID_AND_TYPE (0xffff0000u | GTF_type_mask)

/*
 * What a loop over segments needs, in registers: the processor starts no load before a compare-and-swap in
 * front of it is done, so each one behind another counts.
 */
struct access {
	_Atomic uint32_t *entries;
	uint32_t *use;
	uint32_t nr_grefs;
	uint32_t ours; /* type and domid of an entry that we may use */
	uint32_t mask; /* where it must be so: read-only as well, when we write */
	uint32_t mark; /* to be set in it */
	uint32_t step; /* of the count */
};

static inline struct access access_to(const struct direct_memory *mem, unsigned int prot)
{
	bool write = prot & XENHOST_WRITE;

	return (struct access){
		.entries = mem->entries,
		.use = mem->use,
		.nr_grefs = mem->nr_grefs,
		.ours = mem->ours,
		.mask = DOMID_AND_TYPE | (write ? GTF_readonly : 0),
		.mark = GTF_reading | (write ? GTF_writing : 0),
		.step = 1 + (write ? USE_WRITER : 0),
	};
}

/* flags and domid are one word: checked and marked in use by one compare-and-swap */
static inline int entry_mark(const struct access *a, uint32_t gref)
{
	_Atomic uint32_t *entry = &a->entries[2 * (size_t)gref];
	uint32_t word = atomic_load_explicit(entry, memory_order_relaxed);

	for (int i = 0; i < ENTRY_TRIES; i++) {
		if ((word & a->mask) != a->ours)
			return (word & DOMID_AND_TYPE) == a->ours ? -EACCES : -EPERM;
		if (atomic_compare_exchange_strong(entry, &word, word | a->mark))
			return 0;
	}
	return -EAGAIN;
}

static inline void put(const struct access *a, uint32_t gref)
{
	_Atomic uint32_t *entry = &a->entries[2 * (size_t)gref];
	uint32_t use = a->use[gref] -= a->step;

	if (use == 0)
		atomic_fetch_and(entry, ~(GTF_writing | GTF_reading));
	else if (use < USE_WRITER)
		atomic_fetch_and(entry, ~GTF_writing);
}

/* the page of a frame in RAM, NULL if there is none */
static inline uint8_t *page_of(const struct direct_memory *mem, uint64_t frame)
{
	for (const struct ram *r = mem->ram; r->nr; r++)
		if (frame - r->first < r->nr)
			return r->addr + ((frame - r->first) << XEN_PAGE_SHIFT);
	return NULL;
}

static inline int get(const struct direct_memory *mem, const struct access *a, uint32_t gref,
		      uint8_t **ret_page)
{
	uint64_t frame;
	uint32_t use;
	int r;

	if (gref >= a->nr_grefs)
		return -EINVAL;
	use = a->use[gref];
	if ((use & 0xffff) >= USE_USERS_MAX)
		return -EBUSY;
	r = entry_mark(a, gref);
	if (r < 0)
		return r;
	a->use[gref] = use + a->step;
	/* after it was marked: from then on the guest must not change it */
	frame = atomic_load_explicit(&a->entries[2 * (size_t)gref + 1], memory_order_relaxed);
	*ret_page = page_of(mem, frame);
	if (*ret_page)
		return 0;
	put(a, gref);
	return -EFAULT;
}

int direct_gref_get(struct direct_memory *mem, uint32_t gref, unsigned int prot, uint8_t **ret_page)
{
	const struct access a = access_to(mem, prot);
	uint8_t *page;
	int r = get(mem, &a, gref, &page);

	if (r == 0)
		*ret_page = page;
	return r;
}

void direct_gref_put(struct direct_memory *mem, uint32_t gref, unsigned int prot)
{
	const struct access a = access_to(mem, prot);

	put(&a, gref);
}

static int give_up(const struct access *a, const struct xenhost_seg *segs, size_t n)
{
	int error = 0;

	for (size_t i = 0; i < n; i++)
		if (segs[i].status == 0)
			put(a, segs[i].gref);
		else if (error == 0)
			error = segs[i].status;
	return error;
}

/* with the lock, which it gives up */
static int io_begin(struct direct_memory *mem, struct xenhost_seg *segs, size_t n,
		    unsigned int prot, struct iovec *iov)
{
	const struct access a = access_to(mem, prot);
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t *page;
		int r = xh_seg_valid(&segs[i]) ? get(mem, &a, segs[i].gref, &page) : -EINVAL;

		if (r == 0)
			iov[i] = (struct iovec){ page + segs[i].offset, segs[i].len };
		segs[i].status = r;
		bad |= r;
	}
	if (bad)
		bad = give_up(&a, segs, n);
	else
		mem->held += n;
	direct_memory_unlock(mem);
	segs[0].priv = mem;
	return bad;
}

int direct_io_begin(struct direct_guests *g, uint16_t domid, struct xenhost_seg *segs, size_t n,
		    unsigned int prot, struct iovec *iov)
{
	struct direct_memory *mem = direct_memory_of(g, domid);
	int r;

	if (mem)
		return io_begin(mem, segs, n, prot, iov);
	r = direct_memory_attach(g, domid, &mem);
	return r < 0 ? r : io_begin(mem, segs, n, prot, iov);
}

void direct_io_end(struct xenhost_seg *segs, size_t n, unsigned int prot)
{
	struct direct_memory *mem = segs[0].priv;
	struct access a;

	direct_memory_lock(mem);
	a = access_to(mem, prot);
	for (size_t i = 0; i < n; i++) /* each status is 0 since begin */
		put(&a, segs[i].gref);
	mem->held -= n;
	direct_memory_unheld(mem);
}

static inline int translate(struct direct_memory *mem, uint32_t gref, unsigned int prot,
			    struct xenhost_page *ret_page)
{
	const struct access a = access_to(mem, prot);
	uint16_t domid = (uint16_t)mem->guest;
	uint8_t *page;
	int r = get(mem, &a, gref, &page);

	mem->held += r == 0;
	direct_memory_unlock(mem);
	if (r < 0)
		return r;
	ret_page->addr = page;
	ret_page->domid = domid;
	ret_page->prot = (uint16_t)prot;
	ret_page->seg.gref = gref;
	ret_page->seg.priv = mem;
	return 0;
}

static int translate_attached(struct direct_guests *g, uint16_t domid, uint32_t gref,
			      unsigned int prot, struct xenhost_page *ret_page)
{
	struct direct_memory *mem;
	int r = direct_memory_attach(g, domid, &mem);

	return r < 0 ? r : translate(mem, gref, prot, ret_page);
}

int direct_translate(struct direct_guests *g, uint16_t domid, uint32_t gref, unsigned int prot,
		     struct xenhost_page *ret_page)
{
	struct direct_memory *mem = direct_memory_of(g, domid);

	if (!mem)
		return translate_attached(g, domid, gref, prot, ret_page);
	return translate(mem, gref, prot, ret_page);
}

void direct_put(struct xenhost_page *page)
{
	struct direct_memory *mem = page->seg.priv;

	direct_memory_lock(mem);
	direct_gref_put(mem, page->seg.gref, page->prot);
	mem->held--;
	page->addr = NULL;
	direct_memory_unheld(mem);
}

#define SETTLE_STEP 256u /* entries looked at while others wait for the lock */

static int settle_entry(struct direct_memory *mem, uint32_t gref)
{
	_Atomic uint32_t *entry = &mem->entries[2 * (size_t)gref];
	uint32_t word = atomic_load_explicit(entry, memory_order_relaxed);
	uint32_t stale = GTF_reading | GTF_writing;

	if (!(word & stale))
		return 0;
	if (mem->use[gref])
		stale = mem->use[gref] < USE_WRITER ? GTF_writing : 0;
	for (int i = 0; i < ENTRY_TRIES; i++) {
		if ((word & DOMID_AND_TYPE) != mem->ours || !(word & stale))
			return 0;
		if (atomic_compare_exchange_strong(entry, &word, word & ~stale))
			return 1;
	}
	return 0; /* a guest that changes it all the time */
}

int direct_settle(struct direct_guests *g, uint16_t domid)
{
	struct direct_memory *mem = direct_memory_of(g, domid);
	int n = 0, r;

	if (!mem) {
		r = direct_memory_attach(g, domid, &mem);
		if (r < 0)
			return r;
	}
	mem->held++;
	for (uint32_t gref = 0; gref < mem->nr_grefs; gref++) {
		n += settle_entry(mem, gref);
		if (gref % SETTLE_STEP == SETTLE_STEP - 1) {
			direct_memory_unlock(mem);
			direct_memory_lock(mem);
		}
	}
	mem->held--;
	direct_memory_unheld(mem);
	return n;
}
