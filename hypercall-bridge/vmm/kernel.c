/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"
#include "hypercall-bridge/vmm/bzimage.h"
#include "hypercall-bridge/vmm/kcache.h"
#include "hypercall-bridge/vmm/kernel.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/unpack.h"

#define FILE_MAX (1ull << 30)
#define BOOT_PAGE 0x6000ull
/* Linux needs about this much beside its own image and the initrd to reach user space */
#define ROOM (16ull << 20)

/* an anonymous mapping: given back to the system as a whole after the copy */
struct buffer {
	uint8_t *bytes;
	size_t size;
};

static void buffer_free(struct buffer *b)
{
	if (b->bytes)
		munmap(b->bytes, b->size);
	b->bytes = NULL;
}

static int buffer_new(size_t size, struct buffer *ret)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = (struct buffer){ p, size };
	return 0;
}

static int complain(const char *what, const char *path, int error)
{
	log_error("cannot read %s %s: %s", what, path, strerror(-error));
	return error;
}

/* an open regular file with something in it */
static int open_file(const char *what, const char *path, uint64_t *ret_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return complain(what, path, -errno);
	if (!S_ISREG(st.st_mode)) {
		log_error("%s %s is not a regular file", what, path);
		return -EINVAL;
	}
	if (st.st_size <= 0 || (uint64_t)st.st_size > FILE_MAX) {
		log_error("%s %s is %s", what, path,
			  st.st_size <= 0 ? "empty" : "larger than 1 GiB");
		return -EINVAL;
	}
	*ret_size = (uint64_t)st.st_size;
	return steal_fd(&fd);
}

static int read_all(int fd, uint8_t *to, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, to + done, size - done, (off_t)done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO; /* it was longer a moment ago */
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_file(int fd, uint64_t size, struct buffer *ret)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	int r = buffer_new((size_t)size, &b);

	if (r == 0)
		r = read_all(fd, b.bytes, b.size);
	if (r < 0)
		return r;
	*ret = b;
	b.bytes = NULL;
	return 0;
}

static int unpack_bzimage(const char *path, const struct buffer *file, const struct bzimage *bz,
			  struct buffer *ret)
{
	_cleanup_(buffer_free) struct buffer b = { 0 };
	long n;
	int r;

	r = buffer_new(bz->unpacked_size, &b);
	if (r < 0)
		return complain("kernel", path, r);
	n = unpack(bz->format, file->bytes + bz->offset, bz->size, b.bytes, b.size);
	if (n < 0) {
		if (n == -ENOTSUP)
			log_error(
				"kernel %s is packed in a format that is not known here (gzip, xz, "
				"lzma, zstd and lz4 are); unpack it to an ELF vmlinux first",
				path);
		else
			log_error("kernel %s is damaged: its %s stream cannot be unpacked", path,
				  unpack_format_name(bz->format));
		return (int)n;
	}
	*ret = b;
	b.bytes = NULL;
	return 0;
}

/* 1 unpacked, 0 an ELF file, which is left as it is; takes over *file in any case. */
static int unpack_kernel(const char *path, struct buffer *file, struct buffer *ret)
{
	struct bzimage bz;
	int r = bzimage_parse(file->bytes, file->size, &bz);

	if (r == -ENOEXEC) {
		*ret = *file;
		file->bytes = NULL;
		return 0;
	}
	if (r < 0) {
		log_error("kernel %s has a damaged bzImage header", path);
		return r;
	}
	r = unpack_bzimage(path, file, &bz, ret);
	return r < 0 ? r : 1;
}

/* A cache that cannot be used costs time, no start. */
static int open_cache(const char *cache)
{
	int folder = cache ? kcache_open(cache) : -1;

	if (cache && folder < 0)
		log_warning("unpacked kernels are not kept in %s: %s", cache,
			    folder == -EPERM ? "others may write there" : strerror(-folder));
	return folder;
}

/* Only what was the same file before and after it was read. */
static void keep(int folder, int fd, const struct stat *before, const struct buffer *image)
{
	struct stat st;
	int r;

	if (folder < 0 || fstat(fd, &st) < 0 || st.st_ctim.tv_sec != before->st_ctim.tv_sec ||
	    st.st_ctim.tv_nsec != before->st_ctim.tv_nsec)
		return;
	r = kcache_put(folder, &st, image->bytes, image->size);
	if (r < 0 && r != -EAGAIN && r != -EEXIST)
		log_warning("the unpacked kernel is not kept for later: %s", strerror(-r));
}

