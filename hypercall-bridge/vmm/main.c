/* SPDX-License-Identifier: MIT */
/*
 * xenhost-vmm: one Xen PVH guest on KVM. The exit status says how the guest ended:
 * 0 powered off or ended on request, 1 it could not be started, 2 usage, 3 reboot asked for, 4 crashed,
 * 5 watchdog, 7 xenhost-bridged was lost.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"
#include "hypercall-bridge/vmm/bridge.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/sandbox.h"
#include "hypercall-bridge/vmm/vm.h"

#define MEMORY_DEFAULT (256ull << 20)
#define SUN_PATH_MAX 108
#define LOG_SIZE (1u << 20)
#define LOG_RATE (64u << 10)

static const int exit_status[] = {
	[VM_RUNNING] = 1,  [VM_POWEROFF] = 0,  [VM_REBOOT] = 3, [VM_CRASH] = 4,
	[VM_WATCHDOG] = 5, [VM_DESTROYED] = 0, [VM_LOST] = 7,
};

static const char *const end_text[] = {
	[VM_RUNNING] = "",
	[VM_POWEROFF] = "the guest powered off",
	[VM_REBOOT] = "the guest asked for a reboot",
	[VM_CRASH] = "the guest crashed",
	[VM_WATCHDOG] = "the guest's watchdog ended it",
	[VM_DESTROYED] = "the guest was ended on request",
	[VM_LOST] = "xenhost-bridged is gone: the guest ends",
};

static int set_name(void *data, const char *value)
{
	size_t len = strlen(value);

	((struct vm_config *)data)->name = value;
	return len > 0 && len < BRIDGE_NAME_MAX && !strchr(value, '/') ? 0 : -EINVAL;
}

static int set_kernel(void *data, const char *value)
{
	((struct vm_config *)data)->kernel = value;
	return 0;
}

static int set_initrd(void *data, const char *value)
{
	((struct vm_config *)data)->initrd = value;
	return 0;
}

static int set_kernel_cache(void *data, const char *value)
{
	((struct vm_config *)data)->kernel_cache = value;
	return *value ? 0 : -EINVAL;
}

static int set_cmdline(void *data, const char *value)
{
	((struct vm_config *)data)->cmdline = value;
	return 0;
}

static int set_memory(void *data, const char *value)
{
	unsigned long long bytes;

	if (options_size(value, &bytes) < 0)
		return -EINVAL;
	if (bytes < MEM_SIZE_MIN || bytes > MEM_SIZE_MAX || bytes % 4096)
		return -EINVAL;
	((struct vm_config *)data)->memory = bytes;
	return 0;
}

static int set_sparse(void *data, const char *value)
{
	((struct vm_config *)data)->sparse = true;
	return 0;
}

static int set_vcpus(void *data, const char *value)
{
	unsigned long long n;

	if (options_number(value, 1, VM_VCPUS_MAX, &n) < 0)
		return -EINVAL;
	((struct vm_config *)data)->nr_vcpus = (unsigned int)n;
	return 0;
}

static int set_console(void *data, const char *value)
{
	struct console_config *c = &((struct vm_config *)data)->console;

	c->no_stdio = !strcmp(value, "none");
	return c->no_stdio || !strcmp(value, "stdio") ? 0 : -EINVAL;
}

static int set_console_socket(void *data, const char *value)
{
	((struct vm_config *)data)->console.socket = value;
	return 0;
}

static int set_console_pty(void *data, const char *value)
{
	((struct vm_config *)data)->console.pty = value;
	return 0;
}

static int set_console_log(void *data, const char *value)
{
	((struct vm_config *)data)->console.log.path = value;
	return 0;
}

static int set_log_size(void *data, const char *value)
{
	unsigned long long size;

	if (options_size(value, &size) < 0 || size < CONLOG_CAP_MIN)
		return -EINVAL;
	((struct vm_config *)data)->console.log.cap = size;
	return 0;
}

static int set_log_rate(void *data, const char *value)
{
	unsigned long long rate;

	if (options_size(value, &rate) < 0 || rate > 1ULL << 40)
		return -EINVAL;
	((struct vm_config *)data)->console.log.rate = rate;
	return 0;
}

static const struct option_spec options[] = {
	{ "name", "NAME", "of the guest (required)", set_name },
	{ "kernel", "FILE", "bzImage or ELF kernel with a PVH entry (required)", set_kernel },
	{ "kernel-cache", "DIR", "keep unpacked kernels there, for later starts (default: nowhere)",
	  set_kernel_cache },
	{ "initrd", "FILE", "initial RAM disk", set_initrd },
	{ "append", "STRING", "kernel command line", set_cmdline },
	{ "memory", "SIZE", "of the guest: bytes, or with K, M, G, T; 16M to 1T (default: 256M)",
	  set_memory },
	{ "sparse", NULL, "allocate memory only when the guest touches it", set_sparse },
	{ "vcpus", "N", "number of vCPUs, 1 to 32 (default: 1)", set_vcpus },
	{ "console", "KIND", "stdio or none (default: stdio)", set_console },
	{ "console-socket", "PATH", "socket for viewers of the console", set_console_socket },
	{ "console-pty", "LINK", "make a pseudoterminal for the console, with this link to it",
	  set_console_pty },
	{ "console-log", "FILE", "what the guest prints; FILE.1 when it is full", set_console_log },
	{ "console-log-size", "SIZE", "of each of the two (default: 1M)", set_log_size },
	{ "console-log-rate", "SIZE", "bytes a second, 0: any (default: 64K)", set_log_rate },
	{ NULL, NULL, NULL, NULL },
};

struct control {
	struct daemon *daemon;
	struct vm *vm;
};

static void handle_event(struct control *c, const struct bridge_event *event)
{
	switch (event->kind) {
	case BRIDGE_EVENT_UNPAUSE:
		if (vm_unpause(c->vm) < 0)
			vm_end(c->vm, VM_CRASH);
		break;
	case BRIDGE_EVENT_PAUSE:
		if (vm_pause(c->vm) < 0)
			vm_end(c->vm, VM_CRASH);
		break;
	case BRIDGE_EVENT_DESTROY:
		vm_destroy(c->vm);
		break;
	case BRIDGE_EVENT_PORT:
		vm_port_event(c->vm, event);
		break;
	case BRIDGE_EVENT_DUMP:
		vm_dump(c->vm, event->file, event->status);
		break;
	case BRIDGE_EVENT_OTHER:
		break;
	}
}

static void on_bridge(evutil_socket_t fd, short what, void *data)
{
	struct control *c = data;
	struct bridge_event event;
	int r;

	while ((r = bridge_next_event(c->vm->bridge, &event)) > 0)
		handle_event(c, &event);
	if (r < 0) {
		vm_end(c->vm, VM_LOST);
		vm_destroy(c->vm);
	}
}

static void on_news(evutil_socket_t fd, short what, void *data)
{
	struct control *c = data;
	bool was_over = c->vm->state == VM_STATE_OVER;
	int r = vm_news(c->vm);

	if (!was_over && c->vm->state == VM_STATE_OVER)
		log_info("%s", end_text[vm_ended(c->vm)]);
	if (r < 0)
		log_warning("xenhost-bridged could not be told how the guest ended");
	if (r != 0)
		event_base_loopbreak(c->daemon->base);
}

static int watch(struct control *c, int fd, event_callback_fn fn, struct event **ret)
{
	*ret = event_new(c->daemon->base, fd, EV_READ | EV_PERSIST, fn, c);
	return *ret && event_add(*ret, NULL) == 0 ? 0 : -ENOMEM;
}

/* Before the guest's first instruction. */
static int confine(void)
{
	int r = sandbox_enter();

	if (r > 0)
		log_info("not confined: this is a build with sanitizers");
	else if (r < 0)
		log_error("cannot confine this process (seccomp): %s", strerror(-r));
	return r < 0 ? r : 0;
}

