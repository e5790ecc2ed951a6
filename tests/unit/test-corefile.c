/* SPDX-License-Identifier: MIT */
/* A core file of a guest as other programs read it: its structure here, and by readelf and gdb where they are. */
#include "config.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "hypercall-bridge/vmm/corefile.h"
#include "tests/support/unit.h"

#define INFO "OSRELEASE=6.12\nSYMBOL(swapper_pg_dir)=1\n"

static struct corefile_vcpu vcpus[2];
static const struct corefile_region regions[] = { { 0, 0x3000 }, { 0x100000000, 0x1000 } };
static struct corefile core;
static uint8_t *head;
static size_t size;

static void setup(void)
{
	memset(vcpus, 0, sizeof(vcpus));
	for (unsigned int i = 0; i < 2; i++) {
		vcpus[i].regs.rip = 0xffffffff81000000ull + i;
		vcpus[i].regs.rsp = 0x1234;
		vcpus[i].sregs.cr3 = 0x2000;
		vcpus[i].sregs.cs = (struct kvm_segment){
			.selector = 0x10, .type = 0xb, .s = 1, .present = 1, .l = 1
		};
		vcpus[i].sregs.idt.base = 0xfffffe0000000000ull;
	}
	core = (struct corefile){ .vcpus = vcpus,
				  .nr_vcpus = 2,
				  .regions = regions,
				  .nr_regions = 2,
				  .info = INFO,
				  .info_len = strlen(INFO) };
	size = corefile_size(&core);
	head = calloc(1, size);
	ck_assert_ptr_nonnull(head);
	corefile_build(&core, head);
}

static void teardown(void)
{
	free(head);
}

/* the n-th note of that name: its description, NULL: there is none */
static const uint8_t *find_note(const char *name, unsigned int n, uint32_t *ret_len)
{
	const Elf64_Phdr *p = (const void *)(head + sizeof(Elf64_Ehdr));
	const uint8_t *at = head + p->p_offset, *end = at + p->p_filesz;

	ck_assert_uint_eq(p->p_type, PT_NOTE);
	while (at < end) {
		Elf64_Nhdr h;
		const uint8_t *desc;

		memcpy(&h, at, sizeof(h));
		desc = at + sizeof(h) + (h.n_namesz + 3) / 4 * 4;
		if (!strcmp((const char *)at + sizeof(h), name) && n-- == 0) {
			*ret_len = h.n_descsz;
			return desc;
		}
		at = desc + (h.n_descsz + 3) / 4 * 4;
	}
	ck_assert_ptr_eq(at, end);
	return NULL;
}

static uint64_t u64_at(const uint8_t *p, size_t at)
{
	uint64_t v;

	memcpy(&v, p + at, sizeof(v));
	return v;
}

START_TEST(test_notes)
{
	const uint8_t *note;
	uint32_t len;

	for (unsigned int i = 0; i < 2; i++) {
		note = find_note("CORE", i, &len);
		ck_assert_uint_eq(len, 336);
		ck_assert_uint_eq(u64_at(note, 112 + 16 * 8), vcpus[i].regs.rip);
		note = find_note("QEMU", i, &len);
		ck_assert_uint_eq(len, 432);
		ck_assert_uint_eq(u64_at(note, 8 + 16 * 8), vcpus[i].regs.rip);
		ck_assert_uint_eq(u64_at(note, 152) >> 32, 0);
		ck_assert_uint_eq(u64_at(note, 160) & 0xffffffff, 0x00209b00); /* code, 64 bits */
		ck_assert_uint_eq(u64_at(note, 152 + 9 * 24 + 16), vcpus[i].sregs.idt.base);
		ck_assert_uint_eq(u64_at(note, 392 + 3 * 8), 0x2000);
	}
	ck_assert_ptr_null(find_note("CORE", 2, &len));
	note = find_note("VMCOREINFO", 0, &len);
	ck_assert_uint_eq(len, strlen(INFO));
	ck_assert_int_eq(memcmp(note, INFO, len), 0);
	core.info = NULL;
	ck_assert_uint_le(corefile_size(&core), size);
	memset(head, 0, size);
	corefile_build(&core, head);
	ck_assert_ptr_null(find_note("VMCOREINFO", 0, &len));
}
END_TEST

START_TEST(test_regions)
{
	const Elf64_Phdr *p = (const void *)(head + sizeof(Elf64_Ehdr));
	uint64_t at = size;

	ck_assert_uint_eq(size % 4096, 0);
	for (int i = 0; i < 2; i++) {
		p++;
		ck_assert_uint_eq(p->p_type, PT_LOAD);
		ck_assert_uint_eq(p->p_paddr, regions[i].gpa);
		ck_assert_uint_eq(p->p_memsz, regions[i].size);
		ck_assert_uint_eq(p->p_offset, at);
		at += p->p_filesz;
	}
}
END_TEST

START_TEST(test_info)
{
	char page[4096] = INFO;

	ck_assert_uint_eq(corefile_info_len(page, sizeof(page)), strlen(INFO));
	ck_assert_uint_eq(corefile_info_len(page, 5), 0);
	page[0] = 'o';
	ck_assert_uint_eq(corefile_info_len(page, sizeof(page)), 0);
	memset(page, 'x', sizeof(page)); /* without an end */
	memcpy(page, INFO, strlen(INFO));
	ck_assert_uint_eq(corefile_info_len(page, sizeof(page)), 0);
	memset(page, 0, sizeof(page));
	strcpy(page, "OSRELEASE=only this, in some text");
	ck_assert_uint_eq(corefile_info_len(page, sizeof(page)), 0);
}
END_TEST

static bool said(const char *command, const char *wanted)
{
	char line[512];
	bool found = false;
	FILE *f = popen(command, "r");

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, wanted) != NULL;
	pclose(f);
	return found;
}

START_TEST(test_others_read_it)
{
	char path[] = "/tmp/xenhost-core-XXXXXX", command[256];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, head, size), (ssize_t)size);
	ck_assert_int_eq(ftruncate(fd, (off_t)size + 0x4000), 0);
	ck_assert_int_eq(pwrite(fd, "found me", 8, (off_t)size + 0x2000), 8);
	close(fd);
	snprintf(command, sizeof(command), "readelf -W -l -n %s 2>&1", path);
	ck_assert(said(command, "NT_PRSTATUS"));
	ck_assert(!said(command, "arning"));
	if (system("gdb --version >/dev/null 2>&1") == 0) {
		snprintf(command, sizeof(command),
			 "gdb -nx -batch -ex 'info threads' -ex 'x/s 0x2000' -c %s 2>&1", path);
		ck_assert(said(command, "0xffffffff81000001"));
		ck_assert(said(command, "found me"));
	}
	unlink(path);
}
END_TEST

UNIT_MAIN_WITH("corefile", setup, teardown, test_notes, test_regions, test_info,
	       test_others_read_it)