static int load_image(const char *path, const char *cache, struct buffer *ret)
{
	_cleanup_(buffer_free) struct buffer file = { 0 };
	_cleanup_close_ int fd = -1, folder = -1;
	struct stat st;
	uint64_t size;
	int r;

	fd = open_file("kernel", path, &size);
	if (fd < 0)
		return fd;
	folder = open_cache(cache);
	if (fstat(fd, &st) < 0)
		return complain("kernel", path, -errno);
	if (folder >= 0 && kcache_get(folder, &st, &ret->bytes, &ret->size) == 0)
		return 0;
	r = read_file(fd, size, &file);
	if (r < 0)
		return complain("kernel", path, r);
	r = unpack_kernel(path, &file, ret);
	if (r > 0)
		keep(folder, fd, &st, ret);
	return r < 0 ? r : 0;
}

int kernel_open(const char *path, const char *cache, struct kernel *ret)
{
	_cleanup_(buffer_free) struct buffer image = { 0 };
	enum pvh_verdict verdict;
	struct pvh_kernel pvh;
	int r = load_image(path, cache, &image);

	if (r < 0)
		return r;
	verdict = pvh_parse(image.bytes, image.size, &pvh);
	if (verdict != PVH_OK) {
		log_error("kernel %s cannot be started: %s", path, pvh_verdict_text(verdict));
		return -ENOEXEC;
	}
	*ret = (struct kernel){ image.bytes, image.size, pvh };
	image.bytes = NULL;
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (k->image)
		munmap(k->image, k->size);
	k->image = NULL;
}

int kernel_initrd_open(const char *path, struct kernel_initrd *ret)
{
	int fd = -1;

	*ret = (struct kernel_initrd){ .fd = -1 };
	if (path)
		fd = open_file("initrd", path, &ret->size);
	ret->fd = fd;
	return path && fd < 0 ? fd : 0;
}

/* Room for everything, in the memory below 3.25 GiB; the initrd's place. */
static int plan(const struct kernel *k, struct kernel_initrd *initrd, uint64_t low)
{
	uint64_t pages = (initrd->size + XEN_PAGE_SIZE - 1) & ~(uint64_t)(XEN_PAGE_SIZE - 1);
	uint64_t needed = k->pvh.end + pages + ROOM;

	if (needed > low) {
		log_error("too little memory: this kernel%s needs at least %" PRIu64
			  " MiB below 3.25 GiB, the guest has %" PRIu64
			  " MiB there; raise --memory",
			  initrd->size ? " with its initrd" : "", (needed >> 20) + 1, low >> 20);
		return -ENOMEM;
	}
	if (k->pvh.start < BOOT_PAGE + PVH_BOOT_SIZE) {
		log_error("this kernel wants to be loaded at 0x%" PRIx64
			  ", where its boot parameters go; it must lie above 0x%llx",
			  k->pvh.start, BOOT_PAGE + PVH_BOOT_SIZE);
		return -EINVAL;
	}
	initrd->addr = low - pages;
	return 0;
}

static void copy_segments(const struct kernel *k, const struct mem *mem)
{
	for (unsigned int i = 0; i < k->pvh.nr_segments; i++) {
		const struct pvh_segment *s = &k->pvh.segments[i];
		uint8_t *to = mem_ram(mem, s->paddr, s->mem_size);

		/* plan() has seen that it is there; fresh memory is zero */
		memcpy(to, k->image + s->offset, s->file_size);
	}
}

static void fill_memmap(const struct mem *mem, struct pvh_boot *boot)
{
	for (unsigned int i = 0; i < mem->nr_regions && i < PVH_MEMMAP_MAX; i++) {
		const struct mem_region *r = &mem->regions[i];
		uint32_t type = XEN_HVM_MEMMAP_TYPE_RESERVED;

		if (r->kind == MEM_KIND_RAM)
			type = XEN_HVM_MEMMAP_TYPE_RAM;
		else if (r->kind == MEM_KIND_ACPI)
			type = XEN_HVM_MEMMAP_TYPE_ACPI;
		boot->memmap[boot->nr_memmap++] = (struct pvh_memmap){ r->gpa, r->size, type };
	}
}

int kernel_place(const struct kernel *k, struct kernel_initrd *initrd, const char *cmdline,
		 uint64_t rsdp, struct mem *mem, uint64_t *ret_start_info)
{
	struct pvh_boot boot = { .cmdline = cmdline, .rsdp_addr = rsdp };
	int r = plan(k, initrd, mem_low_size(mem));

	if (r < 0)
		return r;
	copy_segments(k, mem);
	if (initrd->size) {
		r = read_all(initrd->fd, mem_ram(mem, initrd->addr, initrd->size), initrd->size);
		if (r < 0)
			return complain("initrd", "", r);
	}
	boot.initrd_addr = initrd->addr;
	boot.initrd_size = initrd->size;
	fill_memmap(mem, &boot);
	r = pvh_boot_block(&boot, BOOT_PAGE, mem_ram(mem, BOOT_PAGE, PVH_BOOT_SIZE));
	if (r < 0) {
		log_error("the command line is longer than %d characters", PVH_CMDLINE_MAX - 1);
		return r;
	}
	*ret_start_info = BOOT_PAGE;
	return 0;
}
