/* SPDX-License-Identifier: MIT */
/*
 * Decodes and answers a guest's hypercalls. Pure: all effects go through struct hypercall_ops, all of the
 * guest's memory through gpa_of() and host_of(); what a guest passes by pointer is copied once and the
 * copy is looked at. Shared by the vmm, loopback guests and tests.
 * Threads: none of this locks; the owner calls hypercall_answer() of one guest from one thread at a time.
 */
#ifndef HYPERCALL_BRIDGE_GUEST_HYPERCALL_H
#define HYPERCALL_BRIDGE_GUEST_HYPERCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/xen.h"
#include "hypercall-bridge/guest/ports.h"

#define HYPERCALL_XEN_VERSION 0x00040011u /* 4.17 */
#define HYPERCALL_EXTRAVERSION ".xenhost"
#define HYPERCALL_NR_MAX 64
#define HYPERCALL_OP_MAX 64
#define HYPERCALL_MEMMAP_MAX 128   /* as an e820 map */
#define HYPERCALL_EXTENTS_MAX 8192 /* of one memory_op; the guest goes on with the rest */
#define HYPERCALL_CONSOLE_MAX 4096 /* bytes of one console_io write */
#define HYPERCALL_ALL_VCPUS UINT32_MAX

struct hypercall {
	unsigned int vcpu; /* the caller */
	bool long_mode;	   /* 64-bit registers and structures */
	uint8_t cpl;
	uint64_t nr;
	uint64_t args[6];
};

/*
 * What a hypercall does outside of the guest's own tables. Every call returns 0 or -errno, which the
 * guest gets as its result, and may be NULL: -ENOSYS. A vcpu argument is always an existing vCPU
 * (or HYPERCALL_ALL_VCPUS where noted), a port one of the port table.
 */
struct hypercall_ops {
	/* guest physical address of a virtual one, as the calling vCPU sees it; -EFAULT */
	int (*gpa_of)(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa);
	/* host address of a guest physical one, good to the end of its page; NULL: no memory there */
	void *(*host_of)(void *ctx, uint64_t gpa);

	int (*map_shared_info)(void *ctx, uint64_t gfn, bool long_mode);
	int (*map_grant_frame)(void *ctx, uint32_t frame, uint64_t gfn);
	int (*unmap)(void *ctx, uint64_t gfn);
	/* where a frame of the grant table is; UINT64_MAX: nowhere */
	uint64_t (*grant_gfn)(void *ctx, uint32_t frame);
	/*
	 * The guest gives pages away (or takes them back). How many of them it had (not) until now; with
	 * -errno nothing was done.
	 */
	int (*balloon)(void *ctx, uint64_t gfn, uint64_t nr, bool give);

	int (*vcpu_info)(void *ctx, unsigned int vcpu, uint64_t gpa);
	int (*vcpu_time_area)(void *ctx, unsigned int vcpu, uint64_t gpa);
	int (*vcpu_runstate_area)(void *ctx, unsigned int vcpu, uint64_t gpa);
	int (*vcpu_timer)(void *ctx, unsigned int vcpu, uint64_t abs_ns); /* 0 stops it */
	bool (*vcpu_is_up)(void *ctx, unsigned int vcpu);
	int (*runstate_flag)(void *ctx, bool enable);
	/* per-vCPU vector, or the global callback vector with HYPERCALL_ALL_VCPUS */
	int (*upcall_vector)(void *ctx, unsigned int vcpu, uint8_t vector);

	/* the port was entered into the table; when this fails it is taken out again */
	int (*port_opened)(void *ctx, uint32_t port);
	/* the port left the table; `old` is what it was */
	void (*port_closed)(void *ctx, uint32_t port, const struct port *old);
	void (*port_moved)(void *ctx, uint32_t port); /* to another vCPU */
	int (*port_send)(void *ctx, uint32_t port);
	int (*port_unmask)(void *ctx, uint32_t port);

	int (*shutdown)(void *ctx, unsigned int reason); /* the caller does not run again */
	void (*console_write)(void *ctx, const char *text, size_t len);
	void (*unknown)(void *ctx, uint64_t nr,
			uint64_t op); /* once for each, some of each hypercall */
};

struct hypercall_memmap {
	uint64_t addr, size;
	uint32_t type; /* as in e820 */
};

struct hypercall_guest {
	const struct hypercall_ops *ops;
	void *ctx;
	uint16_t domid;
	unsigned int nr_vcpus;
	uint64_t nr_pages;   /* at most */
	uint64_t given_away; /* of them, by ballooning */
	unsigned int nr_memmap;
	struct hypercall_memmap memmap[HYPERCALL_MEMMAP_MAX];
	uint32_t grant_frames;	   /* of the table now */
	uint32_t grant_frames_max; /* it may grow to */
	uint64_t params[HVM_NR_PARAMS];
	struct ports ports;
	uint64_t logged[HYPERCALL_NR_MAX]; /* bit per op */
};

void hypercall_guest_init(struct hypercall_guest *g, const struct hypercall_ops *ops, void *ctx,
			  unsigned int nr_vcpus);

/* another kernel begins: ports are closed, the grant table is one frame, the callback is nobody's */
void hypercall_reset(struct hypercall_guest *g);

/* the guest's result: >= 0 or a negative Xen errno, which on x86 Linux is -errno */
int64_t hypercall_answer(struct hypercall_guest *g, const struct hypercall *call);

/* operation within the hypercall, for counting: 0 where it has none */
unsigned int hypercall_op(const struct hypercall *call);
const char *hypercall_name(unsigned int nr); /* "memory_op" */

#endif
