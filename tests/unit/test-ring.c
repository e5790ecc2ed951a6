/* SPDX-License-Identifier: MIT */
/* The ring, with a front end that is played here: it fills slots and moves indices as it likes. */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/ring.h>

#include "tests/support/unit.h"

#define PAGE 4096
#define SIZE 32 /* of one page with 112-byte slots */

struct req {
	uint8_t bytes[112];
};

struct rsp {
	uint8_t bytes[16];
};

struct page {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t pad[48];
	uint8_t slots[PAGE - 64];
};

static struct page *page;
static struct xenhost_ring ring;

static void setup(void)
{
	page = aligned_alloc(PAGE, PAGE);
	ck_assert_ptr_nonnull(page);
	memset(page, 0, PAGE);
	page->req_event = page->rsp_event = 1;
}

static void teardown(void)
{
	free(page);
}

static void start_at(uint32_t index)
{
	page->req_prod = page->rsp_prod = index;
	page->req_event = page->rsp_event = index + 1;
	ck_assert_int_eq(xenhost_ring_init(&ring, page, 1, sizeof(struct req), sizeof(struct rsp)),
			 0);
}

static uint8_t *slot(uint32_t index)
{
	return page->slots + (index % SIZE) * sizeof(struct req);
}

/* the front end puts n requests whose first bytes are their index */
static void produce(uint32_t n)
{
	while (n--) {
		memcpy(slot(page->req_prod), &page->req_prod, 4);
		page->req_prod++;
	}
}

static void answer(uint32_t n)
{
	struct rsp rsp = { { 0 } };

	while (n--) {
		memcpy(rsp.bytes, &ring.rsp_prod_pvt, 4);
		ck_assert_int_eq(xenhost_ring_put(&ring, &rsp), 0);
	}
}

static void take(uint32_t n)
{
	struct req req;

	while (n--)
		ck_assert_int_eq(xenhost_ring_get(&ring, &req), 1);
}

START_TEST(sizes)
{
	struct xenhost_ring r = { .size = 77 };
	/* request, response, pages, slots: block (both ABIs), network rx and tx, control */
	static const size_t table[][4] = {
		{ 112, 16, 1, 32 }, { 108, 12, 1, 32 }, { 112, 16, 16, 512 }, { 8, 8, 1, 256 },
		{ 12, 4, 1, 256 },  { 16, 16, 1, 128 }, { 4, 16, 1, 128 },    { 2017, 1, 1, 1 },
	};
	uint8_t *pages = aligned_alloc(PAGE, 16 * PAGE);

	memset(pages, 0, 16 * PAGE);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		ck_assert_int_eq(
			xenhost_ring_init(&r, pages, table[i][2], table[i][0], table[i][1]), 0);
		ck_assert_uint_eq(r.size, table[i][3]);
	}
	free(pages);
}
END_TEST

START_TEST(bad_arguments)
{
	struct xenhost_ring r = { .size = 77 };

	ck_assert_int_eq(xenhost_ring_init(NULL, page, 1, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, NULL, 1, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, (char *)page + 1, 1, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 0, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 3, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 256, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 0, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 8, 0), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 4033, 8), -EINVAL);
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 8, SIZE_MAX), -EINVAL);
	ck_assert_uint_eq(r.size, 77);
}
END_TEST

START_TEST(takes_and_answers)
{
	struct req req;

	start_at(0);
	ck_assert_int_eq(xenhost_ring_get(&ring, &req), 0);
	produce(3);
	ck_assert_int_eq(xenhost_ring_pending(&ring), 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_int_eq(xenhost_ring_get(&ring, &req), 1);
		ck_assert_mem_eq(req.bytes, &i, 4);
	}
	ck_assert_int_eq(xenhost_ring_get(&ring, &req), 0);
	answer(2);
	ck_assert_uint_eq(page->rsp_prod, 0); /* not before the push */
	xenhost_ring_push(&ring);
	ck_assert_uint_eq(page->rsp_prod, 2);
	ck_assert_uint_eq(*(uint32_t *)(void *)slot(1), 1);
}
END_TEST

