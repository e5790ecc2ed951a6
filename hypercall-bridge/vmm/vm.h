/* SPDX-License-Identifier: MIT */
/*
 * One guest: owns everything that belongs to it. Made by the control thread (main), which also serves
 * console and bridge; each vCPU has a thread.
 *
 * Locks, in this order: lock (port table, HVM parameters, shared_info, grant frames: everything a
 * hypercall changes), a vCPU's park_lock, the bridge's own. A vCPU thread holds none while in the guest.
 * The end: whoever finds that the guest is over calls vm_end(); the first reason stands, news_fd becomes
 * readable for the control thread, the vCPU threads return. The vm itself stays, for bridged and whoever
 * asks it, until it is destroyed.
 * A soft reset (kexec) is no end: the vCPUs stop where they are, the control thread takes everything
 * back that the old kernel set up (reset.c), and unpausing lets the new kernel begin.
 */
#ifndef HYPERCALL_BRIDGE_VMM_VM_H
#define HYPERCALL_BRIDGE_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypercall-bridge/guest/hypercall.h"
#include "hypercall-bridge/vmm/console.h"
#include "hypercall-bridge/vmm/kvm.h"

#define VM_VCPUS_MAX PORTS_VCPUS_MAX
#define VM_STORE_PORT 1
#define VM_CONSOLE_PORT 2

#define VM_WARNED_RUNSTATE (1u << 0)
#define VM_WARNED_MOVE (1u << 1)

struct bridge;
struct bridge_event;
struct evtchn;
struct event_base;
struct mem;
struct vcpu;

enum vm_end {
	VM_RUNNING,
	VM_POWEROFF,
	VM_REBOOT,
	VM_CRASH,
	VM_WATCHDOG,
	VM_DESTROYED, /* on request: signal, tool or ^] */
	VM_LOST,      /* bridged is gone */
};

/* what the control thread knows of the guest; bridged is told */
enum vm_state {
	VM_STATE_NEW, /* never ran */
	VM_STATE_RUNNING,
	VM_STATE_PAUSED,
	VM_STATE_RESET, /* between two kernels */
	VM_STATE_OVER,
};

struct vm_config {
	const char *name;
	const char *kernel;
	const char *kernel_cache; /* folder of unpacked kernels, NULL: none */
	const char *initrd;	  /* NULL: none */
	const char *cmdline;
	uint64_t memory;
	bool sparse; /* memory is allocated when it is touched */
	unsigned int nr_vcpus;
	struct console_config console;
};

struct vm {
	struct vm_config config;
	struct kvm kvm;
	struct mem *mem;
	struct evtchn *evtchn;
	struct bridge *bridge;
	struct console *console;
	uint64_t unique_id;
	unsigned int nr_vcpus;
	struct vcpu *vcpus[VM_VCPUS_MAX];
	enum vm_state state; /* the control thread's */

	pthread_mutex_t lock;
	struct hypercall_guest guest;
	uint8_t *shared_info; /* NULL: not mapped by the guest */
	uint64_t shared_info_gfn;
	bool long_mode;
	unsigned int warned;	 /* VM_WARNED_* */
	bool console_port_local; /* the console's port is still the one we made, unknown to bridged */
	uint64_t sends,
		bound_sends; /* EVTCHNOP_send seen in user space; of ports KVM should serve */

	int end;			 /* enum vm_end, atomic */
	bool wants_reset, wants_destroy; /* atomic */
	int news_fd;
};

/* The guest with all its memory and ports, known to bridged as paused. Says what is wrong itself. */
int vm_new(const struct vm_config *config, const char *bridge_path, struct event_base *base,
	   struct vm **ret);
/* waits for the vCPU threads: vm_end() first */
struct vm *vm_free(struct vm *vm);
void vm_freep(struct vm **vm);

/* any thread */
void vm_end(struct vm *vm, enum vm_end why);
void vm_soft_reset(struct vm *vm); /* from a hypercall: the caller's vCPU stops too */
void vm_destroy(struct vm *vm); /* ends it if it runs, and the vm itself is not needed any more */
enum vm_end vm_ended(const struct vm *vm);

/* the control thread's; bridged is told what changed */
int vm_unpause(struct vm *vm);
int vm_pause(struct vm *vm);
/* writes a core file of it, which stands still meanwhile (dump.h); both descriptors are closed */
void vm_dump(struct vm *vm, int file, int status);
/* when news_fd is readable: 0 go on, 1 it is to be destroyed, -errno */
int vm_news(struct vm *vm);
void vm_join(struct vm *vm);
void vm_print_statistics(const struct vm *vm);

int64_t vm_hypercall(struct vm *vm, const struct hypercall *call);
void vm_port_event(struct vm *vm, const struct bridge_event *event);

/* in guestops.c: what hypercalls do to a vm */
extern const struct hypercall_ops guestops;
int guestops_open_static_ports(struct vm *vm);

/* in reset.c: takes back what a kernel set up, and what back ends may still use, when those have gone */
int reset_vm(struct vm *vm);
void reset_grants(struct vm *vm);

#endif
