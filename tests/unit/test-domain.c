/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/xen.h"
#include "hypercall-bridge/bridged/domain.h"
#include "tests/support/unit.h"

static int sealed_memfd(off_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static Bridge__Region region(Bridge__RegionKind kind, uint64_t gpa, uint64_t size, uint32_t fd)
{
	Bridge__Region r = BRIDGE__REGION__INIT;

	r.kind = kind;
	r.gpa = gpa;
	r.size = size;
	r.fd = fd;
	return r;
}

static int create(struct domain_table *t, const char *name, Bridge__Region *regions, size_t n,
		  const int *fds, struct domain **ret)
{
	Bridge__DomainCreate req = BRIDGE__DOMAIN_CREATE__INIT;
	Bridge__Region *list[BRIDGE_REGIONS_MAX];
	const char *why = NULL;

	for (size_t i = 0; i < n; i++)
		list[i] = &regions[i];
	req.name = (char *)(uintptr_t)name;
	req.regions = list;
	req.n_regions = n;
	req.store_gfn = 0xfeff9;
	req.console_gfn = 0xfeff8;
	return domain_create(t, &req, fds, ret, &why);
}

START_TEST(test_create_and_seed)
{
	int fds[2] = { sealed_memfd(1 << 20, F_SEAL_SHRINK),
		       sealed_memfd(2 * 4096, F_SEAL_SHRINK) };
	Bridge__Region regions[] = { region(BRIDGE__REGION_KIND__RAM, 0, 1 << 20, 0),
				     region(BRIDGE__REGION_KIND__GRANT_FRAMES, 0, 2 * 4096, 1) };
	struct domain_table t;
	grant_entry_v1_t entry;
	struct domain *d;

	ck_assert_int_eq(domain_table_init(&t, NULL), 0);
	ck_assert_int_eq(create(&t, "a", regions, 2, fds, &d), 0);
	ck_assert_uint_eq(d->domid, 1);
	ck_assert_uint_eq(d->memory_bytes, 1 << 20);
	ck_assert_ptr_eq(domain_get(&t, 1), d);
	ck_assert_ptr_eq(domain_by_name(&t, "a"), d);
	ck_assert_int_eq(pread(fds[1], &entry, sizeof(entry), sizeof(entry)), sizeof(entry));
	ck_assert_uint_eq(entry.flags, GTF_permit_access);
	ck_assert_uint_eq(entry.domid, 0);
	ck_assert_uint_eq(entry.frame, 0xfeff9);
	ck_assert_int_eq(create(&t, "a", regions, 2, fds, &d), -EEXIST);
	domain_end(&t, d);
	domain_destroy(&t, d);
	ck_assert_ptr_null(domain_get(&t, 1));
	ck_assert_int_eq(create(&t, "a", regions, 2, fds, &d), 0);
	ck_assert_uint_eq(d->domid, 2); /* not reused at once */
	domain_table_fini(&t);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(test_bad_memory)
{
	int fds[3] = { sealed_memfd(1 << 20, F_SEAL_SHRINK), sealed_memfd(1 << 20, F_SEAL_GROW),
		       open("/dev/null", O_RDWR | O_CLOEXEC) };
	Bridge__Region r = region(BRIDGE__REGION_KIND__RAM, 0, 1 << 20, 0);
	Bridge__Region two[2];
	struct domain_table t;
	struct domain *d = NULL;

	ck_assert_int_eq(domain_table_init(&t, NULL), 0);
	r.fd = 1; /* could shrink under its users */
	ck_assert_int_eq(create(&t, "a", &r, 1, fds, &d), -EINVAL);
	r.fd = 2; /* no memfd */
	ck_assert_int_eq(create(&t, "a", &r, 1, fds, &d), -EINVAL);
	r.fd = 0;
	r.offset = 4096; /* past the end */
	ck_assert_int_eq(create(&t, "a", &r, 1, fds, &d), -EINVAL);
	r.offset = 0;
	two[0] = two[1] = r;
	two[1].gpa = (1 << 20) - 4096;
	ck_assert_int_eq(create(&t, "a", two, 2, fds, &d), -EINVAL);
	two[0] = two[1] = region(BRIDGE__REGION_KIND__STORE_RING, 0x100000, 4096, 0);
	two[1].gpa = 0x200000;
	ck_assert_int_eq(create(&t, "a", two, 2, fds, &d), -EINVAL);
	r = region(BRIDGE__REGION_KIND__GRANT_FRAMES, 0, 65 * 4096, 0);
	ck_assert_int_eq(create(&t, "a", &r, 1, fds, &d), -EINVAL);
	r = region(BRIDGE__REGION_KIND__STORE_RING, 0, 2 * 4096, 0); /* a ring is one page */
	ck_assert_int_eq(create(&t, "a", &r, 1, fds, &d), -EINVAL);
	ck_assert_int_eq(create(&t, "", NULL, 0, fds, &d), -EINVAL);
	ck_assert_uint_eq(t.nr_guests, 0);
	ck_assert_ptr_null(d);
	domain_table_fini(&t);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
END_TEST

/* no pages behind it: whoever touches it would die */
START_TEST(test_huge_pages)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	Bridge__Region r = region(BRIDGE__REGION_KIND__RAM, 0, 2 << 20, 0);
	struct domain_table t;
	struct domain *d = NULL;

	if (fd < 0)
		return; /* a kernel without them */
	ck_assert_int_eq(ftruncate(fd, 2 << 20), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(domain_table_init(&t, NULL), 0);
	ck_assert_int_eq(create(&t, "a", &r, 1, &fd, &d), -EINVAL);
	domain_table_fini(&t);
	close(fd);
}
END_TEST

START_TEST(test_too_much_memory)
{
	int fd = memfd_create("sparse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	Bridge__Region r = region(BRIDGE__REGION_KIND__RAM, 0, 1ULL << 41, 0);
	struct domain_table t;
	struct domain *d = NULL;

	ck_assert_int_eq(ftruncate(fd, 1LL << 41), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(domain_table_init(&t, NULL), 0);
	ck_assert_int_eq(create(&t, "a", &r, 1, &fd, &d), -E2BIG);
	domain_table_fini(&t);
	close(fd);
}
END_TEST

START_TEST(test_services)
{
	struct domain_table t;

	ck_assert_int_eq(domain_table_init(&t, NULL), 0);
	ck_assert_int_eq(domain_add_control(&t), 0);
	ck_assert_ptr_nonnull(domain_get(&t, 0));
	ck_assert_int_eq(domain_add_service(&t, "blkback", 32000), 0);
	ck_assert_int_eq(domain_add_service(&t, "other", 32000), -EEXIST);
	ck_assert_uint_eq(domain_by_name(&t, "blkback")->domid, 32000);
	ck_assert_ptr_null(domain_get(&t, 40000));
	ck_assert_ptr_null(domain_get(&t, 0xffffffff));
	domain_table_fini(&t);
}
END_TEST

UNIT_MAIN("domain", test_create_and_seed, test_bad_memory, test_huge_pages, test_too_much_memory,
	  test_services)
