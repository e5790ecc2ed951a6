/* SPDX-License-Identifier: MIT */
/* Direct grants: a grant table and RAM as a guest would have them, and every way in which it may lie. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xen.h"
#include "libxenhost/direct.h"
#include "tests/support/unit.h"

#define US 32000
#define GUEST 7
#define RAM_PAGES 16u
#define FRAMES 2u
#define GREFS (FRAMES * 512u)

static uint8_t *ram;
static grant_entry_v1_t *table;
static struct direct_guests guests;

static int region(struct direct_region *r, enum direct_kind kind, uint64_t gpa, uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	*r = (struct direct_region){ .kind = kind, .gpa = gpa, .size = size, .fd = fd };
	return fd;
}

static void set_up(void)
{
	struct direct_region r[2];

	region(&r[0], DIRECT_RAM, 0x10000, RAM_PAGES * 4096);
	region(&r[1], DIRECT_GRANT_FRAMES, 0, FRAMES * 4096);
	ram = mmap(NULL, r[0].size, PROT_READ | PROT_WRITE, MAP_SHARED, r[0].fd, 0);
	table = mmap(NULL, r[1].size, PROT_READ | PROT_WRITE, MAP_SHARED, r[1].fd, 0);
	direct_guests_init(&guests, US, NULL, NULL);
	ck_assert_int_eq(direct_guests_add(&guests, GUEST, 1, r, 2), 0);
	close(r[0].fd);
	close(r[1].fd);
}

static void tear_down(void)
{
	direct_guests_fini(&guests);
	munmap(ram, RAM_PAGES * 4096);
	munmap(table, FRAMES * 4096);
}

static void grant(uint32_t gref, uint16_t flags, uint16_t domid, uint32_t page)
{
	table[gref] = (grant_entry_v1_t){ .flags = flags, .domid = domid, .frame = 0x10 + page };
}

static int io(uint32_t gref, unsigned int prot)
{
	struct xenhost_seg seg = { .gref = gref, .len = 16 };
	struct xenhost_page page = { .addr = NULL };
	struct iovec iov;
	int r = direct_io_begin(&guests, GUEST, &seg, 1, prot, &iov);

	if (r == 0)
		direct_io_end(&seg, 1, prot);
	else if (r != -ESRCH)
		ck_assert_int_eq(seg.status, r);
	/* the form for one page does the same */
	ck_assert_int_eq(direct_translate(&guests, GUEST, gref, prot, &page), r);
	if (r == 0) {
		ck_assert_ptr_eq(page.addr, iov.iov_base);
		ck_assert_uint_eq(page.domid, GUEST);
		direct_put(&page);
	}
	ck_assert_ptr_null(page.addr);
	return r;
}

START_TEST(test_read_and_write)
{
	struct xenhost_seg seg = { .gref = 9, .offset = 100, .len = 8 };
	struct iovec iov;

	set_up();
	grant(9, GTF_permit_access, US, 3);
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &seg, 1, XENHOST_WRITE, &iov), 0);
	ck_assert_uint_eq(iov.iov_len, 8);
	memcpy(iov.iov_base, "xenhost", 8);
	ck_assert_str_eq((char *)ram + 3 * 4096 + 100, "xenhost");
	ck_assert_uint_eq(table[9].flags, GTF_permit_access | GTF_reading | GTF_writing);
	direct_io_end(&seg, 1, XENHOST_WRITE);
	ck_assert_uint_eq(table[9].flags, GTF_permit_access);
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &seg, 1, XENHOST_READ, &iov), 0);
	ck_assert_uint_eq(table[9].flags, GTF_permit_access | GTF_reading);
	direct_io_end(&seg, 1, XENHOST_READ);
	tear_down();
}
END_TEST

