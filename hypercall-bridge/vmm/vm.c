/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"
#include "hypercall-bridge/vmm/acpi.h"
#include "hypercall-bridge/vmm/bridge.h"
#include "hypercall-bridge/vmm/console.h"
#include "hypercall-bridge/vmm/dump.h"
#include "hypercall-bridge/vmm/evtchn.h"
#include "hypercall-bridge/vmm/kernel.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/vcpu.h"
#include "hypercall-bridge/vmm/vm.h"

static void end_request(void *data)
{
	vm_destroy(data);
}

static int build_acpi(struct vm *vm)
{
	uint8_t *page = mem_host(vm->mem, MEM_ACPI, ACPI_SIZE);
	int r = acpi_build(MEM_ACPI, vm->nr_vcpus, page);

	return r < 0 ? r : 0;
}

/* The kernel file is checked before anything is allocated and is out of memory again after this. */
static int load(struct vm *vm, uint32_t *ret_entry, uint64_t *ret_start_info)
{
	struct kernel_initrd initrd = { .fd = -1 };
	struct kernel kernel = { 0 };
	int r;

	r = kernel_open(vm->config.kernel, vm->config.kernel_cache, &kernel);
	if (r == 0)
		r = kernel_initrd_open(vm->config.initrd, &initrd);
	if (r == 0)
		r = kvm_open(HYPERCALL_XEN_VERSION, &vm->kvm);
	if (r == 0)
		r = mem_new(&vm->kvm, vm->config.memory, vm->config.sparse, &vm->mem);
	if (r == 0)
		r = build_acpi(vm);
	if (r == 0)
		r = kernel_place(&kernel, &initrd, vm->config.cmdline, MEM_ACPI, vm->mem,
				 ret_start_info);
	*ret_entry = kernel.pvh.entry;
	kernel_close(&kernel);
	closep(&initrd.fd);
	return r;
}

static void init_guest(struct vm *vm)
{
	struct hypercall_guest *g = &vm->guest;

	hypercall_guest_init(g, &guestops, vm, vm->nr_vcpus);
	g->nr_pages = vm->config.memory / XEN_PAGE_SIZE;
	g->grant_frames_max = MEM_GRANT_FRAMES;
	for (unsigned int i = 0; i < vm->mem->nr_regions && i < HYPERCALL_MEMMAP_MAX; i++) {
		const struct mem_region *r = &vm->mem->regions[i];
		uint32_t type = XEN_HVM_MEMMAP_TYPE_RESERVED;

		if (r->kind == MEM_KIND_RAM)
			type = XEN_HVM_MEMMAP_TYPE_RAM;
		else if (r->kind == MEM_KIND_ACPI)
			type = XEN_HVM_MEMMAP_TYPE_ACPI;
		g->memmap[g->nr_memmap++] = (struct hypercall_memmap){ r->gpa, r->size, type };
	}
}

static int make_vcpus(struct vm *vm, uint32_t entry, uint64_t start_info)
{
	_cleanup_free_ struct kvm_cpuid2 *host = NULL;
	int r = kvm_supported_cpuid(&vm->kvm, &host);

	for (unsigned int i = 0; i < vm->nr_vcpus && r == 0; i++)
		r = vcpu_new(vm, i, host, &vm->vcpus[i]);
	if (r == 0)
		r = vcpu_set_entry(vm->vcpus[0], entry, start_info);
	return r;
}

static int tell_state(struct vm *vm, Bridge__DomainState state, uint32_t reason)
{
	return bridge_update(vm->bridge, state, reason, VM_STORE_PORT, VM_CONSOLE_PORT);
}

static int connect_ports(struct vm *vm, struct event_base *base)
{
	void *ring = mem_host(vm->mem, MEM_CONSOLE, XEN_PAGE_SIZE);
	int r;

	r = console_new(base, &vm->config.console, ring, end_request, vm, &vm->console);
	if (r == 0)
		r = evtchn_new(&vm->kvm, &vm->evtchn);
	if (r == 0)
		r = guestops_open_static_ports(vm);
	if (r == 0)
		r = tell_state(vm, BRIDGE__DOMAIN_STATE__PAUSED, 0);
	if (r < 0)
		log_error("cannot set up the guest's store and console: %s", strerror(-r));
	return r;
}

/* All threads are there before any of them may use another vCPU; they wait. */
static int start_vcpus(struct vm *vm)
{
	int r = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_hold(vm->vcpus[i]);
	for (unsigned int i = 0; i < vm->nr_vcpus && r == 0; i++)
		r = vcpu_start(vm->vcpus[i]);
	if (r < 0)
		log_error("cannot start the threads of the vCPUs: %s", strerror(-r));
	return r;
}

