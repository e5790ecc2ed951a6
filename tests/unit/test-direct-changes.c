/* SPDX-License-Identifier: MIT */
/*
 * A guest that changes its grant entry in the one moment in which it matters: between our look at the word
 * and our compare-and-swap. direct.c is compiled here with a compare-and-swap in front of which the guest
 * has its turn.
 */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/xen.h"

static unsigned int changes; /* so often it is faster */

static bool swap_after_guest(_Atomic uint32_t *word, uint32_t *old, uint32_t new)
{
	if (changes) {
		changes--;
		atomic_fetch_xor(word, GTF_PWT);
	}
	return atomic_compare_exchange_strong(word, old, new);
}

#undef atomic_compare_exchange_strong
#define atomic_compare_exchange_strong(word, old, new) swap_after_guest(word, old, new)
#include "libxenhost/direct.c"

#include "libxenhost/transport_fake.h"
#include "tests/support/unit.h"

#define RW (XENHOST_READ | XENHOST_WRITE)

static xenhost_t *host;
static struct fake_domain *guest;

static void setup(void)
{
	ck_assert_int_eq(xenhost_open("fake:,domid=32000", 0, &host), 0);
	ck_assert_int_eq(fake_domain_new(host, 1, 4, &guest), 0);
	fake_grant(guest, 8, 0, 32000, false);
}

static void teardown(void)
{
	xenhost_close(host);
}

START_TEST(gives_up)
{
	struct xenhost_page page = { 0 };
	xenhost_map_t *map = NULL;
	const uint32_t gref = 8;

	changes = ENTRY_TRIES;
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 8, RW, &page), -EAGAIN);
	ck_assert_ptr_null(page.addr);
	changes = ENTRY_TRIES;
	ck_assert_int_eq(xenhost_map_grants(host, 1, &gref, 1, RW, &map), -EAGAIN);
	ck_assert_ptr_null(map);
	ck_assert_int_eq(fake_revoke(guest, 8), 0); /* nothing is held */
}
END_TEST

START_TEST(bears_some)
{
	struct xenhost_page page;

	changes = ENTRY_TRIES - 1;
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 8, RW, &page), 0);
	ck_assert_uint_eq(changes, 0);
	ck_assert_int_eq(fake_revoke(guest, 8), -EBUSY);
	ck_assert_int_eq(xenhost_put_gref(host, &page), 0);
	ck_assert_int_eq(fake_revoke(guest, 8), 0);
}
END_TEST

UNIT_MAIN_WITH("direct-changes", setup, teardown, gives_up, bears_some)