START_TEST(peeks_then_skips)
{
	struct req req;
	uint32_t two = 2;

	start_at(0);
	produce(3);
	ck_assert_int_eq(xenhost_ring_peek(&ring, 2, &req), 1);
	ck_assert_mem_eq(req.bytes, &two, 4);
	ck_assert_int_eq(xenhost_ring_peek(&ring, 3, &req), 0);
	ck_assert_int_eq(xenhost_ring_peek(&ring, UINT32_MAX, &req), 0);
	ck_assert_int_eq(xenhost_ring_pending(&ring), 3);
	xenhost_ring_skip(&ring, 2);
	ck_assert_int_eq(xenhost_ring_get(&ring, &req), 1);
	ck_assert_mem_eq(req.bytes, &two, 4);
}
END_TEST

START_TEST(no_answer_without_request)
{
	struct rsp rsp = { { 0 } };

	start_at(0);
	ck_assert_int_eq(xenhost_ring_put(&ring, &rsp), -ENOSPC);
	produce(1);
	ck_assert_int_eq(xenhost_ring_put(&ring, &rsp), -ENOSPC); /* published is not taken */
	take(1);
	ck_assert_int_eq(xenhost_ring_put(&ring, &rsp), 0);
	ck_assert_int_eq(xenhost_ring_put(&ring, &rsp), -ENOSPC);
}
END_TEST

/* a front end may start anywhere, and indices wrap */
START_TEST(wraps)
{
	struct req req;

	start_at(UINT32_MAX - 40);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t want = UINT32_MAX - 40 + i;

		produce(1);
		ck_assert_int_eq(xenhost_ring_get(&ring, &req), 1);
		ck_assert_mem_eq(req.bytes, &want, 4);
		answer(1);
		page->rsp_event = want + 1;
		ck_assert_int_eq(xenhost_ring_push(&ring), 1);
		ck_assert_int_eq(xenhost_ring_arm(&ring, 1), 0);
		ck_assert_uint_eq(page->req_event, want + 2);
	}
	ck_assert_uint_eq(page->rsp_prod, 59);
}
END_TEST

/* a successor goes on where the responses stand: what was asked and not answered comes again */
START_TEST(resumes)
{
	struct req req;
	uint32_t want = 1003;

	page->req_prod = 1005;
	page->rsp_prod = 1003;
	memcpy(slot(1003), &want, 4);
	ck_assert_int_eq(xenhost_ring_init(&ring, page, 1, sizeof(struct req), sizeof(struct rsp)),
			 0);
	ck_assert_int_eq(xenhost_ring_pending(&ring), 2);
	ck_assert_int_eq(xenhost_ring_get(&ring, &req), 1);
	ck_assert_mem_eq(req.bytes, &want, 4);
}
END_TEST

/* the predecessor had taken three requests and answered one */
START_TEST(resumes_with_debts)
{
	struct xenhost_ring r;
	struct rsp rsp = { { 0 } };
	struct req req;

	start_at(0);
	produce(4);
	take(3);
	answer(1);
	xenhost_ring_push(&ring);

	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, sizeof(struct req), sizeof(struct rsp)), 0);
	ck_assert_int_eq(xenhost_ring_resume(&r, 5), -EPROTO);
	ck_assert_int_eq(xenhost_ring_resume(&r, 0), -EPROTO);
	ck_assert_int_eq(xenhost_ring_resume(&r, r.rsp_prod + r.size + 1), -EPROTO);
	ck_assert_int_eq(xenhost_ring_resume(NULL, 3), -EINVAL);
	ck_assert_int_eq(xenhost_ring_resume(&r, 3), 0);
	ck_assert_int_eq(xenhost_ring_resume(&r, 3), -EINVAL);
	ck_assert_int_eq(xenhost_ring_pending(&r), 1);
	ck_assert_int_eq(xenhost_ring_put(&r, &rsp), 0);
	ck_assert_int_eq(xenhost_ring_put(&r, &rsp), 0);
	ck_assert_int_eq(xenhost_ring_put(&r, &rsp), -ENOSPC);
	ck_assert_int_eq(xenhost_ring_get(&r, &req), 1);
}
END_TEST

START_TEST(impossible_at_init)
{
	struct xenhost_ring r = { .size = 77 };

	page->rsp_prod = 5;
	page->req_prod = 5 + SIZE + 1;
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 112, 16), -EPROTO);
	page->req_prod = 4;
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 112, 16), -EPROTO);
	ck_assert_uint_eq(r.size, 77);
	page->req_prod = 5 + SIZE;
	ck_assert_int_eq(xenhost_ring_init(&r, page, 1, 112, 16), 0);
}
END_TEST