static int set_up(struct vm *vm, const char *bridge_path, struct event_base *base)
{
	uint64_t start_info;
	uint32_t entry;
	int r;

	r = load(vm, &entry, &start_info);
	if (r < 0)
		return r;
	init_guest(vm);
	r = bridge_open(bridge_path, &vm->bridge);
	if (r == 0)
		r = bridge_create(vm->bridge, vm->config.name, vm->mem, &vm->guest.domid,
				  &vm->unique_id);
	if (r == 0)
		r = make_vcpus(vm, entry, start_info);
	if (r == 0)
		r = connect_ports(vm, base);
	return r < 0 ? r : start_vcpus(vm);
}

int vm_new(const struct vm_config *config, const char *bridge_path, struct event_base *base,
	   struct vm **ret)
{
	_cleanup_(vm_freep) struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm)
		return -ENOMEM;
	vm->config = *config;
	vm->nr_vcpus = config->nr_vcpus;
	vm->kvm.sys_fd = vm->kvm.vm_fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	vm->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->news_fd < 0)
		return -errno;
	r = set_up(vm, bridge_path, base);
	if (r < 0)
		return r;
	log_set_domain(vm->guest.domid);
	log_info("guest '%s' is domain %u (unique id %" PRIu64 ")", config->name, vm->guest.domid,
		 vm->unique_id);
	*ret = steal_ptr(&vm);
	return 0;
}

struct vm *vm_free(struct vm *vm)
{
	if (!vm)
		return NULL;
	vm_join(vm);
	console_free(vm->console);
	bridge_close(vm->bridge);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_free(vm->vcpus[i]);
	evtchn_free(vm->evtchn);
	kvm_close(&vm->kvm);
	mem_free(vm->mem);
	closep(&vm->news_fd);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
	return NULL;
}

void vm_freep(struct vm **vm)
{
	vm_free(*vm);
}

/* --- the end --- */

static void tell_control(struct vm *vm)
{
	static const uint64_t one = 1;

	if (write(vm->news_fd, &one, sizeof(one)) < 0)
		log_error("cannot wake the control thread: %s", strerror(errno));
}

enum vm_end vm_ended(const struct vm *vm)
{
	return __atomic_load_n(&vm->end, __ATOMIC_SEQ_CST);
}

void vm_end(struct vm *vm, enum vm_end why)
{
	int running = VM_RUNNING;

	if (!__atomic_compare_exchange_n(&vm->end, &running, (int)why, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return;
	tell_control(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i])
			vcpu_kick(vm->vcpus[i]);
}

void vm_destroy(struct vm *vm)
{
	vm_end(vm, VM_DESTROYED);
	__atomic_store_n(&vm->wants_destroy, true, __ATOMIC_SEQ_CST);
	tell_control(vm);
}

void vm_join(struct vm *vm)
{
	vm_end(vm, VM_DESTROYED);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i])
			vcpu_join(vm->vcpus[i]);
}

/* The vCPUs have ended; what they leave is kept until somebody destroys it. */
static int take_end(struct vm *vm, enum vm_end why)
{
	static const uint32_t reasons[] = {
		[VM_POWEROFF] = SHUTDOWN_poweroff,
		[VM_REBOOT] = SHUTDOWN_reboot,
		[VM_CRASH] = SHUTDOWN_crash,
		[VM_WATCHDOG] = SHUTDOWN_watchdog,
	};

	vm_join(vm);
	vm->state = VM_STATE_OVER;
	if (why == VM_DESTROYED || why == VM_LOST)
		return 1;
	return tell_state(vm, BRIDGE__DOMAIN_STATE__SHUTDOWN, reasons[why]);
}

/* --- pause, reset --- */

static void hold_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_hold(vm->vcpus[i]);
}

static void release_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_release(vm->vcpus[i]);
}

void vm_soft_reset(struct vm *vm)
{
	bool old = __atomic_exchange_n(&vm->wants_reset, true, __ATOMIC_SEQ_CST);

	if (old)
		return; /* of another vCPU, at the same time */
	hold_all(vm);
	tell_control(vm);
}

static int take_reset(struct vm *vm)
{
	int r;

	if (vm->state == VM_STATE_PAUSED)
		release_all(vm); /* held twice: once is enough */
	vm->state = VM_STATE_RESET;
	pthread_mutex_lock(&vm->lock);
	r = reset_vm(vm);
	pthread_mutex_unlock(&vm->lock);
	if (r == 0)
		r = tell_state(vm, BRIDGE__DOMAIN_STATE__SHUTDOWN, SHUTDOWN_soft_reset);
	if (r < 0)
		log_error("the guest cannot be reset for another kernel: %s", strerror(-r));
	return r;
}