START_TEST(test_refusals)
{
	set_up();
	ck_assert_int_eq(io(8, XENHOST_READ), -EPERM); /* never granted */
	grant(8, GTF_permit_access, US + 1, 0);
	ck_assert_int_eq(io(8, XENHOST_READ), -EPERM);
	grant(8, GTF_accept_transfer, US, 0);
	ck_assert_int_eq(io(8, XENHOST_READ), -EPERM);
	grant(8, GTF_permit_access | GTF_readonly, US, 0);
	ck_assert_int_eq(io(8, XENHOST_WRITE), -EACCES);
	ck_assert_int_eq(io(8, XENHOST_READ), 0);
	grant(8, GTF_permit_access, US, RAM_PAGES);
	ck_assert_int_eq(io(8, XENHOST_READ), -EFAULT);
	ck_assert_uint_eq(table[8].flags, GTF_permit_access); /* not left marked */
	table[8].frame = 0xffffffff;
	ck_assert_int_eq(io(8, XENHOST_READ), -EFAULT);
	table[8].frame = 0xf; /* just below RAM */
	ck_assert_int_eq(io(8, XENHOST_READ), -EFAULT);
	table[8].frame = 0; /* a region, but of grant frames */
	ck_assert_int_eq(io(8, XENHOST_READ), -EFAULT);
	ck_assert_int_eq(io(GREFS, XENHOST_READ), -EINVAL);
	ck_assert_int_eq(io(0xffffffff, XENHOST_READ), -EINVAL);
	tear_down();
}
END_TEST

/* one bad segment: nothing is held, and each has its own status */
START_TEST(test_batch_is_all_or_nothing)
{
	struct xenhost_seg segs[4];
	struct iovec iov[4];

	set_up();
	for (uint32_t k = 0; k < 4; k++) {
		for (uint32_t i = 0; i < 4; i++) {
			grant(20 + i, GTF_permit_access, i == k ? US + 1 : US, i);
			segs[i] = (struct xenhost_seg){ .gref = 20 + i, .len = 4096 };
		}
		ck_assert_int_eq(direct_io_begin(&guests, GUEST, segs, 4, XENHOST_WRITE, iov),
				 -EPERM);
		for (uint32_t i = 0; i < 4; i++) {
			ck_assert_int_eq(segs[i].status, i == k ? -EPERM : 0);
			ck_assert_uint_eq(table[20 + i].flags, GTF_permit_access);
		}
	}
	tear_down();
}
END_TEST

START_TEST(test_one_grant_twice)
{
	struct xenhost_seg segs[2] = { { .gref = 30, .len = 1 }, { .gref = 30, .len = 1 } };
	struct iovec iov[2];

	set_up();
	grant(30, GTF_permit_access, US, 1);
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &segs[0], 1, XENHOST_WRITE, iov), 0);
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &segs[1], 1, XENHOST_READ, iov), 0);
	direct_io_end(&segs[0], 1, XENHOST_WRITE);
	ck_assert_uint_eq(table[30].flags, GTF_permit_access | GTF_reading);
	direct_io_end(&segs[1], 1, XENHOST_READ);
	ck_assert_uint_eq(table[30].flags, GTF_permit_access);
	tear_down();
}
END_TEST

START_TEST(test_map_is_contiguous)
{
	const uint32_t grefs[] = { 41, 40, 43 };
	struct direct_map *map;
	void *addr;

	set_up();
	for (uint32_t i = 0; i < 4; i++) {
		grant(40 + i, GTF_permit_access, US, 2 * i);
		ram[2 * i * 4096] = (uint8_t)('a' + i);
	}
	ck_assert_int_eq(
		direct_map_new(&guests, GUEST, grefs, 3, XENHOST_READ | XENHOST_WRITE, &addr, &map),
		0);
	ck_assert_int_eq(((char *)addr)[0], 'b');
	ck_assert_int_eq(((char *)addr)[4096], 'a');
	ck_assert_int_eq(((char *)addr)[8192], 'd');
	((char *)addr)[8193] = 'z';
	ck_assert_int_eq(ram[6 * 4096 + 1], 'z');
	direct_map_free(map);
	ck_assert_uint_eq(table[41].flags, GTF_permit_access);
	ck_assert_int_eq(direct_map_new(&guests, GUEST, (const uint32_t[]){ 40, 99 }, 2,
					XENHOST_READ, &addr, &map),
			 -EPERM);
	ck_assert_uint_eq(table[40].flags, GTF_permit_access);
	tear_down();
}
END_TEST

