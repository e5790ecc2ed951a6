/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/xen.h"
#include "hypercall-bridge/vmm/pvh.h"

#define HEADERS_MAX 128
#define NOTES_MAX 256
#define PADDR_END (1ULL << 32)

/* the file, and which of the two ELF layouts it has */
struct image {
	const uint8_t *bytes;
	size_t size;
	bool wide;
};

struct header {
	uint32_t type;
	uint64_t offset, paddr, file_size, mem_size, align;
};

static bool take(const struct image *im, uint64_t offset, void *to, size_t len)
{
	if (offset > im->size || len > im->size - offset)
		return false;
	memcpy(to, im->bytes + offset, len);
	return true;
}

static bool ident_is_ours(const uint8_t *e)
{
	return memcmp(e, ELFMAG, SELFMAG) == 0 && e[EI_DATA] == ELFDATA2LSB &&
	       (e[EI_CLASS] == ELFCLASS64 || e[EI_CLASS] == ELFCLASS32);
}

/* where the program headers are: false when this is no ELF file of x86 */
static bool file_header(struct image *im, uint64_t *ret_offset, unsigned int *ret_nr,
			unsigned int *ret_entry_size)
{
	Elf64_Ehdr wide;
	Elf32_Ehdr narrow;

	if (!take(im, 0, &narrow, sizeof(narrow)) || !ident_is_ours(narrow.e_ident))
		return false;
	im->wide = narrow.e_ident[EI_CLASS] == ELFCLASS64;
	if (im->wide) {
		if (!take(im, 0, &wide, sizeof(wide)) || wide.e_machine != EM_X86_64)
			return false;
		*ret_offset = wide.e_phoff;
		*ret_nr = wide.e_phnum;
		*ret_entry_size = wide.e_phentsize;
		return true;
	}
	if (narrow.e_machine != EM_386)
		return false;
	*ret_offset = narrow.e_phoff;
	*ret_nr = narrow.e_phnum;
	*ret_entry_size = narrow.e_phentsize;
	return true;
}

static bool program_header(const struct image *im, uint64_t offset, struct header *ret)
{
	Elf64_Phdr wide;
	Elf32_Phdr narrow;

	if (im->wide) {
		if (!take(im, offset, &wide, sizeof(wide)))
			return false;
		*ret = (struct header){ wide.p_type,   wide.p_offset, wide.p_paddr,
					wide.p_filesz, wide.p_memsz,  wide.p_align };
		return true;
	}
	if (!take(im, offset, &narrow, sizeof(narrow)))
		return false;
	*ret = (struct header){ narrow.p_type,	 narrow.p_offset, narrow.p_paddr,
				narrow.p_filesz, narrow.p_memsz,  narrow.p_align };
	return true;
}

static bool inside_file(const struct image *im, const struct header *h)
{
	return h->offset <= im->size && h->file_size <= im->size - h->offset;
}

static enum pvh_verdict add_segment(const struct image *im, const struct header *h,
				    struct pvh_kernel *k)
{
	if (h->mem_size == 0)
		return PVH_OK;
	if (!inside_file(im, h) || h->file_size > h->mem_size)
		return PVH_BROKEN;
	if (h->paddr >= PADDR_END || h->mem_size > PADDR_END - h->paddr)
		return PVH_OUT_OF_RANGE;
	if (k->nr_segments == PVH_SEGMENTS_MAX)
		return PVH_TOO_MANY;
	k->segments[k->nr_segments++] =
		(struct pvh_segment){ h->offset, h->paddr, h->file_size, h->mem_size };
	if (k->nr_segments == 1 || h->paddr < k->start)
		k->start = h->paddr;
	if (h->paddr + h->mem_size > k->end)
		k->end = h->paddr + h->mem_size;
	return PVH_OK;
}

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

struct note {
	uint32_t type;
	bool xen;
	uint64_t value; /* of a 4- or 8-byte description */
};

/* The note at `offset` of a note segment that ends at `end`; returns where the next one begins, 0 = none. */
static uint64_t next_note(const struct image *im, uint64_t offset, uint64_t end, uint64_t align,
			  struct note *ret)
{
	uint64_t name_at, desc_at;
	Elf32_Nhdr n;
	char name[4];

	if (offset > end || end - offset < sizeof(n) || !take(im, offset, &n, sizeof(n)))
		return 0;
	name_at = offset + sizeof(n);
	desc_at = align_up(name_at + n.n_namesz, align);
	if (desc_at > end || n.n_descsz > end - desc_at)
		return 0;
	*ret = (struct note){ .type = n.n_type };
	ret->xen = n.n_namesz == 4 && take(im, name_at, name, 4) && memcmp(name, "Xen", 4) == 0;
	if (n.n_descsz == 4 || n.n_descsz == 8)
		take(im, desc_at, &ret->value, n.n_descsz);
	return align_up(desc_at + n.n_descsz, align);
}

/* Looks for the entry note; *seen_xen says whether any note was Xen's. */
static bool find_entry(const struct image *im, const struct header *h, bool *seen_xen,
		       uint64_t *ret_entry)
{
	uint64_t end = h->offset + h->file_size;
	uint64_t at = h->offset;
	uint64_t align = h->align == 8 ? 8 : 4;
	struct note note;

	if (!inside_file(im, h))
		return false;
	for (unsigned int i = 0; i < NOTES_MAX; i++) {
		at = next_note(im, at, end, align, &note);
		if (!at)
			return false;
		if (!note.xen)
			continue;
		*seen_xen = true;
		if (note.type == XEN_ELFNOTE_PHYS32_ENTRY) {
			*ret_entry = note.value;
			return true;
		}
	}
	return false;
}

