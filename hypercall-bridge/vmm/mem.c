/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"
#include "hypercall-bridge/vmm/acpi.h"
#include "hypercall-bridge/vmm/kvm.h"
#include "hypercall-bridge/vmm/mem.h"

#define SHARED_SLOT 15 /* shared_info, where it is not in RAM */
#define GRANT_SLOT 16  /* frame n has slot GRANT_SLOT + n; regions have those below */
#define HUGE (2ull << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static const char *const file_names[MEM_KINDS] = {
	[MEM_KIND_RAM] = "xenhost-ram",		 [MEM_KIND_GRANTS] = "xenhost-grants",
	[MEM_KIND_STORE] = "xenhost-store-ring", [MEM_KIND_CONSOLE] = "xenhost-console-ring",
	[MEM_KIND_ACPI] = "xenhost-acpi",
};

static void closefilep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Where the file's huge pages can be ours. */
static uint8_t *map_aligned(int fd, uint64_t size)
{
	uint8_t *room = mmap(NULL, size + HUGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *view;

	if (room == MAP_FAILED)
		return NULL;
	view = (uint8_t *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	if (view > room)
		munmap(room, (size_t)(view - room));
	munmap(view + size, HUGE - (size_t)(view - room));
	if (mmap(view, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
		 0) == MAP_FAILED) {
		munmap(view, size);
		return NULL;
	}
	return view;
}

/*
 * In huge pages where the host has them: KVM then maps 2 MiB at its first fault, not 512 times 4 KiB. Whatever
 * the host's setting for shared memory is, the kernel makes huge what is there when it is asked to; so one page
 * of each is put there first.
 */
static void use_huge_pages(const struct mem_file *f)
{
	uint64_t whole = f->size & ~(HUGE - 1);

	for (uint64_t at = 0; at < whole; at += HUGE)
		if (fallocate(f->fd, 0, (off_t)at, XEN_PAGE_SIZE) < 0)
			return;
	if (whole)
		(void)madvise(f->view, whole, MADV_COLLAPSE);
}

/*
 * Allocated at once unless sparse: a guest that runs out of host memory in the middle of its life would be
 * killed. Returns -errno.
 */
static int file_new(struct mem_file *f, enum mem_kind kind, uint64_t size, bool sparse)
{
	f->size = size;
	f->fd = memfd_create(file_names[kind], MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (f->fd < 0)
		return -errno;
	if (ftruncate(f->fd, (off_t)size) < 0 || fcntl(f->fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	f->view = map_aligned(f->fd, size);
	if (!f->view)
		return -ENOMEM;
	if (sparse)
		return 0;
	if (kind == MEM_KIND_RAM)
		use_huge_pages(f);
	return fallocate(f->fd, 0, 0, (off_t)size) < 0 ? -errno : 0;
}

/* bytes the host could still give away without swapping; unknown: as much as one likes */
static uint64_t available(void)
{
	_cleanup_(closefilep) FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			return kib << 10;
	return UINT64_MAX;
}

/* The kernel would not refuse: it would end us, or somebody else. */
static int check_available(uint64_t size)
{
	uint64_t there = available();

	if (size <= there)
		return 0;
	log_error("this host has %" PRIu64 " MiB of memory left, the guest wants %" PRIu64
		  " MiB: give it less with --memory or free some",
		  there >> 20, size >> 20);
	return -ENOMEM;
}

static int add_region(struct mem *m, enum mem_kind kind, uint64_t gpa, uint64_t size,
		      uint64_t offset)
{
	struct mem_region *r = &m->regions[m->nr_regions];

	*r = (struct mem_region){ kind, gpa, size, offset, m->nr_regions };
	m->nr_regions++;
	return kvm_map(m->kvm, r->slot, gpa, size, m->files[kind].view + offset);
}

/* Ascending, as a guest's memory map should be. */
static int map_all(struct mem *m)
{
	uint64_t size = m->files[MEM_KIND_RAM].size;
	uint64_t low = size < MEM_LOW_MAX ? size : MEM_LOW_MAX;
	int r = add_region(m, MEM_KIND_RAM, 0, low, 0);

	if (r == 0)
		r = add_region(m, MEM_KIND_ACPI, MEM_ACPI, ACPI_SIZE, 0);
	if (r == 0)
		r = add_region(m, MEM_KIND_CONSOLE, MEM_CONSOLE, XEN_PAGE_SIZE, 0);
	if (r == 0)
		r = add_region(m, MEM_KIND_STORE, MEM_STORE, XEN_PAGE_SIZE, 0);
	if (r == 0 && size > low)
		r = add_region(m, MEM_KIND_RAM, MEM_HIGH_BASE, size - low, low);
	if (r < 0)
		log_error("KVM refuses the guest's memory map: %s", strerror(-r));
	return r;
}

int mem_new(const struct kvm *kvm, uint64_t size, bool sparse, struct mem **ret)
{
	const uint64_t sizes[MEM_KINDS] = {
		[MEM_KIND_RAM] = size,
		[MEM_KIND_GRANTS] = MEM_GRANT_FRAMES * XEN_PAGE_SIZE,
		[MEM_KIND_STORE] = XEN_PAGE_SIZE,
		[MEM_KIND_CONSOLE] = XEN_PAGE_SIZE,
		[MEM_KIND_ACPI] = ACPI_SIZE,
	};
	_cleanup_(mem_freep) struct mem *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->kvm = kvm;
	m->sparse = sparse;
	for (int i = 0; i < MEM_KINDS; i++)
		m->files[i].fd = -1;
	r = sparse ? 0 : check_available(size);
	if (r < 0)
		return r;
	for (enum mem_kind i = 0; i < MEM_KINDS; i++) {
		r = file_new(&m->files[i], i, sizes[i], sparse && i == MEM_KIND_RAM);
		if (r < 0) {
			log_error("cannot allocate %" PRIu64
				  " MiB for the guest: %s; give it less with "
				  "--memory or free some on this host",
				  size >> 20, strerror(-r));
			return r;
		}
	}
	m->given = calloc(1, size / XEN_PAGE_SIZE / 8 + 1); /* not touched before ballooning */
	m->shared_page = mmap(NULL, XEN_PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->shared_page == MAP_FAILED)
		m->shared_page = NULL;
	if (!m->given || !m->shared_page)
		return -ENOMEM;
	r = map_all(m);
	if (r < 0)
		return r;
	*ret = steal_ptr(&m);
	return 0;
}

struct mem *mem_free(struct mem *m)
{
	if (!m)
		return NULL;
	for (int i = 0; i < MEM_KINDS; i++) {
		if (m->files[i].view)
			munmap(m->files[i].view, m->files[i].size);
		closep(&m->files[i].fd);
	}
	free(m->given);
	if (m->shared_page)
		munmap(m->shared_page, XEN_PAGE_SIZE);
	free(m);
	return NULL;
}

void mem_freep(struct mem **m)
{
	mem_free(*m);
}

uint64_t mem_low_size(const struct mem *m)
{
	return m->regions[0].size;
}

/* In a hole: the page of the grant file that the guest has there. */
static void *host_of_grant(const struct mem *m, uint64_t gpa, uint64_t size)
{
	uint64_t at = gpa % XEN_PAGE_SIZE;

	if (size > XEN_PAGE_SIZE - at)
		return NULL;
	for (uint32_t i = 0; i < MEM_GRANT_FRAMES; i++)
		if (m->grant_gfn[i] && m->grant_gfn[i] == gpa / XEN_PAGE_SIZE)
			return m->files[MEM_KIND_GRANTS].view + i * XEN_PAGE_SIZE + at;
	return NULL;
}

static void *host_of_region(const struct mem *m, const struct mem_region *r, uint64_t gpa,
			    uint64_t size)
{
	if (gpa < r->gpa || gpa - r->gpa >= r->size || size > r->size - (gpa - r->gpa))
		return NULL;
	return m->files[r->kind].view + r->offset + (gpa - r->gpa);
}

static void *host_of_shared(const struct mem *m, uint64_t gpa, uint64_t size)
{
	uint64_t at = gpa % XEN_PAGE_SIZE;

	if (!m->shared_gfn || gpa / XEN_PAGE_SIZE != m->shared_gfn || size > XEN_PAGE_SIZE - at)
		return NULL;
	return m->shared_page + at;
}

void *mem_info(const struct mem *m, uint64_t gpa, uint64_t size)
{
	void *p = mem_ram(m, gpa, size);

	return p ? p : host_of_shared(m, gpa, size);
}

static void drop_shared(struct mem *m)
{
	if (m->shared_gfn)
		(void)kvm_unmap(m->kvm, SHARED_SLOT);
	m->shared_gfn = 0;
}

void *mem_map_shared(struct mem *m, uint64_t gfn)
{
	uint64_t gpa = gfn * XEN_PAGE_SIZE;
	void *page = mem_info(m, gpa, XEN_PAGE_SIZE);

	if (page)
		return page;
	if (gfn == 0 || mem_host(m, gpa, XEN_PAGE_SIZE))
		return NULL;
	drop_shared(m);
	if (kvm_map(m->kvm, SHARED_SLOT, gpa, XEN_PAGE_SIZE, m->shared_page) < 0)
		return NULL;
	m->shared_gfn = gfn;
	return m->shared_page;
}

void *mem_host(const struct mem *m, uint64_t gpa, uint64_t size)
{
	void *shared = host_of_shared(m, gpa, size);

	if (shared)
		return shared;
	for (unsigned int i = 0; i < m->nr_regions; i++) {
		void *p = host_of_region(m, &m->regions[i], gpa, size);

		if (p)
			return p;
	}
	return host_of_grant(m, gpa, size);
}

void *mem_ram(const struct mem *m, uint64_t gpa, uint64_t size)
{
	for (unsigned int i = 0; i < m->nr_regions; i++) {
		void *p = NULL;

		if (m->regions[i].kind == MEM_KIND_RAM)
			p = host_of_region(m, &m->regions[i], gpa, size);
		if (p)
			return p;
	}
	return NULL;
}

/* our view of one RAM page shows the file at this offset from now on */
static int overlay(void *page, int fd, uint64_t offset)
{
	void *p = mmap(page, XEN_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		       (off_t)offset);

	return p == MAP_FAILED ? -errno : 0;
}

static int drop_frame(struct mem *m, uint32_t frame)
{
	uint8_t *page = mem_ram(m, m->grant_gfn[frame] * XEN_PAGE_SIZE, XEN_PAGE_SIZE);
	const struct mem_file *ram = &m->files[MEM_KIND_RAM];
	int r;

	if (page)
		r = overlay(page, ram->fd, (uint64_t)(page - ram->view));
	else
		r = kvm_unmap(m->kvm, GRANT_SLOT + frame);
	if (r == 0)
		m->grant_gfn[frame] = 0;
	return r;
}

int mem_map_grant(struct mem *m, uint32_t frame, uint64_t gfn)
{
	const struct mem_file *grants = &m->files[MEM_KIND_GRANTS];
	uint64_t offset = (uint64_t)frame * XEN_PAGE_SIZE;
	uint64_t gpa = gfn * XEN_PAGE_SIZE;
	void *page;
	int r = 0;

	if (frame >= MEM_GRANT_FRAMES || gfn == 0)
		return -EINVAL;
	if (m->grant_gfn[frame] == gfn)
		return 0;
	if (host_of_grant(m, gpa, XEN_PAGE_SIZE))
		return -EBUSY; /* another frame is there */
	page = mem_ram(m, gpa, XEN_PAGE_SIZE);
	if (!page && mem_host(m, gpa, XEN_PAGE_SIZE))
		return -EBUSY; /* one of the special pages */
	if (m->grant_gfn[frame])
		r = drop_frame(m, frame);
	if (r == 0)
		r = page ? overlay(page, grants->fd, offset)
			 : kvm_map(m->kvm, GRANT_SLOT + frame, gpa, XEN_PAGE_SIZE,
				   grants->view + offset);
	if (r == 0)
		m->grant_gfn[frame] = gfn;
	return r;
}

int mem_unmap_grant(struct mem *m, uint64_t gfn)
{
	for (uint32_t i = 0; gfn && i < MEM_GRANT_FRAMES; i++)
		if (m->grant_gfn[i] == gfn)
			return drop_frame(m, i);
	return -ENOENT;
}

void mem_reset_grants(struct mem *m)
{
	drop_shared(m);
	for (uint32_t i = 0; i < MEM_GRANT_FRAMES; i++)
		if (m->grant_gfn[i])
			(void)drop_frame(m, i);
}

void mem_clear_grants(struct mem *m)
{
	const struct mem_file *f = &m->files[MEM_KIND_GRANTS];
	const size_t seeded = GNTTAB_NR_RESERVED_ENTRIES * sizeof(struct grant_entry_v1);

	memset(f->view + seeded, 0, f->size - seeded);
}

static bool is_given(const struct mem *m, uint64_t page)
{
	return m->given[page / 8] >> page % 8 & 1;
}

/* of the pages from `first` on: how many have the wrong owner, and now the right one */
static uint64_t mark(struct mem *m, uint64_t first, uint64_t nr, bool give)
{
	uint64_t changed = 0;

	for (uint64_t page = first; page < first + nr; page++) {
		if (is_given(m, page) == give)
			continue;
		m->given[page / 8] ^= (uint8_t)(1u << page % 8);
		changed++;
	}
	return changed;
}

static bool has_grant_frame(const struct mem *m, uint64_t gfn, uint64_t nr)
{
	for (uint32_t i = 0; i < MEM_GRANT_FRAMES; i++)
		if (m->grant_gfn[i] && m->grant_gfn[i] >= gfn && m->grant_gfn[i] - gfn < nr)
			return true;
	return false;
}

int mem_balloon(struct mem *m, uint64_t gfn, uint64_t nr, bool give)
{
	const struct mem_file *ram = &m->files[MEM_KIND_RAM];
	uint8_t *at = mem_ram(m, gfn * XEN_PAGE_SIZE, nr * XEN_PAGE_SIZE);
	int mode = give ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0;
	off_t offset;

	if (!at || nr > INT_MAX)
		return -EINVAL;
	if (has_grant_frame(m, gfn, nr))
		return -EBUSY;
	offset = at - ram->view;
	if ((give || !m->sparse) && fallocate(ram->fd, mode, offset, (off_t)(nr * XEN_PAGE_SIZE)))
		return -errno;
	return (int)mark(m, (uint64_t)offset / XEN_PAGE_SIZE, nr, give);
}