/* Memory in use outlives the guest, also when another one comes by the same domid. */
START_TEST(test_guest_goes_under_io)
{
	struct xenhost_seg seg = { .gref = 9, .len = 8 }, late = seg;
	struct direct_region r[2];
	struct direct_map *map;
	struct iovec iov;
	uint8_t *page;
	void *addr;

	set_up();
	grant(9, GTF_permit_access, US, 3);
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &seg, 1, XENHOST_WRITE, &iov), 0);
	ck_assert_int_eq(direct_map_new(&guests, GUEST, &seg.gref, 1, XENHOST_READ, &addr, &map),
			 0);
	direct_guests_drop(&guests, 2);
	ck_assert_int_eq(io(9, XENHOST_READ), 0);
	direct_guests_drop(&guests, 1);
	ck_assert_int_eq(io(9, XENHOST_READ), -ESRCH);
	ck_assert_int_eq(direct_map_new(&guests, GUEST, &seg.gref, 1, XENHOST_READ, &addr, &map),
			 -ESRCH);

	page = ram;
	region(&r[0], DIRECT_RAM, 0, 4096);
	region(&r[1], DIRECT_GRANT_FRAMES, 0, 4096);
	ck_assert_int_eq(direct_guests_add(&guests, GUEST, 2, r, 2), 0);
	ck_assert_int_eq(direct_guests_add(&guests, GUEST, 3, r, 2), -EEXIST);
	close(r[0].fd);
	close(r[1].fd);
	ck_assert_int_eq(io(9, XENHOST_READ), -EPERM);

	memcpy(iov.iov_base, "late", 4);
	ck_assert_int_eq(memcmp(page + 3 * 4096, "late", 4), 0);
	ck_assert_int_eq(memcmp(addr, "late", 4), 0);
	direct_io_end(&seg, 1, XENHOST_WRITE);
	ck_assert_uint_eq(table[9].flags, GTF_permit_access | GTF_reading);
	direct_map_free(map);
	ck_assert_uint_eq(table[9].flags, GTF_permit_access);
	direct_guests_drop_others(&guests, GUEST + 1);
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &late, 1, XENHOST_WRITE, &iov), -ESRCH);
	tear_down();
}
END_TEST

/*
 * In a process that may make no system calls but write(2), read(2) and the end. (The thread sanitizer makes
 * some of its own.)
 */