int vm_news(struct vm *vm)
{
	enum vm_end why = vm_ended(vm);
	uint64_t count;
	int r = 0;

	if (read(vm->news_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	if (__atomic_load_n(&vm->wants_destroy, __ATOMIC_SEQ_CST))
		return 1;
	if (why && vm->state != VM_STATE_OVER)
		r = take_end(vm, why);
	else if (!why && __atomic_load_n(&vm->wants_reset, __ATOMIC_SEQ_CST) &&
		 vm->state != VM_STATE_RESET)
		r = take_reset(vm);
	return r;
}

int vm_unpause(struct vm *vm)
{
	int r = 0;

	if (vm->state == VM_STATE_RUNNING || vm->state == VM_STATE_OVER)
		return 0; /* unpausing a guest that runs is no error */
	if (vm->state == VM_STATE_NEW)
		r = console_start(vm->console);
	if (vm->state == VM_STATE_RESET)
		reset_grants(vm);
	if (r == 0)
		r = tell_state(vm, BRIDGE__DOMAIN_STATE__RUNNING, 0);
	if (r < 0) {
		log_error("cannot start the guest: %s", strerror(-r));
		return r;
	}
	vm->state = VM_STATE_RUNNING;
	__atomic_store_n(&vm->wants_reset, false, __ATOMIC_SEQ_CST);
	release_all(vm);
	return 0;
}

int vm_pause(struct vm *vm)
{
	if (vm->state != VM_STATE_RUNNING || __atomic_load_n(&vm->wants_reset, __ATOMIC_SEQ_CST))
		return 0;
	hold_all(vm);
	vm->state = VM_STATE_PAUSED;
	return tell_state(vm, BRIDGE__DOMAIN_STATE__PAUSED, 0);
}

void vm_dump(struct vm *vm, int file, int status)
{
	hold_all(vm);
	dump_vm(vm, file, status);
	release_all(vm);
}

int64_t vm_hypercall(struct vm *vm, const struct hypercall *call)
{
	int64_t result;

	pthread_mutex_lock(&vm->lock);
	result = hypercall_answer(&vm->guest, call);
	pthread_mutex_unlock(&vm->lock);
	if (result < 0)
		log_debug("vCPU %u: %s, operation %u: %s", call->vcpu,
			  hypercall_name(call->nr < HYPERCALL_NR_MAX ? (unsigned int)call->nr : 0),
			  hypercall_op(call), strerror((int)-result));
	return result;
}

void vm_port_event(struct vm *vm, const struct bridge_event *event)
{
	pthread_mutex_lock(&vm->lock);
	if (event->bound)
		ports_peer_joined(&vm->guest.ports, event->port, (uint16_t)event->remote_domid,
				  event->remote_port);
	else
		ports_peer_left(&vm->guest.ports, event->port);
	pthread_mutex_unlock(&vm->lock);
}

static void add_up(const struct vm *vm, struct vcpu_stats *sum)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		const struct vcpu_stats *s = &vm->vcpus[i]->stats;

		for (unsigned int nr = 0; nr < HYPERCALL_NR_MAX; nr++)
			for (unsigned int op = 0; op < HYPERCALL_OP_MAX; op++)
				sum->hypercalls[nr][op] += s->hypercalls[nr][op];
		sum->io += s->io;
		sum->mmio += s->mmio;
		sum->other += s->other;
	}
}

/* Lines for people and tests alike: "key: name=value ..." */
void vm_print_statistics(const struct vm *vm)
{
	_cleanup_free_ struct vcpu_stats *sum = calloc(1, sizeof(*sum));
	uint64_t total = 0;

	if (!sum)
		return;
	add_up(vm, sum);
	for (unsigned int nr = 0; nr < HYPERCALL_NR_MAX; nr++)
		for (unsigned int op = 0; op < HYPERCALL_OP_MAX; op++) {
			uint64_t n = sum->hypercalls[nr][op];

			total += n;
			if (n)
				fprintf(stderr, "hypercall: %s(%u)/%u=%" PRIu64 "\n",
					hypercall_name(nr), nr, op, n);
		}
	fprintf(stderr,
		"exits: hypercall=%" PRIu64 " io=%" PRIu64 " mmio=%" PRIu64 " other=%" PRIu64 "\n",
		total, sum->io, sum->mmio, sum->other);
	fprintf(stderr, "evtchn-user-sends: total=%" PRIu64 " bound=%" PRIu64 "\n", vm->sends,
		vm->bound_sends);
}
