/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory. RAM is one memfd, mapped low (below 3.25 GiB) and the rest above 4 GiB; the grant
 * frames, the store ring and the console ring are a memfd each, so that a service can be given just
 * what it needs; the ACPI tables have one that stays here. All are sealed against changing size.
 *
 * Grant frames enter the guest's address space when it asks: in a hole by a KVM slot of one page, over
 * RAM by mapping the frame over that page of our view (KVM follows by itself).
 * Threads: mem_host() and the grant-frame calls need the vm lock once vCPUs run.
 */
#ifndef HYPERCALL_BRIDGE_VMM_MEM_H
#define HYPERCALL_BRIDGE_VMM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_LOW_MAX 0xd0000000ull    /* 3.25 GiB */
#define MEM_HIGH_BASE 0x100000000ull /* 4 GiB */
#define MEM_ACPI 0xfeff0000ull
#define MEM_CONSOLE 0xfeff8000ull
#define MEM_STORE 0xfeff9000ull
#define MEM_GRANT_FRAMES 32
#define MEM_SIZE_MIN (16ull << 20)
#define MEM_SIZE_MAX (1ull << 40)

enum mem_kind {
	MEM_KIND_RAM,
	MEM_KIND_GRANTS,
	MEM_KIND_STORE,
	MEM_KIND_CONSOLE,
	MEM_KIND_ACPI,
	MEM_KINDS,
};

/* what of a file lies where in the guest */
struct mem_region {
	enum mem_kind kind;
	uint64_t gpa, size, offset;
	uint32_t slot;
};

struct mem_file {
	int fd;
	uint64_t size;
	uint8_t *view; /* all of it, in our address space */
};

struct kvm;

struct mem {
	const struct kvm *kvm;
	bool sparse;
	struct mem_file files[MEM_KINDS];
	unsigned int nr_regions;
	struct mem_region regions[8];
	uint8_t *shared_page;		      /* for a shared_info that is not in RAM */
	uint64_t shared_gfn;		      /* where the guest sees it, 0: nowhere */
	uint8_t *given;			      /* a bit for each page of the RAM file */
	uint64_t grant_gfn[MEM_GRANT_FRAMES]; /* 0: frame not mapped */
};

/* sparse: RAM is allocated page by page, when it is touched */
int mem_new(const struct kvm *kvm, uint64_t size, bool sparse, struct mem **ret);
struct mem *mem_free(struct mem *m);
void mem_freep(struct mem **m);

uint64_t mem_low_size(const struct mem *m);

/* host address of guest memory that is there in one piece, NULL otherwise */
void *mem_host(const struct mem *m, uint64_t gpa, uint64_t size);
/* the same for RAM alone */
void *mem_ram(const struct mem *m, uint64_t gpa, uint64_t size);

/*
 * RAM pages given back to the host, and taken from it again. Giving zeroes them: whoever still has them
 * mapped finds fresh pages. Taking fails with -ENOMEM when the host has none, unless the guest is sparse.
 * How many of the pages changed hands, -EINVAL: not all of it is RAM, -EBUSY: a grant frame is there.
 */
int mem_balloon(struct mem *m, uint64_t gfn, uint64_t nr, bool give);

/*
 * The page for shared_info at gfn: the guest's own where it has RAM, else one of ours that it sees there from
 * now on (GRUB wants it in a hole). NULL: something else is there, or KVM refuses.
 */
void *mem_map_shared(struct mem *m, uint64_t gfn);
/* RAM or that page: where KVM may keep what it writes */
void *mem_info(const struct mem *m, uint64_t gpa, uint64_t size);

int mem_map_grant(struct mem *m, uint32_t frame, uint64_t gfn);
/* -ENOENT: no grant frame is at gfn */
int mem_unmap_grant(struct mem *m, uint64_t gfn);
void mem_reset_grants(struct mem *m); /* no frame is mapped any more, nor is shared_info */
void mem_clear_grants(struct mem *m); /* all entries but the reserved ones */

#endif
