/* SPDX-License-Identifier: MIT */
/*
 * The tables for any address and any number of vCPUs, followed as a guest follows them: every pointer leads
 * to a whole table in the page, and each vCPU is there once. tests/planted has mistakes that are found within 60 s.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/vmm/acpi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADER 36u

static uint8_t *page; /* of exactly that size, so that a byte too far is seen */
static uint64_t base;
static size_t used;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t get(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

static void check_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	check(sum == 0);
}

static const uint8_t *table(uint64_t addr, const char *signature)
{
	uint64_t at = addr - base; /* also where addresses wrap */
	size_t len;

	check(at >= HEADER && at <= used - HEADER);
	len = get(page + at + 4, 4);
	check(len >= HEADER && len <= used - at && !memcmp(page + at, signature, 4));
	check_sum(page + at, len);
	return page + at;
}

static void check_processors(const uint8_t *madt, unsigned int nr_vcpus)
{
	size_t len = get(madt + 4, 4);
	unsigned int seen = 0;

	for (size_t at = HEADER + 8; at < len; at += madt[at + 1]) {
		check(len - at >= 2 && madt[at + 1] >= 2 && madt[at + 1] <= len - at);
		if (madt[at] != 0)
			continue;
		check(madt[at + 2] == seen && madt[at + 3] == seen && (madt[at + 4] & 1));
		seen++;
	}
	check(seen == nr_vcpus);
}

static void check_tables(unsigned int nr_vcpus)
{
	const uint8_t *xsdt, *fadt, *dsdt;

	check(!memcmp(page, "RSD PTR ", 8) && get(page + 20, 4) == HEADER);
	check_sum(page, 20);
	check_sum(page, HEADER);
	xsdt = table(get(page + 24, 8), "XSDT");
	check(get(xsdt + 4, 4) == HEADER + 16);
	fadt = table(get(xsdt + HEADER, 8), "FACP");
	check(get(fadt + 40, 4) == (uint32_t)get(fadt + 140, 8));
	dsdt = table(get(fadt + 140, 8), "DSDT");
	check(get(dsdt + 4, 4) > HEADER);
	check_processors(table(get(xsdt + HEADER + 8, 8), "APIC"), nr_vcpus);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int nr_vcpus;
	int r;

	if (size < 12)
		return 0;
	if (!page)
		page = malloc(ACPI_SIZE);
	check(page != NULL);
	base = get(data, 8);
	nr_vcpus = (unsigned int)get(data + 8, 4);
	memset(page, data[size - 1], ACPI_SIZE); /* what was there before */
	r = acpi_build(base, nr_vcpus, page);
	if (r < 0) {
		check(r == -EINVAL && (nr_vcpus == 0 || nr_vcpus > ACPI_VCPUS_MAX));
		return 0;
	}
	used = (size_t)r;
	check(used <= ACPI_SIZE);
	check_tables(nr_vcpus);
	return 0;
}
