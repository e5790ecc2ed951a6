/* SPDX-License-Identifier: MIT */
/*
 * The five ACPI tables a hardware-reduced guest needs: RSDP, XSDT, FADT, MADT, DSDT (with \_S5, so that
 * it can power itself off). Pure: fills a buffer.
 */
#ifndef HYPERCALL_BRIDGE_VMM_ACPI_H
#define HYPERCALL_BRIDGE_VMM_ACPI_H

#include <stddef.h>
#include <stdint.h>

#define ACPI_VCPUS_MAX 128
#define ACPI_SIZE 4096

/* I/O ports and what a guest writes there */
#define ACPI_PORT_SLEEP 0x600
#define ACPI_PORT_SLEEP_STATUS 0x601
#define ACPI_PORT_RESET 0x604
#define ACPI_RESET_VALUE 1
#define ACPI_SLEEP_TYPE_OFF 5
#define ACPI_SLEEP_ENABLE 0x20
#define ACPI_SLEEP_OFF (ACPI_SLEEP_TYPE_OFF << 2 | ACPI_SLEEP_ENABLE)

/* The tables as they lie at guest physical `addr`, RSDP first. Bytes used, or -EINVAL (vCPUs). */
int acpi_build(uint64_t addr, unsigned int nr_vcpus, uint8_t buf[ACPI_SIZE]);

#endif
