/* SPDX-License-Identifier: MIT */
/* ELF headers, made here and then damaged one field at a time; the boot page. */
#include "config.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "common/xen.h"
#include "hypercall-bridge/vmm/pvh.h"
#include "tests/support/unit.h"

#define FILE_SIZE 4096
#define LOAD_AT 1024
#define NOTE_AT 512
#define ENTRY 0x1000850u

struct note {
	uint32_t namesz, descsz, type;
	char name[4];
	uint32_t desc;
};

static struct elf {
	Elf64_Ehdr h;
	Elf64_Phdr p[3];
	uint8_t pad[NOTE_AT - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
	struct note notes[3];
	uint8_t rest[FILE_SIZE - NOTE_AT - 3 * sizeof(struct note)];
} elf;

static struct pvh_kernel k;

static void setup(void)
{
	_Static_assert(sizeof(elf) == FILE_SIZE, "the file");
	memset(&elf, 0, sizeof(elf));
	memset(&k, 0, sizeof(k));
	memcpy(elf.h.e_ident, ELFMAG, SELFMAG);
	elf.h.e_ident[EI_CLASS] = ELFCLASS64;
	elf.h.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.h.e_machine = EM_X86_64;
	elf.h.e_phoff = sizeof(Elf64_Ehdr);
	elf.h.e_phentsize = sizeof(Elf64_Phdr);
	elf.h.e_phnum = 3;
	elf.p[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				 .p_offset = LOAD_AT,
				 .p_vaddr = 0xffffffff81000000,
				 .p_paddr = 0x1000000,
				 .p_filesz = 0xa00,
				 .p_memsz = 0x2000 };
	elf.p[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_paddr = 0x1800000, .p_memsz = 0x800000 };
	elf.p[2] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = sizeof(elf.notes), .p_align = 4
	};
	elf.notes[0] = (struct note){ 4, 4, 1, "GNU", 0 };
	elf.notes[1] = (struct note){ 4, 4, 6, "Xen", 0 };
	elf.notes[2] = (struct note){ 4, 4, XEN_ELFNOTE_PHYS32_ENTRY, "Xen", ENTRY };
	elf.p[0].p_filesz = 0xa00;
	elf.rest[0] = 1;
}

static void teardown(void)
{
}

static enum pvh_verdict parse(void)
{
	return pvh_parse((const uint8_t *)&elf, sizeof(elf), &k);
}

START_TEST(good)
{
	ck_assert_int_eq(parse(), PVH_OK);
	ck_assert_uint_eq(k.entry, ENTRY);
	ck_assert_uint_eq(k.nr_segments, 2);
	ck_assert_uint_eq(k.segments[0].offset, LOAD_AT);
	ck_assert_uint_eq(k.segments[0].paddr, 0x1000000);
	ck_assert_uint_eq(k.segments[0].file_size, 0xa00);
	ck_assert_uint_eq(k.segments[0].mem_size, 0x2000);
	ck_assert_uint_eq(k.start, 0x1000000);
	ck_assert_uint_eq(k.end, 0x2000000);
}
END_TEST

/* a file that ends too early anywhere is refused, and nothing behind its end is read (valgrind, ASAN) */
START_TEST(truncated)
{
	for (size_t size = 0; size < LOAD_AT + 0xa00; size++) {
		uint8_t *copy = malloc(size ? size : 1);

		memcpy(copy, &elf, size);
		ck_assert_int_ne(pvh_parse(copy, size, &k), PVH_OK);
		free(copy);
	}
	ck_assert_uint_eq(k.entry, 0); /* never touched */
}
END_TEST

START_TEST(not_elf)
{
	elf.h.e_ident[1] = 'X';
	ck_assert_int_eq(parse(), PVH_NOT_ELF);
	setup();
	elf.h.e_ident[EI_CLASS] = 3;
	ck_assert_int_eq(parse(), PVH_NOT_ELF);
	setup();
	elf.h.e_ident[EI_DATA] = ELFDATA2MSB;
	ck_assert_int_eq(parse(), PVH_NOT_ELF);
	setup();
	elf.h.e_machine = EM_AARCH64;
	ck_assert_int_eq(parse(), PVH_NOT_ELF);
}
END_TEST

START_TEST(bad_headers)
{
	static const uint64_t offsets[] = { FILE_SIZE - 1, FILE_SIZE, UINT64_MAX, UINT64_MAX - 55 };

	for (size_t i = 0; i < 4; i++) {
		elf.h.e_phoff = offsets[i];
		ck_assert_int_eq(parse(), PVH_BROKEN);
	}
	setup();
	elf.h.e_phnum = UINT16_MAX;
	ck_assert_int_eq(parse(), PVH_BROKEN);
	setup();
	elf.h.e_phnum = 0;
	ck_assert_int_eq(parse(), PVH_NO_NOTE);
}
END_TEST

