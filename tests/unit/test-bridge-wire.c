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

/* protobuf-c is the definition: what we write ourselves must be what it writes, and read as it reads */
static void check_both_ways(const bridge_frame *frame)
{
	uint8_t ours[256], theirs[256];
	long n = bridge_wire_pack(frame, ours, sizeof(ours));
	bridge_frame *back = NULL;

	ck_assert_int_eq(n, (long)bridge__frame__get_packed_size(frame));
	bridge__frame__pack(frame, theirs);
	ck_assert_mem_eq(ours, theirs, (size_t)n);
	ck_assert_int_eq(bridge_wire_unpack(ours, (size_t)n, 2, &back), 0);
	ck_assert_uint_eq(back->id, frame->id);
	ck_assert_int_eq(back->body_case, frame->body_case);
	ck_assert_int_eq(back->error, frame->error);
	ck_assert_str_eq(back->why, frame->why);
	memset(ours, 0, sizeof(ours));
	ck_assert_uint_eq(bridge__frame__pack(back, ours), (size_t)n);
	ck_assert_mem_eq(ours, theirs, (size_t)n);
	bridge_wire_free(back);
}

/* every body there is, empty (but for what must be in it), with ids of every length */
START_TEST(test_as_protobuf_c)
{
	static const uint32_t ids[] = { 0, 1, 0x7f, 0x80, 0xfffffff, 0x10000000, UINT32_MAX };
	const ProtobufCMessageDescriptor *type = &bridge__frame__descriptor;
	unsigned int bodies = 0;
	char why[] = "why", none[] = "";

	for (unsigned int i = 0; i < type->n_fields; i++) {
		bridge_frame frame = BRIDGE__FRAME__INIT;
		uint8_t body[512] __attribute__((aligned(16)));
		const ProtobufCMessageDescriptor *kind;

		if (type->fields[i].type != PROTOBUF_C_TYPE_MESSAGE ||
		    type->fields[i].id == BRIDGE__FRAME__BODY_KEPT)
			continue; /* kept needs one descriptor, port two */
		kind = type->fields[i].descriptor;
		ck_assert_uint_le(kind->sizeof_message, sizeof(body));
		protobuf_c_message_init(kind, body);
		frame.body_case = (Bridge__Frame__BodyCase)type->fields[i].id;
		frame.hello = (Bridge__Hello *)(void *)body;
		for (size_t k = 0; k < sizeof(ids) / sizeof(*ids); k++) {
			frame.id = ids[k];
			frame.error = 0;
			frame.why = none;
			check_both_ways(&frame);
			frame.error = -5;
			check_both_ways(&frame);
			frame.why = why;
			check_both_ways(&frame);
		}
		bodies++;
	}
	ck_assert_uint_ge(bodies, 27);
}
END_TEST

/* shapes of the envelope that only protobuf-c reads, or nobody */
START_TEST(test_other_shapes)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
		int r;
	} cases[] = {
		{ { 0x08, 7, 0xd2, 1, 0, 0x08, 9 }, 7, 0 },	  /* id again, after the body */
		{ { 0xd2, 1, 0, 0x08, 7 }, 5, 0 },		  /* id after the body */
		{ { 0x08, 0x87, 0x80, 0x00, 0xd2, 1, 0 }, 7, 0 }, /* a long way of writing 7 */
		{ { 0x08, 7, 0xd2, 1, 1 }, 5, -EPROTO },	  /* a body that is not there */
		{ { 0x08, 7, 0xd2, 1, 1, 0xff }, 6, -EPROTO },	  /* no body */
		{ { 0x08, 7, 0xd2, 1, 0, 0xff }, 6, -EPROTO },	  /* half a tag after it */
		{ { 0x08, 7, 0xfa, 7, 0 }, 5, 0 },		  /* of a later version */
		{ { 0x08, 0xff }, 2, -EPROTO },			  /* half an id */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bridge_frame *frame = NULL, *theirs;
		int r = bridge_wire_unpack(cases[i].bytes, cases[i].len, 0, &frame);

		theirs = bridge__frame__unpack(NULL, cases[i].len, cases[i].bytes);
		ck_assert_msg(r == cases[i].r, "case %zu: %d", i, r);
		ck_assert_int_eq(theirs != NULL, r == 0);
		if (theirs) {
			ck_assert_uint_eq(frame->id, theirs->id);
			ck_assert_int_eq(frame->body_case, theirs->body_case);
			bridge__frame__free_unpacked(theirs, NULL);
		}
		bridge_wire_free(frame);
	}
}
END_TEST

START_TEST(test_plain_too_small)
{
	Bridge__DomainWatch watch = BRIDGE__DOMAIN_WATCH__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	uint8_t buf[32];

	frame.id = UINT32_MAX;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_WATCH;
	frame.domain_watch = &watch;
	for (size_t size = 0; size < bridge__frame__get_packed_size(&frame); size++)
		ck_assert_int_eq(bridge_wire_pack(&frame, buf, size), -EMSGSIZE);
}
END_TEST

UNIT_MAIN("bridge-wire", test_round_trip, test_as_protobuf_c, test_other_shapes,
	  test_plain_too_small, test_bad_regions, test_name_limit, test_garbage,
	  test_pack_too_small)
