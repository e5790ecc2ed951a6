/* SPDX-License-Identifier: MIT */
/*
 * What a PVH boot needs: the ELF headers of the kernel (32 or 64 bit) and the start_info block. Pure:
 * bytes in, structures or bytes out; every offset of the file is checked before it is used.
 */
#ifndef HYPERCALL_BRIDGE_VMM_PVH_H
#define HYPERCALL_BRIDGE_VMM_PVH_H

#include <stddef.h>
#include <stdint.h>

#define PVH_SEGMENTS_MAX 16
#define PVH_MEMMAP_MAX 8
#define PVH_CMDLINE_MAX 2048 /* of Linux, with the NUL */

struct pvh_segment {
	uint64_t offset; /* in the file */
	uint64_t paddr;
	uint64_t file_size;
	uint64_t mem_size; /* >= file_size, the rest is zero */
};

struct pvh_kernel {
	uint32_t entry;
	unsigned int nr_segments;
	struct pvh_segment segments[PVH_SEGMENTS_MAX];
	uint64_t start, end; /* guest physical range that the segments span */
};

enum pvh_verdict {
	PVH_OK,
	PVH_NOT_ELF,	  /* no ELF file for x86 */
	PVH_BROKEN,	  /* its headers lie outside of the file or contradict each other */
	PVH_NO_NOTE,	  /* no PVH entry, and nothing of Xen in it */
	PVH_PV_ONLY,	  /* has Xen notes, but no PVH entry */
	PVH_TOO_MANY,	  /* more than PVH_SEGMENTS_MAX segments to load */
	PVH_OUT_OF_RANGE, /* wants to be loaded at or above 4 GiB, or the entry is in no segment */
};

/* PVH_OK and *ret, or why not */
enum pvh_verdict pvh_parse(const uint8_t *file, size_t size, struct pvh_kernel *ret);
const char *pvh_verdict_text(enum pvh_verdict verdict);

struct pvh_memmap {
	uint64_t addr, size;
	uint32_t type; /* XEN_HVM_MEMMAP_TYPE_* */
};

struct pvh_boot {
	const char *cmdline;
	uint64_t initrd_addr, initrd_size; /* size 0: none */
	uint64_t rsdp_addr;
	unsigned int nr_memmap;
	struct pvh_memmap memmap[PVH_MEMMAP_MAX];
};

#define PVH_BOOT_SIZE 4096

/*
 * Fills the page at guest physical `addr` with start_info (at its beginning), module list, memory map and
 * command line. 0, or -E2BIG when the command line is too long.
 */
int pvh_boot_block(const struct pvh_boot *boot, uint64_t addr, uint8_t page[PVH_BOOT_SIZE]);

#endif
