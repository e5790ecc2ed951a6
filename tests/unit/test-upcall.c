/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "common/xen.h"
#include "hypercall-bridge/guest/upcall.h"
#include "tests/support/unit.h"

static union {
	struct shared_info wide;
	uint8_t bytes[4096];
} si;
static struct vcpu_info vi;

static void setup(void)
{
	memset(&si, 0, sizeof(si));
	memset(&vi, 0, sizeof(vi));
}

static void teardown(void)
{
}

START_TEST(raise_sets_all_three)
{
	ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, 70), 1);
	ck_assert_uint_eq(si.wide.evtchn_pending[1], 1ul << 6);
	ck_assert_uint_eq(vi.evtchn_pending_sel, 1ul << 1);
	ck_assert_uint_eq(vi.evtchn_upcall_pending, 1);
}
END_TEST

START_TEST(raise_once)
{
	upcall_raise(&upcall_layout_64, &si, &vi, 70);
	ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, 70), 0);
	/* another of the same word: the selector bit is set already */
	ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, 71), 0);
	ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, 1), 1);
	ck_assert_uint_eq(si.wide.evtchn_pending[1], 3ul << 6);
	ck_assert_uint_eq(vi.evtchn_pending_sel, 3);
}
END_TEST

START_TEST(raise_masked)
{
	si.wide.evtchn_mask[0] = 1ul << 5;
	ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, 5), 0);
	ck_assert(upcall_is_pending(&upcall_layout_64, &si, 5));
	ck_assert_uint_eq(vi.evtchn_pending_sel, 0);
	ck_assert_uint_eq(vi.evtchn_upcall_pending, 0);
}
END_TEST

START_TEST(unmask_without_event)
{
	si.wide.evtchn_mask[0] = 3ul << 5;
	ck_assert_int_eq(upcall_unmask(&upcall_layout_64, &si, 5), 0);
	ck_assert_uint_eq(si.wide.evtchn_mask[0], 1ul << 6);
}
END_TEST

/* what was raised while masked is delivered after the unmask, once */
START_TEST(unmask_with_event)
{
	si.wide.evtchn_mask[63] = 1ul << 63;
	upcall_raise(&upcall_layout_64, &si, &vi, 4095);
	ck_assert_int_eq(upcall_unmask(&upcall_layout_64, &si, 4095), 1);
	ck_assert(!upcall_is_masked(&upcall_layout_64, &si, 4095));
	ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, 4095), 1);
	ck_assert_uint_eq(vi.evtchn_pending_sel, 1ul << 63);
	ck_assert_int_eq(upcall_clear(&upcall_layout_64, &si, 4095), 1);
	ck_assert_int_eq(upcall_unmask(&upcall_layout_64, &si, 4095), 0);
}
END_TEST

START_TEST(limits)
{
	static const uint8_t zero[sizeof(si)];
	static const uint32_t bad[] = { 0, 4096, UINT32_MAX };

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(upcall_raise(&upcall_layout_64, &si, &vi, bad[i]), -EINVAL);
		ck_assert_int_eq(upcall_unmask(&upcall_layout_64, &si, bad[i]), -EINVAL);
		ck_assert_int_eq(upcall_clear(&upcall_layout_64, &si, bad[i]), -EINVAL);
		ck_assert(!upcall_is_pending(&upcall_layout_64, &si, bad[i]));
	}
	ck_assert_int_eq(upcall_raise(&upcall_layout_32, &si, &vi, 1024), -EINVAL);
	ck_assert_mem_eq(&si, zero, sizeof(si));
}
END_TEST

START_TEST(layout_of_32_bit)
{
	uint8_t *info = (uint8_t *)&vi;

	ck_assert_int_eq(upcall_raise(&upcall_layout_32, &si, &vi, 1023), 1);
	ck_assert_uint_eq(si.bytes[0x800 + 127], 0x80);
	ck_assert_uint_eq(info[0], 1);
	ck_assert_uint_eq(info[4 + 3], 0x80);
	si.bytes[0x880] = 2;
	ck_assert(upcall_is_masked(&upcall_layout_32, &si, 1));
}
END_TEST

START_TEST(merge)
{
	struct vcpu_info new_info = { .evtchn_pending_sel = 1 };

	vi.evtchn_pending_sel = 0x8000000000000002;
	vi.evtchn_upcall_pending = 1;
	upcall_merge(&upcall_layout_64, &vi, &new_info);
	ck_assert_uint_eq(new_info.evtchn_pending_sel, 0x8000000000000003);
	ck_assert_uint_eq(new_info.evtchn_upcall_pending, 1);
}
END_TEST

#define ROUNDS 200000

static void *sender(void *data)
{
	for (int i = 0; i < ROUNDS; i++)
		upcall_raise(&upcall_layout_64, &si, &vi, 9);
	return NULL;
}

/* Whatever the interleaving, an unmasked pending event ends with its selector bit set. */
START_TEST(no_lost_event)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, sender, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		__atomic_fetch_or(&si.wide.evtchn_mask[0], 1ul << 9, __ATOMIC_SEQ_CST);
		__atomic_store_n(&vi.evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
		if (upcall_unmask(&upcall_layout_64, &si, 9) == 1)
			upcall_raise(&upcall_layout_64, &si, &vi, 9);
		else
			continue;
		/* the sender may be the one who sets it: a lost one is seen by the time limit */
		while (__atomic_load_n(&vi.evtchn_pending_sel, __ATOMIC_SEQ_CST) != 1)
			;
		upcall_clear(&upcall_layout_64, &si, 9);
	}
	pthread_join(thread, NULL);
}
END_TEST

UNIT_MAIN_WITH("upcall", setup, teardown, raise_sets_all_three, raise_once, raise_masked,
	       unmask_without_event, unmask_with_event, limits, layout_of_32_bit, merge,
	       no_lost_event)