static void assert_broken(void)
{
	struct req req;

	memset(&req, 0x5a, sizeof(req));
	ck_assert_int_eq(xenhost_ring_pending(&ring), -EPROTO);
	ck_assert_int_eq(xenhost_ring_get(&ring, &req), -EPROTO);
	ck_assert_int_eq(xenhost_ring_peek(&ring, 0, &req), -EPROTO);
	ck_assert_int_eq(xenhost_ring_arm(&ring, 1), -EPROTO);
	ck_assert_uint_eq(req.bytes[0], 0x5a);
}

START_TEST(impossible_producer)
{
	start_at(7);
	produce(4);
	take(4);
	page->req_prod = 10; /* backwards, behind what was taken */
	assert_broken();
	page->req_prod = 7 + SIZE + 1; /* over requests that are not answered yet */
	assert_broken();
	page->req_prod = 11 + SIZE;
	assert_broken();
	page->req_prod = 11 + 0x80000000;
	assert_broken();
	page->req_prod = 7 + SIZE; /* full is fine */
	ck_assert_int_eq(xenhost_ring_pending(&ring), SIZE - 4);
	answer(2);
	page->req_prod = 9 + SIZE; /* it cannot know of answers that are not published */
	assert_broken();
	xenhost_ring_push(&ring);
	ck_assert_int_eq(xenhost_ring_pending(&ring), SIZE - 2);
	page->req_prod = 10 + SIZE;
	assert_broken();
}
END_TEST

/* our indices are our own: what the front end writes there after init does not matter */
START_TEST(own_indices_are_private)
{
	start_at(0);
	produce(2);
	take(1);
	page->rsp_prod = 0xdeadbeef;
	page->req_event = 0xdeadbeef;
	ck_assert_int_eq(xenhost_ring_pending(&ring), 1);
	answer(1);
	xenhost_ring_push(&ring);
	ck_assert_uint_eq(page->rsp_prod, 1);
}
END_TEST

