/* SPDX-License-Identifier: MIT */
/* who may send what, and the list of multicast addresses */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"

#include "netbackd/mcast.h"
#include "netbackd/net_filter.h"

static const uint8_t own[6] = { 0, 0x16, 0x3e, 0xab, 0xcd, 0xef };

START_TEST(mac_text)
{
	static const char *const bad[] = { "",
					   "00:16:3e:ab:cd",
					   "00:16:3e:ab:cd:ef:",
					   "00:16:3e:ab:cd:e",
					   "00-16-3e-ab-cd-ef",
					   "00:16:3e:ab:cd:eg",
					   "01:16:3e:ab:cd:ef",
					   " 0:16:3e:ab:cd:ef" };
	uint8_t mac[6] = { 9, 9, 9, 9, 9, 9 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(net_mac_parse(bad[i], mac), -EINVAL);
	ck_assert_uint_eq(mac[0], 9);
	ck_assert_int_eq(net_mac_parse("00:16:3e:Ab:cD:ef", mac), 0);
	ck_assert_mem_eq(mac, own, 6);
}
END_TEST

START_TEST(source)
{
	uint8_t f[60] = { 0 };

	memcpy(f + 6, own, 6);
	f[12] = 8;
	ck_assert(net_source_is(f, sizeof(f), own));
	ck_assert(!net_source_is(f, 13, own));
	f[11] ^= 1;
	ck_assert(!net_source_is(f, sizeof(f), own));
	f[11] ^= 1;
	/* ARP says it once more */
	f[13] = 6;
	f[18] = 6;
	ck_assert(!net_source_is(f, sizeof(f), own));
	memcpy(f + 22, own, 6);
	ck_assert(net_source_is(f, sizeof(f), own));
	ck_assert(net_source_is(f, 28, own));
	ck_assert(!net_source_is(f, 27, own));
	f[18] = 5;
	ck_assert(!net_source_is(f, sizeof(f), own));
}
END_TEST

START_TEST(address_text)
{
	static const char *const bad[] = {
		"192.0.2", "192.0.2.1 x", "::1::", "192.0.2.1/24",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111"
	};
	char many[NET_ADDRESSES_MAX * 8 + 8] = "";
	struct net_addresses a;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(net_addresses_parse(bad[i], &a), -EINVAL);
		ck_assert_uint_eq(a.nr4 + a.nr6, 0);
	}
	ck_assert_int_eq(net_addresses_parse("", &a), 0);
	ck_assert_uint_eq(a.nr4 + a.nr6, 0);
	ck_assert_int_eq(net_addresses_parse(" 192.0.2.1,2001:db8::5  192.0.2.9\n", &a), 0);
	ck_assert_uint_eq(a.nr4, 2);
	ck_assert_uint_eq(a.nr6, 1);
	ck_assert_mem_eq(a.v4[1], "\xc0\x00\x02\x09", 4);
	ck_assert_uint_eq(a.v6[0][15], 5);
	for (unsigned int i = 0; i < NET_ADDRESSES_MAX; i++)
		strcat(many, "1.2.3.4 ");
	ck_assert_int_eq(net_addresses_parse(many, &a), 0);
	strcat(many, "1.2.3.4");
	ck_assert_int_eq(net_addresses_parse(many, &a), -EINVAL);
}
END_TEST

START_TEST(addresses)
{
	uint8_t f[100] = { 0 };
	struct net_addresses a;

	ck_assert_int_eq(net_addresses_parse("192.0.2.1 2001:db8::5", &a), 0);
	/* IPv4, from .1, from .2, from nobody */
	f[12] = 8;
	memcpy(f + 26, "\xc0\x00\x02\x01", 4);
	ck_assert(net_address_is(f, sizeof(f), &a));
	ck_assert(net_address_is(f, 30, &a));
	ck_assert(!net_address_is(f, 29, &a));
	ck_assert(!net_address_is(f, 13, &a));
	f[29] = 2;
	ck_assert(!net_address_is(f, sizeof(f), &a));
	memset(f + 26, 0, 4);
	ck_assert(net_address_is(f, sizeof(f), &a));
	/* ARP */
	f[13] = 6;
	ck_assert(net_address_is(f, 32, &a));
	ck_assert(!net_address_is(f, 31, &a));
	memcpy(f + 28, "\xc0\x00\x02\x01", 4);
	ck_assert(net_address_is(f, sizeof(f), &a));
	f[31] = 2;
	ck_assert(!net_address_is(f, sizeof(f), &a));
	/* a VLAN's, and what is not known */
	f[12] = 0x81;
	f[13] = 0;
	ck_assert(!net_address_is(f, sizeof(f), &a));
	f[12] = 0x88;
	ck_assert(!net_address_is(f, sizeof(f), &a));
}
END_TEST

START_TEST(addresses6)
{
	uint8_t f[100] = { 0 };
	struct net_addresses a;

	ck_assert_int_eq(net_addresses_parse("2001:db8::5", &a), 0);
	f[12] = 0x86;
	f[13] = 0xdd;
	ck_assert(net_address_is(f, sizeof(f), &a));
	memcpy(f + 22, a.v6[0], 16);
	ck_assert(net_address_is(f, 38, &a));
	ck_assert(!net_address_is(f, 37, &a));
	f[37] = 6;
	ck_assert(!net_address_is(f, sizeof(f), &a));
	f[22] = 0xfe;
	f[23] = 0x80;
	ck_assert(net_address_is(f, sizeof(f), &a));
	/* a neighbour's advertisement: of its own, of another's, cut */
	f[20] = 58;
	f[54] = 136;
	memcpy(f + 62, a.v6[0], 16);
	ck_assert(net_address_is(f, sizeof(f), &a));
	ck_assert(!net_address_is(f, 77, &a));
	f[77] = 6;
	ck_assert(!net_address_is(f, sizeof(f), &a));
	f[54] = 135;
	ck_assert(net_address_is(f, sizeof(f), &a));
}
END_TEST

START_TEST(list)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static struct mcast m;
	uint8_t a[6] = { 1, 0, 0x5e, 0, 0, 0 };

	mcast_clear(&m);
	ck_assert(mcast_wanted(&m, own));
	ck_assert(mcast_wanted(&m, all));
	ck_assert(!mcast_wanted(&m, a));
	ck_assert_int_eq(mcast_add(&m, own), -EINVAL);
	ck_assert_int_eq(mcast_remove(&m, a), -ENOENT);
	for (unsigned int i = 0; i < MCAST_MAX; i++) {
		a[4] = (uint8_t)(i >> 4);
		a[5] = (uint8_t)i;
		ck_assert_int_eq(mcast_add(&m, a), 0);
		ck_assert_int_eq(mcast_add(&m, a), 0);
		ck_assert(mcast_wanted(&m, a));
	}
	a[3] = 1;
	ck_assert_int_eq(mcast_add(&m, a), -ENOSPC);
	ck_assert(!mcast_wanted(&m, a));
	a[3] = 0;
	ck_assert_int_eq(mcast_remove(&m, a), 0);
	ck_assert(!mcast_wanted(&m, a));
	a[3] = 1;
	ck_assert_int_eq(mcast_add(&m, a), 0);
	mcast_clear(&m);
	ck_assert(!mcast_wanted(&m, a));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_filter");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, mac_text);
	tcase_add_test(tc, source);
	tcase_add_test(tc, address_text);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, addresses6);
	tcase_add_test(tc, list);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
