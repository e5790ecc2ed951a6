/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"
#include "tests/support/unit.h"

/* packs a DomainCreate with one region and unpacks it with nr_fds descriptors beside it */
static int round_trip(const Bridge__Region *region, const char *name, size_t nr_fds)
{
	Bridge__DomainCreate create = BRIDGE__DOMAIN_CREATE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT, *back;
	Bridge__Region copy = *region, *list[] = { &copy };
	uint8_t buf[BRIDGE_MESSAGE_MAX];
	long n;
	int r;

	create.name = (char *)(uintptr_t)name;
	create.n_regions = 1;
	create.regions = list;
	frame.id = 7;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_CREATE;
	frame.domain_create = &create;
	n = bridge_wire_pack(&frame, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	r = bridge_wire_unpack(buf, (size_t)n, nr_fds, &back);
	if (r < 0)
		return r;
	ck_assert_uint_eq(back->id, 7);
	ck_assert_str_eq(back->domain_create->name, name);
	ck_assert_uint_eq(back->domain_create->regions[0]->gpa, region->gpa);
	bridge_wire_free(back);
	return 0;
}

static Bridge__Region good_region(void)
{
	Bridge__Region r = BRIDGE__REGION__INIT;

	r.kind = BRIDGE__REGION_KIND__RAM;
	r.gpa = 0x1000;
	r.size = 0x10000;
	return r;
}

START_TEST(test_round_trip)
{
	Bridge__Region r = good_region();

	ck_assert_int_eq(round_trip(&r, "one", 1), 0);
}
END_TEST

START_TEST(test_bad_regions)
{
	Bridge__Region r = good_region();

	ck_assert_int_eq(round_trip(&r, "one", 0), -EINVAL); /* no such descriptor */
	r.gpa = 0x1001;
	ck_assert_int_eq(round_trip(&r, "one", 1), -EINVAL);
	r = good_region();
	r.size = 0;
	ck_assert_int_eq(round_trip(&r, "one", 1), -EINVAL);
	r.size = ~0ULL & ~0xfffULL; /* gpa + size would wrap */
	ck_assert_int_eq(round_trip(&r, "one", 1), -EINVAL);
	r = good_region();
	r.kind = (Bridge__RegionKind)9;
	ck_assert_int_eq(round_trip(&r, "one", 1), -EINVAL);
}
END_TEST

START_TEST(test_name_limit)
{
	char name[BRIDGE_NAME_MAX + 1];
	Bridge__Region r = good_region();

	memset(name, 'x', sizeof(name));
	name[BRIDGE_NAME_MAX - 1] = '\0';
	ck_assert_int_eq(round_trip(&r, name, 1), 0);
	name[BRIDGE_NAME_MAX - 1] = 'x';
	name[BRIDGE_NAME_MAX] = '\0';
	ck_assert_int_eq(round_trip(&r, name, 1), -EINVAL);
}
END_TEST

START_TEST(test_garbage)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 0xff, 0xff };
	static uint8_t big[BRIDGE_MESSAGE_MAX + 1];
	bridge_frame *frame;

	ck_assert_int_eq(bridge_wire_unpack(garbage, sizeof(garbage), 0, &frame), -EPROTO);
	ck_assert_int_eq(bridge_wire_unpack(big, sizeof(big), 0, &frame), -EMSGSIZE);
	ck_assert_int_eq(bridge_wire_unpack(big, 0, 0, &frame), 0); /* an empty frame is one */
	bridge_wire_free(frame);
}
END_TEST

START_TEST(test_pack_too_small)
{
	bridge_frame frame = BRIDGE__FRAME__INIT;
	uint8_t buf[1];

	frame.id = 0xffffffff;
	ck_assert_int_eq(bridge_wire_pack(&frame, buf, sizeof(buf)), -EMSGSIZE);
}
END_TEST

UNIT_MAIN("bridge-wire", test_round_trip, test_bad_regions, test_name_limit, test_garbage,
	  test_pack_too_small)
