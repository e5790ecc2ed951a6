/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/vmm/acpi.h"
#include "hypercall-bridge/vmm/console.h"
#include "hypercall-bridge/vmm/cpuid.h"
#include "hypercall-bridge/vmm/kvm.h"
#include "hypercall-bridge/vmm/vcpu.h"
#include "hypercall-bridge/vmm/vm.h"

#define KICK_SIGNAL SIGUSR1
#define CPUID_MAX 256
#define PORT_DEBUG 0xe9
#define CR0_PE 1u
#define CR0_ET 0x10u

static int set_cpuid(const struct vcpu *v, const struct kvm_cpuid2 *host)
{
	const struct cpuid_vcpu ids = { .id = v->id,
					.nr_vcpus = v->vm->nr_vcpus,
					.domid = v->vm->guest.domid,
					.xen_version = HYPERCALL_XEN_VERSION,
					.tsc_deadline = v->vm->kvm.tsc_deadline };
	_cleanup_free_ struct kvm_cpuid2 *c = NULL;
	int n;

	c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	if (!c)
		return -ENOMEM;
	n = cpuid_build(host->entries, host->nent, &ids, c->entries, CPUID_MAX);
	if (n < 0)
		return n;
	c->nent = (uint32_t)n;
	return ioctl(v->fd, KVM_SET_CPUID2, c) < 0 ? -errno : 0;
}

static int set_xen_id(struct vcpu *v)
{
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID,
					  .u.vcpu_id = v->id };

	return vcpu_attr(v, &attr);
}

/* All but the first wait for the guest's INIT and SIPI. */
static int set_waiting(const struct vcpu *v)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_UNINITIALIZED };

	if (v->id == 0)
		return 0;
	return ioctl(v->fd, KVM_SET_MP_STATE, &state) < 0 ? -errno : 0;
}

static int open_vcpu(struct vcpu *v, const struct kvm_cpuid2 *host)
{
	const struct kvm *kvm = &v->vm->kvm;
	int r;

	v->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)v->id);
	if (v->fd < 0)
		return -errno;
	v->run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return -errno;
	}
	r = set_cpuid(v, host);
	if (r == 0)
		r = set_xen_id(v);
	return r < 0 ? r : set_waiting(v);
}

