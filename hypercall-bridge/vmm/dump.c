/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/vmm/corefile.h"
#include "hypercall-bridge/vmm/dump.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/vcpu.h"
#include "hypercall-bridge/vmm/vm.h"

#define CHUNK (64u << 10) /* that is left out when it is all zeroes */

/* what is dumped, and where each region is in our address space and in the file behind it */
struct dump {
	struct corefile core;
	int ram;
	uint64_t offsets[ARRAY_SIZE(((struct mem *)0)->regions)];
	struct corefile_vcpu vcpus[VM_VCPUS_MAX];
	struct corefile_region regions[ARRAY_SIZE(((struct mem *)0)->regions)];
	const uint8_t *views[ARRAY_SIZE(((struct mem *)0)->regions)];
	char info[COREFILE_INFO_MAX];
};

static void add_regions(struct dump *d, const struct mem *mem)
{
	for (unsigned int i = 0; i < mem->nr_regions; i++) {
		const struct mem_region *r = &mem->regions[i];

		if (r->kind != MEM_KIND_RAM)
			continue;
		d->views[d->core.nr_regions] = mem->files[MEM_KIND_RAM].view + r->offset;
		d->offsets[d->core.nr_regions] = r->offset;
		d->regions[d->core.nr_regions++] = (struct corefile_region){ r->gpa, r->size };
	}
	d->core.regions = d->regions;
	d->ram = mem->files[MEM_KIND_RAM].fd;
}

/*
 * The next part of a region, at or behind *at, that has memory: to look at the others would make it. false: none;
 * *ret_end: where it ends.
 */
static bool next_part(const struct dump *d, unsigned int i, uint64_t *at, uint64_t *ret_end)
{
	const uint64_t size = d->regions[i].size;
	off_t from = lseek(d->ram, (off_t)(d->offsets[i] + *at), SEEK_DATA), to;

	if (*at >= size || (from < 0 && errno == ENXIO))
		return false;
	if (from < 0) { /* what cannot tell has all */
		*ret_end = size;
		return true;
	}
	to = lseek(d->ram, from, SEEK_HOLE);
	*at = (uint64_t)from - d->offsets[i];
	*ret_end = to < 0 ? size : (uint64_t)to - d->offsets[i];
	if (*ret_end > size)
		*ret_end = size;
	return *at < size;
}

static int add_vcpus(struct dump *d, struct vm *vm)
{
	int r = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus && r == 0; i++)
		r = vcpu_state(vm->vcpus[i], &d->vcpus[i].regs, &d->vcpus[i].sregs);
	d->core.vcpus = d->vcpus;
	d->core.nr_vcpus = vm->nr_vcpus;
	return r;
}

static bool find_info_in(struct dump *d, const uint8_t *part, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += COREFILE_PAGE) {
		const char *page = (const char *)part + at;
		size_t len = corefile_info_len(page, COREFILE_PAGE);

		if (!len)
			continue;
		memcpy(d->info, page, len);
		d->core.info = d->info;
		d->core.info_len = len;
		return true;
	}
	return false;
}

/* Linux keeps it in a page of its own, and nowhere tells us which. */
static void find_info(struct dump *d)
{
	for (unsigned int i = 0; i < d->core.nr_regions; i++)
		for (uint64_t at = 0, end; next_part(d, i, &at, &end); at = end)
			if (find_info_in(d, d->views[i] + at, end - at))
				return;
}

static int write_at(int file, const uint8_t *data, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(file, data, len, at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
			at += n;
		}
	}
	return 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return *data == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static int write_part(const uint8_t *part, uint64_t size, int file, off_t at)
{
	for (uint64_t done = 0; done < size; done += CHUNK) {
		uint64_t left = size - done;
		size_t len = left < CHUNK ? (size_t)left : CHUNK;
		int r = is_zero(part + done, len)
				? 0
				: write_at(file, part + done, len, at + (off_t)done);

		if (r < 0)
			return r;
	}
	return 0;
}

static int write_region(const struct dump *d, unsigned int i, int file, off_t at)
{
	int r = 0;

	for (uint64_t begin = 0, end; r == 0 && next_part(d, i, &begin, &end); begin = end)
		r = write_part(d->views[i] + begin, end - begin, file, at + (off_t)begin);
	return r;
}

static int write_all(const struct dump *d, int file)
{
	size_t size = corefile_size(&d->core);
	_cleanup_free_ uint8_t *head = calloc(1, size);
	off_t at = (off_t)size;
	int r;

	if (!head)
		return -ENOMEM;
	corefile_build(&d->core, head);
	r = ftruncate(file, 0) < 0 ? -errno : 0;
	for (unsigned int i = 0; i < d->core.nr_regions && r == 0; i++) {
		r = write_region(d, i, file, at);
		at += (off_t)d->regions[i].size;
	}
	if (r == 0 && ftruncate(file, at) < 0)
		r = -errno;
	/* last: what was cut short is no core file */
	return r < 0 ? r : write_at(file, head, size, 0);
}

/* Somebody's pipe would hold up the guest. */
static int check_file(int file)
{
	struct stat st;

	if (fstat(file, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

void dump_vm(struct vm *vm, int file, int status)
{
	_cleanup_free_ struct dump *d = calloc(1, sizeof(*d));
	int32_t error;
	int r = d ? check_file(file) : -ENOMEM;

	if (r == 0)
		r = add_vcpus(d, vm);
	if (r == 0) {
		add_regions(d, vm->mem);
		find_info(d);
		r = write_all(d, file);
	}
	if (r < 0)
		log_warning("cannot write a dump of the guest: %s", strerror(-r));
	else
		log_info("wrote a dump of the guest");
	error = -r;
	if (write(status, &error, sizeof(error)) != sizeof(error))
		log_warning("who asked for a dump is gone");
	close(file);
	close(status);
}
