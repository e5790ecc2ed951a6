/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "hypercall-bridge/vmm/acpi.h"

#define HEADER_SIZE 36
#define RSDP_SIZE 36
#define FADT_SIZE 276
#define LAPIC_BASE 0xfee00000u

/* offsets within the FADT, revision 6 */
#define FADT_DSDT 40
#define FADT_BOOT_ARCH 109
#define FADT_FLAGS 112
#define FADT_RESET_REG 116
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT 140
#define FADT_SLEEP_CONTROL 244
#define FADT_SLEEP_STATUS 256

#define BOOT_ARCH_NO_VGA (1u << 2)
#define BOOT_ARCH_NO_CMOS_RTC (1u << 5)
#define FLAG_NO_POWER_BUTTON (1u << 4)
#define FLAG_NO_SLEEP_BUTTON (1u << 5)
#define FLAG_RESET_REG (1u << 10)
#define FLAG_HW_REDUCED (1u << 20)

/* Name(\_S5, Package(){5, 5}) */
static const uint8_t dsdt_aml[] = { 0x08, '_',	'S',  '5',  '_',  0x12,
				    0x06, 0x02, 0x0a, 0x05, 0x0a, 0x05 };
_Static_assert(ACPI_SLEEP_TYPE_OFF == 5, "as in the AML");

struct writer {
	uint8_t *buf;
	uint64_t addr; /* of buf in the guest */
	size_t used;
};

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

/* a zeroed table of `size` bytes with its header; the checksum comes with finish() */
static uint8_t *begin(struct writer *w, const char *signature, uint8_t revision, size_t size)
{
	uint8_t *t;

	w->used = (w->used + 15) & ~(size_t)15;
	t = w->buf + w->used;
	w->used += size;
	memset(t, 0, size);
	memcpy(t, signature, 4);
	put32(t + 4, (uint32_t)size);
	t[8] = revision;
	memcpy(t + 10, "XNHOST", 6);
	memcpy(t + 16, "XENHOST ", 8);
	put32(t + 24, 1);
	memcpy(t + 28, "XNHO", 4);
	put32(t + 32, 1);
	return t;
}

static uint64_t finish(const struct writer *w, uint8_t *table, size_t size)
{
	table[9] = checksum(table, size);
	return w->addr + (uint64_t)(table - w->buf);
}

/* generic address: an 8-bit I/O port */
static void put_port(uint8_t *p, uint16_t port)
{
	p[0] = 1; /* system I/O */
	p[1] = 8; /* bits */
	p[3] = 1; /* byte access */
	put64(p + 4, port);
}

static uint64_t build_dsdt(struct writer *w)
{
	size_t size = HEADER_SIZE + sizeof(dsdt_aml);
	uint8_t *t = begin(w, "DSDT", 2, size);

	memcpy(t + HEADER_SIZE, dsdt_aml, sizeof(dsdt_aml));
	return finish(w, t, size);
}

static uint64_t build_fadt(struct writer *w, uint64_t dsdt)
{
	uint8_t *t = begin(w, "FACP", 6, FADT_SIZE);

	put32(t + FADT_DSDT, (uint32_t)dsdt);
	put64(t + FADT_X_DSDT, dsdt);
	put16(t + FADT_BOOT_ARCH, BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS_RTC);
	put32(t + FADT_FLAGS,
	      FLAG_HW_REDUCED | FLAG_RESET_REG | FLAG_NO_POWER_BUTTON | FLAG_NO_SLEEP_BUTTON);
	put_port(t + FADT_RESET_REG, ACPI_PORT_RESET);
	t[FADT_RESET_VALUE] = ACPI_RESET_VALUE;
	put_port(t + FADT_SLEEP_CONTROL, ACPI_PORT_SLEEP);
	put_port(t + FADT_SLEEP_STATUS, ACPI_PORT_SLEEP_STATUS);
	return finish(w, t, FADT_SIZE);
}

/* One local APIC per vCPU; the processor uid becomes the guest's Xen vcpu id. */
static uint64_t build_madt(struct writer *w, unsigned int nr_vcpus)
{
	size_t size = HEADER_SIZE + 8 + nr_vcpus * 8;
	uint8_t *t = begin(w, "APIC", 4, size);

	put32(t + HEADER_SIZE, LAPIC_BASE);
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		uint8_t *e = t + HEADER_SIZE + 8 + i * 8;

		e[1] = 8; /* length; type 0 is a local APIC */
		e[2] = e[3] = (uint8_t)i;
		put32(e + 4, 1); /* enabled */
	}
	return finish(w, t, size);
}

static uint64_t build_xsdt(struct writer *w, uint64_t fadt, uint64_t madt)
{
	size_t size = HEADER_SIZE + 16;
	uint8_t *t = begin(w, "XSDT", 1, size);

	put64(t + HEADER_SIZE, fadt);
	put64(t + HEADER_SIZE + 8, madt);
	return finish(w, t, size);
}

static void build_rsdp(uint8_t *t, uint64_t xsdt)
{
	memset(t, 0, RSDP_SIZE);
	memcpy(t, "RSD PTR ", 8);
	memcpy(t + 9, "XNHOST", 6);
	t[15] = 2; /* revision: has an XSDT */
	put32(t + 20, RSDP_SIZE);
	put64(t + 24, xsdt);
	t[8] = checksum(t, 20);
	t[32] = checksum(t, RSDP_SIZE);
}

int acpi_build(uint64_t addr, unsigned int nr_vcpus, uint8_t buf[ACPI_SIZE])
{
	struct writer w = { .buf = buf, .addr = addr, .used = RSDP_SIZE };
	uint64_t fadt, madt;

	if (nr_vcpus == 0 || nr_vcpus > ACPI_VCPUS_MAX)
		return -EINVAL;
	memset(buf, 0, ACPI_SIZE);
	fadt = build_fadt(&w, build_dsdt(&w));
	madt = build_madt(&w, nr_vcpus);
	build_rsdp(buf, build_xsdt(&w, fadt, madt));
	return (int)w.used;
}