/* old, new response producer, rsp_event: is an event wanted? */
START_TEST(event_rule)
{
	static const struct {
		uint32_t old, new, event;
		int want;
	} table[] = {
		{ 0, 1, 1, 1 },
		{ 0, 1, 2, 0 },
		{ 0, 1, 0, 0 },
		{ 0, 5, 1, 1 },
		{ 0, 5, 5, 1 },
		{ 0, 5, 6, 0 },
		{ 0, 0, 0, 0 },
		{ 0, 0, 1, 0 },
		{ UINT32_MAX, 1, 0, 1 },
		{ UINT32_MAX, 1, 1, 1 },
		{ UINT32_MAX, 1, 2, 0 },
		{ UINT32_MAX - 1, UINT32_MAX, UINT32_MAX, 1 },
		{ UINT32_MAX, 1, UINT32_MAX, 0 },
		{ 0, 3, 0x80000000, 0 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		start_at(table[i].old);
		produce(table[i].new - table[i].old);
		take(table[i].new - table[i].old);
		answer(table[i].new - table[i].old);
		page->rsp_event = table[i].event;
		ck_assert_msg(xenhost_ring_push(&ring) == table[i].want, "line %zu", i);
		ck_assert_uint_eq(page->rsp_prod, table[i].new);
	}
}
END_TEST

START_TEST(one_event_per_batch)
{
	start_at(0);
	produce(3);
	take(3);
	answer(3);
	ck_assert_int_eq(xenhost_ring_push(&ring), 1);
	ck_assert_int_eq(xenhost_ring_push(&ring), 0);
}
END_TEST

START_TEST(arms)
{
	start_at(100);
	ck_assert_int_eq(xenhost_ring_arm(&ring, 1), 0);
	ck_assert_uint_eq(page->req_event, 101);
	ck_assert_int_eq(xenhost_ring_arm(&ring, 0), 0);
	ck_assert_uint_eq(page->req_event, 101);
	ck_assert_int_eq(xenhost_ring_arm(&ring, 8), 0);
	ck_assert_uint_eq(page->req_event, 108);
	/* an event further away than the ring is long would never come */
	ck_assert_int_eq(xenhost_ring_arm(&ring, 1000), 0);
	ck_assert_uint_eq(page->req_event, 100 + SIZE);
	produce(1);
	ck_assert_int_eq(xenhost_ring_arm(&ring, 1), 1);
}
END_TEST

static void *two_pages(void)
{
	void *pages = aligned_alloc(4096, 8192);

	ck_assert_ptr_nonnull(pages);
	return pages;
}

/* both halves of the library against each other, round and round */
START_TEST(front_and_back)
{
	void *pages = two_pages();
	struct xenhost_front_ring front;
	struct xenhost_ring back;
	uint64_t req[2], rsp;

	memset(pages, 0xff, 8192);
	ck_assert_int_eq(xenhost_front_ring_init(&front, pages, 2, 16, 8), 0);
	ck_assert_int_eq(xenhost_ring_init(&back, pages, 2, 16, 8), 0);
	ck_assert_uint_eq(front.size, 256);
	ck_assert_uint_eq(back.size, 256);
	for (uint64_t round = 0; round < 1000; round++) {
		uint64_t n = round % 256 + 1;

		ck_assert_int_eq(xenhost_ring_arm(&back, 1), 0);
		for (uint64_t i = 0; i < n; i++)
			memcpy(xenhost_front_ring_next(&front), (uint64_t[]){ round, i }, 16);
		ck_assert_uint_eq(xenhost_front_ring_free(&front), 256 - n);
		if (n == 256)
			ck_assert_ptr_null(xenhost_front_ring_next(&front));
		ck_assert_int_eq(xenhost_ring_get(&back, req), 0); /* not published */
		ck_assert_int_eq(xenhost_front_ring_push(&front), 1);
		ck_assert_int_eq(xenhost_front_ring_arm(&front), 0);
		for (uint64_t i = 0; i < n; i++) {
			ck_assert_int_eq(xenhost_ring_get(&back, req), 1);
			ck_assert(req[0] == round && req[1] == i);
			rsp = i * 3;
			ck_assert_int_eq(xenhost_ring_put(&back, &rsp), 0);
		}
		ck_assert_int_eq(xenhost_front_ring_get(&front, &rsp), 0);
		ck_assert_int_eq(xenhost_ring_push(&back), 1);
		ck_assert_int_eq(xenhost_front_ring_arm(&front), 1);
		for (uint64_t i = 0; i < n; i++) {
			ck_assert_int_eq(xenhost_front_ring_get(&front, &rsp), 1);
			ck_assert_uint_eq(rsp, i * 3);
		}
		ck_assert_int_eq(xenhost_front_ring_get(&front, &rsp), 0);
	}
	/* nobody asked for an event */
	ck_assert_ptr_nonnull(xenhost_front_ring_next(&front));
	ck_assert_int_eq(xenhost_front_ring_push(&front), 0);
	free(pages);
}
END_TEST

/* a back end that answers what was not asked */
START_TEST(front_refuses)
{
	uint32_t *pages = two_pages(), rsp[2];
	struct xenhost_front_ring front;

	ck_assert_int_eq(xenhost_front_ring_init(NULL, pages, 1, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_front_ring_init(&front, pages, 3, 8, 8), -EINVAL);
	ck_assert_int_eq(xenhost_front_ring_init(&front, pages, 1, 8, 0), -EINVAL);
	ck_assert_int_eq(xenhost_front_ring_init(&front, pages, 1, 8, 8), 0);
	pages[2] = 1;
	ck_assert_int_eq(xenhost_front_ring_get(&front, rsp), -EPROTO);
	/* asked, but not published */
	ck_assert_ptr_nonnull(xenhost_front_ring_next(&front));
	ck_assert_int_eq(xenhost_front_ring_get(&front, rsp), -EPROTO);
	xenhost_front_ring_push(&front);
	ck_assert_int_eq(xenhost_front_ring_get(&front, rsp), 1);
	pages[2] = 0; /* backwards */
	ck_assert_int_eq(xenhost_front_ring_get(&front, rsp), -EPROTO);
	ck_assert_int_eq(xenhost_front_ring_arm(&front), -EPROTO);
	free(pages);
}
END_TEST

UNIT_MAIN_WITH("ring", setup, teardown, sizes, bad_arguments, takes_and_answers, peeks_then_skips,
	       no_answer_without_request, wraps, resumes, resumes_with_debts, impossible_at_init,
	       impossible_producer, own_indices_are_private, event_rule, one_event_per_batch, arms,
	       front_and_back, front_refuses)
