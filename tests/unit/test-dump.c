/* SPDX-License-Identifier: MIT */
/* dump-core of a guest whose memory is mostly not there: what is not stays so. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hypercall-bridge/vmm/corefile.h"
#include "hypercall-bridge/vmm/dump.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/vcpu.h"
#include "hypercall-bridge/vmm/vm.h"
#include "tests/support/unit.h"

#define LOW (64u << 20)
#define HIGH (32u << 20)
#define PAGE 4096u

int vcpu_state(struct vcpu *v, struct kvm_regs *ret_regs, struct kvm_sregs *ret_sregs)
{
	return 0;
}

static struct mem mem;
static struct vm vm;

static void setup(void)
{
	struct mem_file *ram = &mem.files[MEM_KIND_RAM];

	ram->fd = memfd_create("ram", MFD_CLOEXEC);
	ram->size = LOW + HIGH;
	ck_assert_int_ge(ram->fd, 0);
	ck_assert_int_eq(ftruncate(ram->fd, (off_t)ram->size), 0);
	ram->view = mmap(NULL, ram->size, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
	ck_assert_ptr_ne(ram->view, MAP_FAILED);
	mem.nr_regions = 2;
	mem.regions[0] = (struct mem_region){ MEM_KIND_RAM, 0, LOW, 0, 0 };
	mem.regions[1] = (struct mem_region){ MEM_KIND_RAM, MEM_HIGH_BASE, HIGH, LOW, 1 };
	vm.mem = &mem;
}

static off_t blocks(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_blocks;
}

static void check_page(int file, off_t at, int value)
{
	uint8_t page[PAGE], expected[PAGE];

	memset(expected, value, sizeof(expected));
	ck_assert_int_eq(pread(file, page, sizeof(page), at), sizeof(page));
	ck_assert_int_eq(memcmp(page, expected, sizeof(page)), 0);
}

/* the first page, one in the middle and the last one of both parts */
START_TEST(test_sparse)
{
	const off_t places[] = { 0, 5 * PAGE, LOW - PAGE, LOW, LOW + 3 * PAGE, LOW + HIGH - PAGE };
	char path[] = "/tmp/test-dump.XXXXXX";
	int file = mkstemp(path), copy = dup(file), ends[2];
	int32_t error = -1;
	off_t before, head;
	struct stat st;

	ck_assert_int_ge(copy, 0);
	unlink(path);
	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < 6; i++)
		memset(mem.files[MEM_KIND_RAM].view + places[i], i + 1, PAGE);
	before = blocks(mem.files[MEM_KIND_RAM].fd);
	dump_vm(&vm, file, ends[1]);
	ck_assert_int_eq(read(ends[0], &error, sizeof(error)), sizeof(error));
	ck_assert_int_eq(error, 0);
	ck_assert_int_eq(blocks(mem.files[MEM_KIND_RAM].fd), before);
	ck_assert_int_eq(fstat(copy, &st), 0);
	head = st.st_size - (LOW + HIGH);
	ck_assert_int_gt(head, 0);
	for (int i = 0; i < 6; i++)
		check_page(copy, head + places[i], i + 1);
	check_page(copy, head + PAGE, 0);
	check_page(copy, head + LOW + PAGE, 0);
	close(copy);
	close(ends[0]);
}
END_TEST

UNIT_MAIN_WITH("dump", setup, NULL, test_sparse)
