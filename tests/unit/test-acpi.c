/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "hypercall-bridge/vmm/acpi.h"
#include "tests/support/unit.h"

#define ADDR 0xfeff0000ull

static uint8_t buf[ACPI_SIZE];

static void setup(void)
{
}

static void teardown(void)
{
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s = (uint8_t)(s + *p++);
	return s;
}

static uint64_t get(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

/* the table at a guest address, seen to be whole */
static const uint8_t *table(uint64_t addr, const char *signature)
{
	const uint8_t *t = buf + (addr - ADDR);
	size_t len;

	ck_assert(addr >= ADDR && addr < ADDR + ACPI_SIZE - 36);
	len = get(t + 4, 4);
	ck_assert_mem_eq(t, signature, 4);
	ck_assert_uint_le(addr - ADDR + len, ACPI_SIZE);
	ck_assert_uint_eq(sum(t, len), 0);
	return t;
}

static const uint8_t *xsdt(void)
{
	ck_assert_mem_eq(buf, "RSD PTR ", 8);
	ck_assert_uint_eq(sum(buf, 20), 0);
	ck_assert_uint_eq(sum(buf, 36), 0);
	ck_assert_uint_eq(buf[15], 2);
	ck_assert(!buf[33] && !buf[34] && !buf[35]); /* reserved */
	return table(get(buf + 24, 8), "XSDT");
}

START_TEST(power_off)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 6, 2, 0x0a, 5, 0x0a, 5 };
	const uint8_t *fadt, *dsdt;

	ck_assert_int_gt(acpi_build(ADDR, 1, buf), 0);
	fadt = table(get(xsdt() + 36, 8), "FACP");
	ck_assert_uint_eq(get(fadt + 4, 4), 276);
	ck_assert_uint_eq(get(fadt + 112, 4), 1u << 20 | 1u << 10 | 1u << 5 | 1u << 4);
	ck_assert_uint_eq(get(fadt + 40, 4), get(fadt + 140, 8));
	ck_assert_uint_eq(get(fadt + 116 + 4, 8), ACPI_PORT_RESET);
	ck_assert_uint_eq(get(fadt + 244 + 4, 8), ACPI_PORT_SLEEP);
	ck_assert_uint_eq(get(fadt + 256 + 4, 8), ACPI_PORT_SLEEP_STATUS);
	ck_assert_uint_eq(fadt[128], ACPI_RESET_VALUE);
	dsdt = table(get(fadt + 140, 8), "DSDT");
	ck_assert_uint_eq(get(dsdt + 4, 4), 48);
	ck_assert_mem_eq(dsdt + 36, s5, sizeof(s5));
	ck_assert_uint_eq(ACPI_SLEEP_OFF, 0x34);
}
END_TEST

START_TEST(processors)
{
	static const unsigned int counts[] = { 1, 2, 32, ACPI_VCPUS_MAX };

	for (int i = 0; i < 4; i++) {
		const uint8_t *madt;

		ck_assert_int_gt(acpi_build(ADDR, counts[i], buf), 0);
		madt = table(get(xsdt() + 44, 8), "APIC");
		ck_assert_uint_eq(get(madt + 4, 4), 44 + 8 * counts[i]);
		for (unsigned int k = 0; k < counts[i]; k++) {
			const uint8_t *e = madt + 44 + 8 * k;

			ck_assert(e[0] == 0 && e[1] == 8 && e[2] == k && e[3] == k && e[4] == 1);
		}
	}
	ck_assert_int_eq(acpi_build(ADDR, 0, buf), -EINVAL);
	ck_assert_int_eq(acpi_build(ADDR, ACPI_VCPUS_MAX + 1, buf), -EINVAL);
}
END_TEST

UNIT_MAIN_WITH("acpi", setup, teardown, power_off, processors)