START_TEST(bad_segments)
{
	static const uint64_t sizes[] = { FILE_SIZE - LOAD_AT + 1, UINT64_MAX,
					  UINT64_MAX - LOAD_AT + 1 };

	for (size_t i = 0; i < 3; i++) {
		elf.p[0].p_filesz = sizes[i];
		elf.p[0].p_memsz = UINT64_MAX;
		ck_assert_int_eq(parse(), PVH_BROKEN);
	}
	setup();
	elf.p[0].p_offset = UINT64_MAX;
	ck_assert_int_eq(parse(), PVH_BROKEN);
	setup();
	elf.p[0].p_memsz = elf.p[0].p_filesz - 1;
	ck_assert_int_eq(parse(), PVH_BROKEN);
	setup();
	elf.p[1].p_paddr = 0x1001fff; /* one byte of overlap */
	ck_assert_int_eq(parse(), PVH_BROKEN);
	elf.p[1].p_paddr = 0x1002000;
	ck_assert_int_eq(parse(), PVH_OK);
}
END_TEST

START_TEST(out_of_range)
{
	elf.p[1].p_paddr = 1ull << 32;
	ck_assert_int_eq(parse(), PVH_OUT_OF_RANGE);
	elf.p[1].p_paddr = (1ull << 32) - 0x800000 + 1;
	ck_assert_int_eq(parse(), PVH_OUT_OF_RANGE);
	elf.p[1].p_paddr = UINT64_MAX;
	ck_assert_int_eq(parse(), PVH_OUT_OF_RANGE);
	setup();
	elf.p[1].p_memsz = UINT64_MAX;
	ck_assert_int_eq(parse(), PVH_OUT_OF_RANGE);
	setup();
	elf.notes[2].desc = 0x1000a00; /* behind the bytes of the file, in the zeroes */
	ck_assert_int_eq(parse(), PVH_OUT_OF_RANGE);
	elf.notes[2].desc = 0xfff;
	ck_assert_int_eq(parse(), PVH_OUT_OF_RANGE);
}
END_TEST

/* each note of 20 bytes is followed by 4 that belong to none */
START_TEST(notes_of_eight)
{
	struct note notes[2] = { elf.notes[0], elf.notes[2] };

	memset(elf.notes, 0, sizeof(elf.notes));
	memcpy(elf.notes, &notes[0], sizeof(notes[0]));
	memcpy((uint8_t *)elf.notes + 24, &notes[1], sizeof(notes[1]));
	elf.p[2].p_filesz = 44;
	ck_assert_int_eq(parse(), PVH_NO_NOTE);
	elf.p[2].p_align = 8;
	ck_assert_int_eq(parse(), PVH_OK);
	ck_assert_uint_eq(k.entry, ENTRY);
}
END_TEST

START_TEST(no_entry)
{
	elf.notes[2].type = 5;
	ck_assert_int_eq(parse(), PVH_PV_ONLY);
	memcpy(elf.notes[1].name, "Xem", 4);
	memcpy(elf.notes[2].name, "Xem", 4);
	ck_assert_int_eq(parse(), PVH_NO_NOTE);
	setup();
	elf.p[2].p_type = PT_NULL;
	ck_assert_int_eq(parse(), PVH_NO_NOTE);
}
END_TEST

/* sizes that wrap or lead out of the note segment end the search */
START_TEST(bad_notes)
{
	static const uint32_t sizes[] = { UINT32_MAX, UINT32_MAX - 3, UINT32_MAX - 11, 1u << 31,
					  4096 };

	for (size_t i = 0; i < 5; i++) {
		setup();
		elf.notes[0].namesz = sizes[i];
		ck_assert_int_eq(parse(), PVH_NO_NOTE);
		setup();
		elf.notes[1].descsz = sizes[i];
		ck_assert_int_eq(parse(), PVH_NO_NOTE);
	}
	setup();
	elf.p[2].p_offset = UINT64_MAX - 10;
	ck_assert_int_eq(parse(), PVH_NO_NOTE);
	setup();
	elf.p[2].p_filesz = UINT64_MAX;
	ck_assert_int_eq(parse(), PVH_NO_NOTE);
	setup();
	elf.p[2].p_filesz = sizeof(elf.notes) - 1; /* the entry's value is cut */
	ck_assert_int_eq(parse(), PVH_PV_ONLY);
}
END_TEST