int vcpu_new(struct vm *vm, unsigned int id, const struct kvm_cpuid2 *host, struct vcpu **ret)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->vm = vm;
	v->id = id;
	v->fd = -1;
	pthread_mutex_init(&v->park_lock, NULL);
	pthread_cond_init(&v->park_change, NULL);
	r = open_vcpu(v, host);
	if (r < 0) {
		log_error("KVM cannot make vCPU %u: %s", id, strerror(-r));
		vcpu_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

struct vcpu *vcpu_free(struct vcpu *v)
{
	if (!v)
		return NULL;
	if (v->run)
		munmap(v->run, v->vm->kvm.run_size);
	closep(&v->fd);
	pthread_mutex_destroy(&v->park_lock);
	pthread_cond_destroy(&v->park_change);
	free(v);
	return NULL;
}

static struct kvm_segment flat(uint8_t type, uint16_t selector)
{
	return (struct kvm_segment){ .limit = 0xffffffff,
				     .selector = selector,
				     .type = type,
				     .present = 1,
				     .db = 1,
				     .s = 1,
				     .g = 1 };
}

int vcpu_set_entry(struct vcpu *v, uint32_t entry, uint64_t start_info)
{
	struct kvm_regs regs = { .rip = entry, .rbx = start_info, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat(0xb, 0x8);
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = flat(0x3, 0x10);
	sregs.tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb, .present = 1 };
	sregs.ldt = (struct kvm_segment){ .unusable = 1 };
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cr3 = sregs.cr4 = sregs.efer = 0;
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

int vcpu_translate(const struct vcpu *v, uint64_t gva, uint64_t *ret_gpa)
{
	struct kvm_translation t = { .linear_address = gva };

	if (ioctl(v->fd, KVM_TRANSLATE, &t) < 0 || !t.valid)
		return -EFAULT;
	*ret_gpa = t.physical_address;
	return 0;
}

/*
 * A write to port 0x600 powers off, one to 0x604 restarts; what goes to 0xe9 is printed, as under Xen: some
 * say their last words there. Nothing else is there.
 */
static void io_write(struct vcpu *v, uint16_t port, const uint8_t *data, size_t len)
{
	if (port == PORT_DEBUG)
		console_early(v->vm->console, (const char *)data, len);
	else if (port == ACPI_PORT_SLEEP && *data == ACPI_SLEEP_OFF)
		vm_end(v->vm, VM_POWEROFF);
	else if (port == ACPI_PORT_RESET && *data == ACPI_RESET_VALUE)
		vm_end(v->vm, VM_REBOOT);
}

/*
 * All ones is what an empty bus answers. Port 0x42 is the timer by which Linux would calibrate its TSC:
 * with ones there it tries 100000 times.
 */
static void handle_io(struct vcpu *v)
{
	uint8_t *data = (uint8_t *)v->run + v->run->io.data_offset;
	size_t len = (size_t)v->run->io.size * v->run->io.count;

	v->stats.io++;
	if (v->run->io.direction == KVM_EXIT_IO_OUT)
		io_write(v, v->run->io.port, data, len);
	else
		memset(data, v->run->io.port == 0x42 ? 0 : 0xff, len);
}

static void handle_mmio(struct vcpu *v)
{
	v->stats.mmio++;
	if (!v->run->mmio.is_write)
		memset(v->run->mmio.data, 0xff, sizeof(v->run->mmio.data));
}

static void handle_hypercall(struct vcpu *v)
{
	struct hypercall call = {
		.vcpu = v->id,
		.long_mode = v->run->xen.u.hcall.longmode,
		.cpl = (uint8_t)v->run->xen.u.hcall.cpl,
		.nr = v->run->xen.u.hcall.input,
	};
	unsigned int op;

	memcpy(call.args, v->run->xen.u.hcall.params, sizeof(call.args));
	op = hypercall_op(&call);
	v->stats.hypercalls[call.nr < HYPERCALL_NR_MAX ? call.nr : 0]
			   [op < HYPERCALL_OP_MAX ? op : HYPERCALL_OP_MAX - 1]++;
	v->run->xen.u.hcall.result = (uint64_t)vm_hypercall(v->vm, &call);
}

static void crash(struct vcpu *v, const char *what, uint64_t detail)
{
	struct kvm_regs regs = { 0 };

	(void)ioctl(v->fd, KVM_GET_REGS, &regs);
	log_error("vCPU %u: %s (0x%" PRIx64 ") at 0x%llx: the guest has crashed", v->id, what,
		  detail, regs.rip);
	vm_end(v->vm, VM_CRASH);
}

static void handle_exit(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_XEN:
		handle_hypercall(v);
		break;
	case KVM_EXIT_IO:
		handle_io(v);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(v);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_IOAPIC_EOI:
		v->stats.other++;
		break;
	case KVM_EXIT_SHUTDOWN:
		crash(v, "triple fault", 0);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		crash(v, "the processor refuses its state",
		      v->run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		crash(v, "KVM internal error", v->run->internal.suberror);
		break;
	default:
		crash(v, "unexpected KVM exit", v->run->exit_reason);
		break;
	}
}

static void wait_while_parked(struct vcpu *v)
{
	pthread_mutex_lock(&v->park_lock);
	while (v->parked && !vm_ended(v->vm))
		pthread_cond_wait(&v->park_change, &v->park_lock);
	pthread_mutex_unlock(&v->park_lock);
}

/*
 * Clearing immediate_exit comes first: whoever kicks sets what we look at here before setting it, so
 * either we see it now or KVM_RUN returns at once.
 */
static bool may_run(struct vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	wait_while_parked(v);
	return !vm_ended(v->vm);
}

static void *run(void *data)
{
	struct vcpu *v = data;

	while (may_run(v)) {
		if (ioctl(v->fd, KVM_RUN, 0) == 0)
			handle_exit(v);
		else if (errno != EINTR && errno != EAGAIN)
			crash(v, "KVM_RUN fails", (uint64_t)errno);
	}
	return NULL;
}

static void on_kick(int sig)
{
}

int vcpu_start(struct vcpu *v)
{
	struct sigaction kick = { .sa_handler = on_kick };
	sigset_t all, old;
	int r;

	if (sigaction(KICK_SIGNAL, &kick, NULL) < 0)
		return -errno;
	sigfillset(&all);
	sigdelset(&all, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all,
			&old); /* signals for the program go to the main thread */
	r = pthread_create(&v->thread, NULL, run, v);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	__atomic_store_n(&v->started, r == 0, __ATOMIC_RELEASE); /* thread is set before */
	return -r;
}

static bool is_started(const struct vcpu *v)
{
	return __atomic_load_n(&v->started, __ATOMIC_ACQUIRE);
}

/* Also wakes one that is held: it may have to end. */
void vcpu_kick(struct vcpu *v)
{
	if (!is_started(v))
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (!pthread_equal(v->thread, pthread_self()))
		pthread_kill(v->thread, KICK_SIGNAL);
	pthread_mutex_lock(&v->park_lock);
	pthread_cond_broadcast(&v->park_change);
	pthread_mutex_unlock(&v->park_lock);
}

void vcpu_hold(struct vcpu *v)
{
	pthread_mutex_lock(&v->park_lock);
	v->parked++;
	pthread_mutex_unlock(&v->park_lock);
	vcpu_kick(v);
}

void vcpu_release(struct vcpu *v)
{
	pthread_mutex_lock(&v->park_lock);
	v->parked--;
	pthread_cond_broadcast(&v->park_change);
	pthread_mutex_unlock(&v->park_lock);
}

void vcpu_join(struct vcpu *v)
{
	if (!is_started(v))
		return;
	vcpu_kick(v);
	pthread_join(v->thread, NULL);
	__atomic_store_n(&v->started, false, __ATOMIC_RELEASE);
}

/* An ioctl from whatever thread: the vCPU is out of the guest until it is done. */
static int vcpu_ioctl(struct vcpu *v, unsigned long request, void *arg)
{
	bool foreign = is_started(v) && !pthread_equal(v->thread, pthread_self());
	int r;

	if (foreign)
		vcpu_hold(v);
	r = ioctl(v->fd, request, arg) < 0 ? -errno : 0;
	if (foreign)
		vcpu_release(v);
	return r;
}

int vcpu_attr(struct vcpu *v, const struct kvm_xen_vcpu_attr *attr)
{
	return vcpu_ioctl(v, KVM_XEN_VCPU_SET_ATTR, (void *)(uintptr_t)attr);
}

int vcpu_state(struct vcpu *v, struct kvm_regs *ret_regs, struct kvm_sregs *ret_sregs)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int r = vcpu_ioctl(v, KVM_GET_REGS, &regs);

	if (r == 0)
		r = vcpu_ioctl(v, KVM_GET_SREGS, &sregs);
	if (r < 0)
		return r;
	*ret_regs = regs;
	*ret_sregs = sregs;
	return 0;
}

bool vcpu_is_up(struct vcpu *v)
{
	struct kvm_mp_state state = { 0 };

	if (vcpu_ioctl(v, KVM_GET_MP_STATE, &state) < 0)
		return false;
	return state.mp_state != KVM_MP_STATE_UNINITIALIZED;
}