START_TEST(test_no_system_calls)
{
#ifndef __SANITIZE_THREAD__
	struct xenhost_seg segs[32];
	struct iovec iov[32];
	int status;
	pid_t pid;

	set_up();
	for (uint32_t i = 0; i < 32; i++) {
		grant(20 + i, GTF_permit_access, US, i % RAM_PAGES);
		segs[i] = (struct xenhost_seg){ .gref = 20 + i, .len = 4096 };
	}
	pid = fork();
	if (pid == 0) {
		long bad = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);

		for (int i = 0; i < 100 && !bad; i++) {
			struct xenhost_page page;

			bad = direct_io_begin(&guests, GUEST, segs, 32, XENHOST_WRITE, iov);
			direct_io_end(segs, 32, XENHOST_WRITE);
			bad |= direct_translate(&guests, GUEST, 20, XENHOST_READ, &page);
			direct_put(&page);
		}
		syscall(SYS_exit, bad ? 1 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	tear_down();
#endif
}
END_TEST

/* what a process before us left marked, and only that */
START_TEST(test_settle)
{
	struct xenhost_seg seg = { .gref = 40, .len = 8 };
	struct iovec iov;

	set_up();
	grant(40, GTF_permit_access, US, 1); /* ours, read: marked for writing as well */
	ck_assert_int_eq(direct_io_begin(&guests, GUEST, &seg, 1, XENHOST_READ, &iov), 0);
	table[40].flags |= GTF_writing;
	grant(41, GTF_permit_access | GTF_reading | GTF_writing, US, 1);
	grant(42, GTF_permit_access | GTF_readonly | GTF_reading, US, 1);
	grant(43, GTF_permit_access | GTF_reading, US + 1, 1);
	grant(GREFS - 1, GTF_permit_access | GTF_reading, US, 1);
	ck_assert_int_eq(direct_settle(&guests, GUEST), 4);
	ck_assert_uint_eq(table[40].flags, GTF_permit_access | GTF_reading);
	ck_assert_uint_eq(table[41].flags, GTF_permit_access);
	ck_assert_uint_eq(table[42].flags, GTF_permit_access | GTF_readonly);
	ck_assert_uint_eq(table[43].flags, GTF_permit_access | GTF_reading);
	ck_assert_uint_eq(table[GREFS - 1].flags, GTF_permit_access);
	direct_io_end(&seg, 1, XENHOST_READ);
	ck_assert_uint_eq(table[40].flags, GTF_permit_access);
	ck_assert_int_eq(direct_settle(&guests, GUEST), 0);
	ck_assert_int_eq(direct_settle(&guests, GUEST + 1), -ESRCH);
	tear_down();
}
END_TEST

/* xenstored's view: gref 1 is the ring page, and nothing else can be reached */
START_TEST(test_store_ring_only)
{
	struct direct_region r;
	struct direct_map *map;
	void *addr;
	int fd = region(&r, DIRECT_STORE_RING, 0xfeff9000, 4096);

	ck_assert_int_eq(pwrite(fd, "ring", 4, 0), 4);
	direct_guests_init(&guests, 0, NULL, NULL);
	ck_assert_int_eq(direct_guests_add(&guests, GUEST, 1, &r, 1), 0);
	close(fd);
	ck_assert_int_eq(direct_map_new(&guests, GUEST, (const uint32_t[]){ 1 }, 1, XENHOST_WRITE,
					&addr, &map),
			 0);
	ck_assert_int_eq(memcmp(addr, "ring", 4), 0);
	direct_map_free(map);
	ck_assert_int_eq(direct_map_new(&guests, GUEST, (const uint32_t[]){ 0 }, 1, XENHOST_READ,
					&addr, &map),
			 -EINVAL);
	ck_assert_int_eq(direct_map_new(&guests, GUEST, (const uint32_t[]){ 8 }, 1, XENHOST_READ,
					&addr, &map),
			 -EINVAL);
	direct_guests_fini(&guests);
}
END_TEST

static atomic_bool stop;

/* the guest rewrites its entry all the time: frame inside and outside of RAM, other domain */
static void *flip(void *data)
{
	_Atomic uint64_t *entry = (_Atomic uint64_t *)(void *)&table[50];

	for (uint64_t i = 0; !atomic_load(&stop); i++) {
		uint64_t frame = 0x10 + i % (RAM_PAGES + 4);
		uint64_t domid = i % 3 ? US : 7;

		atomic_store(entry, frame << 32 | domid << 16 | GTF_permit_access);
	}
	return NULL;
}

START_TEST(test_entry_changes_under_us)
{
	pthread_t thread;
	int good = 0, tries = 0;

	set_up();
	grant(50, GTF_permit_access, US, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, flip, NULL), 0);
	while (good < 1000 && tries++ < 10000000) {
		struct xenhost_seg seg = { .gref = 50, .len = 4096 };
		struct iovec iov;
		int r = direct_io_begin(&guests, GUEST, &seg, 1, XENHOST_WRITE, &iov);

		ck_assert(r == 0 || r == -EPERM || r == -EFAULT || r == -EAGAIN);
		if (r < 0)
			continue;
		memset(iov.iov_base, 0x55, iov.iov_len); /* would fault outside of RAM */
		direct_io_end(&seg, 1, XENHOST_WRITE);
		good++;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	ck_assert_int_eq(good, 1000);
	tear_down();
}
END_TEST

static void *use_grant(void *data)
{
	for (int i = 0; i < 20000; i++)
		if (io(60, i % 2 ? XENHOST_READ : XENHOST_WRITE) != 0)
			return (void *)1;
	return NULL;
}

START_TEST(test_threads_share_a_grant)
{
	pthread_t threads[3];

	set_up();
	grant(60, GTF_permit_access, US, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, use_grant, NULL), 0);
	for (int i = 0; i < 3; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_uint_eq(table[60].flags, GTF_permit_access);
	tear_down();
}
END_TEST

UNIT_MAIN("direct", test_read_and_write, test_refusals, test_batch_is_all_or_nothing,
	  test_one_grant_twice, test_map_is_contiguous, test_guest_goes_under_io,
	  test_no_system_calls, test_settle, test_store_ring_only, test_entry_changes_under_us,
	  test_threads_share_a_grant)