START_TEST(many_segments)
{
	Elf64_Phdr *p = (Elf64_Phdr *)(void *)((uint8_t *)&elf + 2048);

	elf.h.e_phoff = 2048;
	elf.h.e_phnum = PVH_SEGMENTS_MAX + 1;
	p[0] = elf.p[2];
	for (uint64_t i = 1; i <= PVH_SEGMENTS_MAX; i++) {
		p[i] = elf.p[1];
		p[i].p_paddr = 0x2000000 + i * 0x1000;
		p[i].p_memsz = 0x1000;
	}
	p[1] = elf.p[0];
	ck_assert_int_eq(parse(), PVH_OK);
	ck_assert_uint_eq(k.nr_segments, PVH_SEGMENTS_MAX);
	elf.h.e_phnum++;
	p[PVH_SEGMENTS_MAX + 1] = elf.p[1];
	ck_assert_int_eq(parse(), PVH_TOO_MANY);
}
END_TEST

START_TEST(thirty_two_bit)
{
	static const Elf32_Phdr load = { .p_type = PT_LOAD,
					 .p_offset = LOAD_AT,
					 .p_paddr = 0x100000,
					 .p_filesz = 0x100,
					 .p_memsz = 0x200 };
	static const Elf32_Phdr note = { .p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 60 };
	Elf32_Ehdr h = {
		.e_machine = EM_386, .e_phoff = sizeof(h), .e_phentsize = sizeof(load), .e_phnum = 2
	};
	uint8_t *file = (uint8_t *)&elf;

	memcpy(h.e_ident, elf.h.e_ident, sizeof(h.e_ident));
	h.e_ident[EI_CLASS] = ELFCLASS32;
	elf.notes[2].desc = 0x1000ff;
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), &load, sizeof(load));
	memcpy(file + sizeof(h) + sizeof(load), &note, sizeof(note));
	ck_assert_int_eq(parse(), PVH_OK);
	ck_assert(k.entry == 0x1000ff && k.nr_segments == 1 && k.end == 0x100200);
}
END_TEST

START_TEST(boot_page)
{
	struct pvh_boot boot = { .cmdline = "console=hvc0",
				 .initrd_addr = 0x7000000,
				 .initrd_size = 1234,
				 .rsdp_addr = 0xfeff0000,
				 .nr_memmap = 2,
				 .memmap = { { 0, 0x8000000, 1 }, { 0xfeff0000, 0x1000, 3 } } };
	uint8_t page[PVH_BOOT_SIZE];
	struct hvm_start_info info;
	struct hvm_modlist_entry module;
	struct hvm_memmap_table_entry entry;

	ck_assert_int_eq(pvh_boot_block(&boot, 0x6000, page), 0);
	memcpy(&info, page, sizeof(info));
	ck_assert_uint_eq(info.magic, XEN_HVM_START_MAGIC_VALUE);
	ck_assert_uint_eq(info.version, 1);
	ck_assert_uint_eq(info.nr_modules, 1);
	ck_assert_uint_eq(info.rsdp_paddr, 0xfeff0000);
	ck_assert_str_eq((char *)page + (info.cmdline_paddr - 0x6000), "console=hvc0");
	memcpy(&module, page + (info.modlist_paddr - 0x6000), sizeof(module));
	ck_assert(module.paddr == 0x7000000 && module.size == 1234);
	ck_assert_uint_eq(info.memmap_entries, 2);
	memcpy(&entry, page + (info.memmap_paddr - 0x6000) + sizeof(entry), sizeof(entry));
	ck_assert(entry.addr == 0xfeff0000 && entry.size == 0x1000 && entry.type == 3);
}
END_TEST

START_TEST(boot_page_limits)
{
	static char cmdline[PVH_CMDLINE_MAX + 1];
	struct pvh_boot boot = { .cmdline = cmdline };
	uint8_t page[PVH_BOOT_SIZE];

	memset(cmdline, 'x', PVH_CMDLINE_MAX);
	ck_assert_int_eq(pvh_boot_block(&boot, 0x6000, page), -E2BIG);
	cmdline[PVH_CMDLINE_MAX - 1] = 0;
	ck_assert_int_eq(pvh_boot_block(&boot, 0x6000, page), 0);
	boot.nr_memmap = PVH_MEMMAP_MAX + 1;
	ck_assert_int_eq(pvh_boot_block(&boot, 0x6000, page), -E2BIG);
}
END_TEST

START_TEST(texts)
{
	for (int v = PVH_OK; v <= PVH_OUT_OF_RANGE; v++)
		ck_assert_ptr_nonnull(pvh_verdict_text((enum pvh_verdict)v));
}
END_TEST

UNIT_MAIN_WITH("pvh", setup, teardown, good, truncated, not_elf, bad_headers, bad_segments,
	       out_of_range, notes_of_eight, no_entry, bad_notes, many_segments, thirty_two_bit,
	       boot_page, boot_page_limits, texts)
