/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"
#include "common/xen.h"

/*
 * protobuf-c looks at each of a frame's 35 fields four times from call to answer, which cost more than all that
 * bridged does about a small request. So the envelope that nearly all frames have - id, if it is not 0, then one
 * body that ends with the frame, no error and nothing unknown - is written and read here; the body is protobuf-c's,
 * and so is every frame of another shape. tests/unit/test-bridge-wire and the fuzzer compare both ways.
 */
#define WIRE_VARINT 0u
#define WIRE_BYTES 2u
#define TAG_ID (1u << 3 | WIRE_VARINT)

/* of id, tag, length */
#define ENVELOPE_MAX (1 + 5 + 5 + 5)

struct reader {
	const uint8_t *at, *end;
};

/* at most 32 bits; false: longer, or not there */
static bool take_varint(struct reader *r, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (unsigned int shift = 0; shift < 28 && r->at < r->end; shift += 7) {
		uint8_t byte = *r->at++;

		value |= (uint32_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static uint8_t *put_varint(uint8_t *at, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

/* NULL: protobuf-c shall look at it */
static const ProtobufCMessageDescriptor *body_of(uint32_t number)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&bridge__frame__descriptor, number);

	return field && field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

static bool is_plain(const bridge_frame *frame)
{
	return frame->body_case != BRIDGE__FRAME__BODY__NOT_SET && !frame->error && !*frame->why &&
	       !frame->base.n_unknown_fields;
}

void bridge_wire_free(bridge_frame *frame)
{
	if (!frame)
		return;
	if (is_plain(frame) && frame->why == protobuf_c_empty_string) {
		protobuf_c_message_free_unpacked(&frame->hello->base, NULL);
		free(frame);
	} else {
		bridge__frame__free_unpacked(frame, NULL);
	}
}

void bridge_wire_freep(bridge_frame **frame)
{
	bridge_wire_free(*frame);
}

static int check_region(const Bridge__Region *r, size_t nr_fds)
{
	if (r->fd >= nr_fds)
		return -EINVAL;
	if (r->kind < BRIDGE__REGION_KIND__RAM || r->kind > BRIDGE__REGION_KIND__CONSOLE_RING)
		return -EINVAL;
	if ((r->gpa | r->size | r->offset) % XEN_PAGE_SIZE || r->size == 0)
		return -EINVAL;
	/* far below the wrap of off_t, so that sums need no further check */
	if (r->gpa > 1ULL << 52 || r->size > 1ULL << 52 || r->offset > 1ULL << 52)
		return -EINVAL;
	return 0;
}

static int check_regions(Bridge__Region *const *regions, size_t n, size_t nr_fds)
{
	int r = 0;

	if (n > BRIDGE_REGIONS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n && r == 0; i++)
		r = check_region(regions[i], nr_fds);
	return r;
}

static int check_name(const char *name)
{
	return strnlen(name, BRIDGE_NAME_MAX) < BRIDGE_NAME_MAX ? 0 : -EINVAL;
}

static int check_frame(const bridge_frame *f, size_t nr_fds)
{
	switch (f->body_case) {
	case BRIDGE__FRAME__BODY_HELLO:
		return check_name(f->hello->client);
	case BRIDGE__FRAME__BODY_DOMAIN_CREATE:
		if (check_name(f->domain_create->name) < 0)
			return -EINVAL;
		return check_regions(f->domain_create->regions, f->domain_create->n_regions,
				     nr_fds);
	case BRIDGE__FRAME__BODY_ATTACHED:
		return check_regions(f->attached->regions, f->attached->n_regions, nr_fds);
	case BRIDGE__FRAME__BODY_DOMAIN_QUERY:
		return check_name(f->domain_query->name);
	case BRIDGE__FRAME__BODY_DOMAIN_INFO:
		return check_name(f->domain_info->name);
	case BRIDGE__FRAME__BODY_PORT:
		return nr_fds == 2 ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_KEEP:
		return check_name(f->keep->name);
	case BRIDGE__FRAME__BODY_GRANT_LIST:
		return f->grant_list->n_grants <= BRIDGE_GRANT_LIST_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_HYPERCALL:
		return f->hypercall->n_args <= BRIDGE_VALUES_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_HYPERCALL_RESULT:
		return f->hypercall_result->n_results <= BRIDGE_VALUES_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_PORT_LIST:
		return f->port_list->n_ports <= BRIDGE_PORT_LIST_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_KEPT:
		return nr_fds == 1 ? 0 : -EINVAL;
	default:
		return 0;
	}
}

/* NULL with *ret_plain: no memory, or its body is none */
static bridge_frame *unpack_plain(const uint8_t *buf, size_t len, bool *ret_plain)
{
	struct reader r = { buf, buf + len };
	const ProtobufCMessageDescriptor *type;
	uint32_t id = 0, tag, size;
	bridge_frame *frame;

	if (len && *buf == TAG_ID) {
		r.at++;
		if (!take_varint(&r, &id))
			return NULL;
	}
	if (!take_varint(&r, &tag) || tag % 8 != WIRE_BYTES || !take_varint(&r, &size) ||
	    size != (size_t)(r.end - r.at))
		return NULL;
	type = body_of(tag / 8);
	if (!type)
		return NULL;
	*ret_plain = true;
	frame = malloc(sizeof(*frame));
	if (!frame)
		return NULL;
	bridge__frame__init(frame);
	frame->id = id;
	frame->body_case = (Bridge__Frame__BodyCase)(tag / 8);
	/* bodies are messages all of them: each begins with a ProtobufCMessage */
	frame->hello = (Bridge__Hello *)protobuf_c_message_unpack(type, NULL, size, r.at);
	if (frame->hello)
		return frame;
	free(frame);
	return NULL;
}

static bridge_frame *unpack(const uint8_t *buf, size_t len)
{
	bool plain = false;
	bridge_frame *frame = unpack_plain(buf, len, &plain);

	return plain ? frame : bridge__frame__unpack(NULL, len, buf);
}

int bridge_wire_unpack(const uint8_t *buf, size_t len, size_t nr_fds, bridge_frame **ret_frame)
{
	bridge_frame *frame;
	int r;

	if (len > BRIDGE_MESSAGE_MAX)
		return -EMSGSIZE;
	frame = unpack(buf, len);
	if (!frame)
		return -EPROTO;
	r = check_frame(frame, nr_fds);
	if (r < 0) {
		bridge_wire_free(frame);
		return r;
	}
	*ret_frame = frame;
	return 0;
}

/* -EMSGSIZE: perhaps; the envelope may be shorter than its longest */
static long pack_plain(const bridge_frame *frame, uint8_t *buf, size_t size)
{
	const ProtobufCMessage *body = &frame->hello->base;
	const size_t len = protobuf_c_message_get_packed_size(body);
	uint8_t *at = buf;

	if (len > size || size - len < ENVELOPE_MAX)
		return -EMSGSIZE;
	if (frame->id) {
		*at++ = TAG_ID;
		at = put_varint(at, frame->id);
	}
	at = put_varint(at, (uint32_t)frame->body_case << 3 | WIRE_BYTES);
	at = put_varint(at, (uint32_t)len);
	return at - buf + (long)protobuf_c_message_pack(body, at);
}

long bridge_wire_pack(const bridge_frame *frame, uint8_t *buf, size_t size)
{
	long n = is_plain(frame) ? pack_plain(frame, buf, size) : -EMSGSIZE;

	if (n >= 0)
		return n;
	if (bridge__frame__get_packed_size(frame) > size)
		return -EMSGSIZE;
	return (long)bridge__frame__pack(frame, buf);
}
