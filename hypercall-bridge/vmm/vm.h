/* SPDX-License-Identifier: MIT */
/*
 * One guest: owns everything that belongs to it. Made by the control thread (main), which also serves
 * console and bridge; each vCPU has a thread.
 *
 * Locks, in this order: lock (port table, HVM parameters, shared_info, grant frames: everything a
 * hypercall changes), a vCPU's park_lock, the bridge's own. A vCPU thread holds none while in the guest.
 * The end: whoever finds that the guest is over calls vm_end(); the first reason stands, end_fd becomes
 * readable for the control thread, the vCPU threads return.
 */
#ifndef HYPERCALL_BRIDGE_VMM_VM_H
#define HYPERCALL_BRIDGE_VMM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypercall-bridge/guest/hypercall.h"
#include "hypercall-bridge/vmm/kvm.h"

#define VM_VCPUS_MAX PORTS_VCPUS_MAX
#define VM_STORE_PORT 1
#define VM_CONSOLE_PORT 2

#define VM_WARNED_RUNSTATE (1u << 0)
#define VM_WARNED_MOVE (1u << 1)

struct bridge;
struct bridge_event;
struct console;
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
	VM_SOFT_RESET,
	VM_DESTROYED, /* on request: signal, tool or ^] */
	VM_LOST,      /* bridged is gone */
};

struct vm_config {
	const char *name;
	const char *kernel;
	const char *initrd; /* NULL: none */
	const char *cmdline;
	uint64_t memory;
	unsigned int nr_vcpus;
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
	bool started;

	pthread_mutex_t lock;
	struct hypercall_guest guest;
	uint8_t *shared_info; /* NULL: not mapped by the guest */
	uint64_t shared_info_gfn;
	bool long_mode;
	unsigned int warned;	 /* VM_WARNED_* */
	bool console_port_local; /* the console's port is still the one we made, unknown to bridged */
	uint64_t sends,
		bound_sends; /* EVTCHNOP_send seen in user space; of ports KVM should serve */

	int end; /* enum vm_end, atomic */
	int end_fd;
};

/* The guest with all its memory and ports, known to bridged as paused. Says what is wrong itself. */
int vm_new(const struct vm_config *config, const char *bridge_path, struct event_base *base,
	   struct vm **ret);
/* waits for the vCPU threads: vm_end() first */
struct vm *vm_free(struct vm *vm);
void vm_freep(struct vm **vm);

int vm_start(struct vm *vm); /* lets the vCPUs run */
void vm_end(struct vm *vm, enum vm_end why);
enum vm_end vm_ended(const struct vm *vm);
void vm_join(struct vm *vm);

/* tells bridged why a guest that ended by itself did; the vCPUs have been joined */
int vm_report_end(struct vm *vm);
void vm_print_statistics(const struct vm *vm);

int64_t vm_hypercall(struct vm *vm, const struct hypercall *call);
void vm_port_event(struct vm *vm, const struct bridge_event *event);

/* in guestops.c: what hypercalls do to a vm */
extern const struct hypercall_ops guestops;
int guestops_open_static_ports(struct vm *vm);

#endif