static bool entry_is_loaded(const struct pvh_kernel *k, uint64_t entry)
{
	for (unsigned int i = 0; i < k->nr_segments; i++)
		if (entry >= k->segments[i].paddr &&
		    entry - k->segments[i].paddr < k->segments[i].file_size)
			return true;
	return false;
}

/* Segments are not allowed to overlap: what would be in memory then depends on their order. */
static bool overlapping(const struct pvh_kernel *k)
{
	for (unsigned int i = 0; i < k->nr_segments; i++)
		for (unsigned int j = 0; j < i; j++) {
			const struct pvh_segment *a = &k->segments[i], *b = &k->segments[j];

			if (a->paddr < b->paddr + b->mem_size && b->paddr < a->paddr + a->mem_size)
				return true;
		}
	return false;
}

enum pvh_verdict pvh_parse(const uint8_t *file, size_t size, struct pvh_kernel *ret)
{
	struct image im = { .bytes = file, .size = size };
	struct pvh_kernel k = { 0 };
	bool seen_xen = false, have_entry = false;
	unsigned int nr, entry_size;
	uint64_t offset, entry = 0;

	if (!file_header(&im, &offset, &nr, &entry_size))
		return PVH_NOT_ELF;
	if (nr > HEADERS_MAX || offset > size)
		return PVH_BROKEN;
	for (unsigned int i = 0; i < nr; i++) {
		enum pvh_verdict v = PVH_OK;
		struct header h;

		if (!program_header(&im, offset + (uint64_t)i * entry_size, &h))
			return PVH_BROKEN;
		if (h.type == PT_LOAD)
			v = add_segment(&im, &h, &k);
		else if (h.type == PT_NOTE && !have_entry)
			have_entry = find_entry(&im, &h, &seen_xen, &entry);
		if (v != PVH_OK)
			return v;
	}
	if (!have_entry)
		return seen_xen ? PVH_PV_ONLY : PVH_NO_NOTE;
	if (overlapping(&k))
		return PVH_BROKEN;
	if (!entry_is_loaded(&k, entry))
		return PVH_OUT_OF_RANGE;
	k.entry = (uint32_t)entry;
	*ret = k;
	return PVH_OK;
}

const char *pvh_verdict_text(enum pvh_verdict verdict)
{
	static const char *const texts[] = {
		[PVH_OK] = "good",
		[PVH_NOT_ELF] = "it is neither an x86 ELF file nor a bzImage",
		[PVH_BROKEN] = "its ELF headers are damaged",
		[PVH_NO_NOTE] = "it has no PVH entry point (a Linux kernel needs CONFIG_PVH=y)",
		[PVH_PV_ONLY] =
			"it is a Xen kernel for PV guests only; a PVH entry point is needed (CONFIG_PVH=y)",
		[PVH_TOO_MANY] = "it has more segments than a kernel should have",
		[PVH_OUT_OF_RANGE] = "it wants to be loaded or started above 4 GiB",
	};

	return texts[verdict];
}

/* Layout of the boot page: start_info, module, memory map, command line. */
#define MODULE_AT 64
#define MEMMAP_AT 128
#define CMDLINE_AT 1024

_Static_assert(sizeof(struct hvm_start_info) <= MODULE_AT, "start_info fits");
_Static_assert(MODULE_AT + sizeof(struct hvm_modlist_entry) <= MEMMAP_AT, "module fits");
_Static_assert(MEMMAP_AT + PVH_MEMMAP_MAX * sizeof(struct hvm_memmap_table_entry) <= CMDLINE_AT,
	       "memory map fits");
_Static_assert(CMDLINE_AT + PVH_CMDLINE_MAX <= PVH_BOOT_SIZE, "command line fits");

int pvh_boot_block(const struct pvh_boot *boot, uint64_t addr, uint8_t page[PVH_BOOT_SIZE])
{
	struct hvm_start_info info = {
		.magic = XEN_HVM_START_MAGIC_VALUE,
		.version = 1,
		.nr_modules = boot->initrd_size ? 1 : 0,
		.modlist_paddr = boot->initrd_size ? addr + MODULE_AT : 0,
		.cmdline_paddr = addr + CMDLINE_AT,
		.rsdp_paddr = boot->rsdp_addr,
		.memmap_paddr = addr + MEMMAP_AT,
		.memmap_entries = boot->nr_memmap,
	};
	struct hvm_modlist_entry module = { .paddr = boot->initrd_addr, .size = boot->initrd_size };
	size_t len = strlen(boot->cmdline) + 1;

	if (len > PVH_CMDLINE_MAX || boot->nr_memmap > PVH_MEMMAP_MAX)
		return -E2BIG;
	memset(page, 0, PVH_BOOT_SIZE);
	memcpy(page, &info, sizeof(info));
	memcpy(page + MODULE_AT, &module, sizeof(module));
	for (unsigned int i = 0; i < boot->nr_memmap; i++) {
		struct hvm_memmap_table_entry e = { .addr = boot->memmap[i].addr,
						    .size = boot->memmap[i].size,
						    .type = boot->memmap[i].type };

		memcpy(page + MEMMAP_AT + i * sizeof(e), &e, sizeof(e));
	}
	memcpy(page + CMDLINE_AT, boot->cmdline, len);
	return 0;
}