/* From a paused guest to its end. */
static int serve(struct control *c)
{
	struct event *bridge = NULL, *news = NULL;
	int r;

	r = watch(c, bridge_fd(c->vm->bridge), on_bridge, &bridge);
	if (r == 0)
		r = watch(c, c->vm->news_fd, on_news, &news);
	if (r == 0)
		r = daemon_ready(c->daemon);
	if (r == 0)
		r = confine();
	if (r == 0 && event_base_dispatch(c->daemon->base) < 0)
		r = -EIO;
	if (bridge)
		event_free(bridge);
	if (news)
		event_free(news);
	return r;
}

static int finish(struct vm *vm)
{
	enum vm_end why;

	vm_join(vm); /* a signal ended the loop: VM_DESTROYED */
	why = vm_ended(vm);
	vm_print_statistics(vm);
	if (vm->state != VM_STATE_OVER)
		log_info("%s", end_text[why]);
	return exit_status[why];
}

static int run(struct daemon *d, const struct vm_config *config)
{
	_cleanup_(vm_freep) struct vm *vm = NULL;
	char path[SUN_PATH_MAX];
	struct control c = { .daemon = d };
	int r;

	r = daemon_path(d, BRIDGE_SOCKET_VMM, path, sizeof(path));
	if (r < 0) {
		log_error("run directory %s: its name is too long for a socket", d->rundir);
		return 1;
	}
	r = vm_new(config, path, d->base, &vm);
	if (r < 0)
		return 1;
	c.vm = vm;
	r = serve(&c);
	if (r < 0) {
		log_error("cannot serve the guest: %s", strerror(-r));
		return 1;
	}
	return finish(vm);
}

int main(int argc, char **argv)
{
	struct daemon d = { .name = "xenhost-vmm", .purpose = "Runs one Xen PVH guest on KVM." };
	struct vm_config config = { .cmdline = "",
				    .memory = MEMORY_DEFAULT,
				    .nr_vcpus = 1,
				    .console.log = { .cap = LOG_SIZE, .rate = LOG_RATE } };
	int r = daemon_options(&d, argc, argv, options, &config);

	if (r != 0)
		return r > 0 ? 0 : 2;
	if (!config.name || !config.kernel) {
		log_error("--name and --kernel are required; xenhost-vmm --help lists the options");
		return 2;
	}
	r = daemon_loop_new(&d);
	if (r < 0)
		return 1;
	r = run(&d, &config);
	daemon_loop_free(&d);
	return r;
}
