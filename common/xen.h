/* SPDX-License-Identifier: MIT */
/*
 * The one place that includes Xen's public headers (Debian: libxen-dev), so that the interface version
 * is the same everywhere: 0x00040e00 makes io/ring.h use virt_mb() and friends, which we never call.
 */
#ifndef COMMON_XEN_H
#define COMMON_XEN_H

#include <stdint.h>

#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>
#include <xen/elfnote.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>

#define XEN_PAGE_SHIFT 12
#define XEN_PAGE_SIZE 4096u

#endif
