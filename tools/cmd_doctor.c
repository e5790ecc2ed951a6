/* SPDX-License-Identifier: MIT */
/*
 * xenhost doctor: can this machine run guests, and if not, what is to be done? A list of checks, each of which
 * looks at one thing and changes nothing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/definition.h"
#include "tools/guest.h"
#include "tools/guest_file.h"
#include "tools/json.h"
#include "tools/process.h"

#define FILES_WANTED 4096
#define MEMORY_WANTED_KB (512ul << 10)

enum grade { FINE, NOTE, BAD }; /* BAD: no guest can run */

struct finding {
	enum grade grade;
	char what[256];	    /* is so */
	const char *remedy; /* NULL: nothing is to be done */
};

struct doctor {
	const char *rundir;
	bool json;
};

static int set_json(void *data, const char *value)
{
	((struct doctor *)data)->json = true;
	return 0;
}

static int set_rundir(void *data, const char *value)
{
	((struct doctor *)data)->rundir = value;
	return 0;
}

static const struct option_spec specs[] = {
	{ "json", NULL, "print JSON, for scripts", set_json },
	{ "rundir", "DIR", "run directory of the daemons (default: the system's)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

static struct finding found(enum grade grade, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static struct finding found(enum grade grade, const char *remedy, const char *fmt, ...)
{
	struct finding f = { .grade = grade, .remedy = remedy };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.what, sizeof(f.what), fmt, ap);
	va_end(ap);
	return f;
}

/* --- the processor and KVM --- */

/* a word of the first line of /proc/cpuinfo that begins so */
static bool cpu_has(const char *flag)
{
	_cleanup_free_ char *line = NULL;
	FILE *f = fopen("/proc/cpuinfo", "re");
	size_t size = 0;
	bool has = false;

	while (f && !has && getline(&line, &size, f) >= 0) {
		char *word, *save;

		if (strncmp(line, "flags", 5) != 0)
			continue;
		for (word = strtok_r(line, " \t\n", &save); word && !has;
		     word = strtok_r(NULL, " \t\n", &save))
			has = !strcmp(word, flag);
	}
	if (f)
		fclose(f);
	return has;
}

/* what matters is KVM; this says why it is not there */
static struct finding check_processor(const struct doctor *d)
{
	if (cpu_has("svm"))
		return found(FINE, NULL, "has AMD's virtualisation (svm)");
	if (cpu_has("vmx"))
		return found(FINE, NULL, "has Intel's virtualisation (vmx)");
	return found(access("/dev/kvm", F_OK) == 0 ? NOTE : BAD,
		     "switch virtualisation on in the firmware; in a virtual machine, let its host "
		     "allow nested ones",
		     "shows no virtualisation (neither svm nor vmx)");
}

static struct finding check_kvm(const struct doctor *d)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return found(BAD,
			     "become a member of group kvm: adduser $USER kvm, and log in anew",
			     "no permission for /dev/kvm");
	if (fd < 0)
		return found(BAD, "modprobe kvm_amd, or kvm_intel", "/dev/kvm: %s",
			     strerror(errno));
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0)
		return found(BAD, "see the kernel's log: dmesg | grep -i kvm",
			     "/dev/kvm makes no virtual machine: %s", strerror(errno));
	close(vm);
	return found(FINE, NULL, "/dev/kvm makes virtual machines");
}

#define XEN_NEEDED                                                               \
	(KVM_XEN_HVM_CONFIG_HYPERCALL_MSR | KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | \
	 KVM_XEN_HVM_CONFIG_SHARED_INFO | KVM_XEN_HVM_CONFIG_RUNSTATE |          \
	 KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND)
#define OTHER_KERNEL                                                                       \
	"boot a kernel of 5.19 or later with CONFIG_KVM_XEN=y: Debian 13's; in Debian 12 " \
	"apt install -t bookworm-backports linux-image-amd64"

/* what the kernel's own package says it was built with: 1 yes, 0 no, -1 not known */
static int kernel_has(const char *option)
{
	_cleanup_free_ char *line = NULL;
	const size_t len = strlen(option);
	struct utsname name;
	char path[512];
	size_t size = 0;
	int has = -1;
	FILE *f;

	uname(&name);
	snprintf(path, sizeof(path), "/boot/config-%s", name.release);
	f = fopen(path, "re");
	if (!f)
		return -1;
	has = 0;
	while (has == 0 && getline(&line, &size, f) >= 0)
		has = !strncmp(line, option, len) && line[len] == '=' &&
		      (line[len + 1] == 'y' || line[len + 1] == 'm');
	fclose(f);
	return has;
}

static struct finding check_xen(const struct doctor *d)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct utsname name;
	int flags;

	uname(&name);
	if (fd < 0 && kernel_has("CONFIG_KVM_XEN") == 0)
		return found(BAD, OTHER_KERNEL, "the kernel %s was built without CONFIG_KVM_XEN",
			     name.release);
	if (fd < 0)
		return found(BAD, "first KVM itself, see above", "not known without /dev/kvm");
	flags = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM);
	if (flags <= 0)
		return found(BAD, OTHER_KERNEL, "the kernel %s has no KVM_CAP_XEN_HVM",
			     name.release);
	if ((flags & XEN_NEEDED) != XEN_NEEDED)
		return found(BAD, OTHER_KERNEL, "the kernel %s has too old a KVM_CAP_XEN_HVM (%#x)",
			     name.release, (unsigned int)flags);
	return found(FINE, NULL, "the kernel %s serves Xen guests (%#x)", name.release,
		     (unsigned int)flags);
}

/* --- limits --- */

static struct finding check_memory(const struct doctor *d)
{
	_cleanup_free_ char *line = NULL;
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kb = 0;
	size_t size = 0;

	while (f && !kb && getline(&line, &size, f) >= 0)
		if (sscanf(line, "MemAvailable: %lu kB", &kb) != 1)
			kb = 0;
	if (f)
		fclose(f);
	if (kb < MEMORY_WANTED_KB)
		return found(NOTE,
			     "a guest's memory is allocated when it is made; --sparse changes that",
			     "only %lu MiB are free", kb >> 10);
	return found(FINE, NULL, "%lu MiB are free", kb >> 10);
}

static struct finding check_files(const struct doctor *d)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return found(NOTE, NULL, "the limit of open files is not known");
	if (limit.rlim_max < FILES_WANTED)
		return found(NOTE, "raise it in /etc/security/limits.conf: nofile 65536",
			     "at most %lu files may be open, which is enough for few guests",
			     (unsigned long)limit.rlim_max);
	return found(FINE, NULL, "%lu files may be open", (unsigned long)limit.rlim_max);
}

static struct finding check_memfd(const struct doctor *d)
{
	_cleanup_close_ int fd =
		(int)syscall(SYS_memfd_create, "xenhost-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return found(BAD, "a kernel with CONFIG_MEMFD_CREATE",
			     "no sealed memory files can be made: %s", strerror(errno));
	return found(FINE, NULL, "sealed memory files can be made");
}

static struct finding check_uring(const struct doctor *d)
{
	char params[256] = { 0 };
	long fd = syscall(SYS_io_uring_setup, 4, params);

	if (fd < 0)
		return found(NOTE, "sysctl kernel.io_uring_disabled=0, if it is there",
			     "io_uring cannot be used (%s): disks are slower", strerror(errno));
	close((int)fd);
	return found(FINE, NULL, "io_uring can be used");
}

static struct finding check_tun(const struct doctor *d)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return found(NOTE, "modprobe tun; without it there are no network cards",
			     "/dev/net/tun: %s", strerror(errno));
	if (geteuid() != 0)
		return found(NOTE, "as root: ip tuntap add NAME mode tap user $USER multi_queue",
			     "TAP devices can be opened, but you may not make any");
	return found(FINE, NULL, "TAP devices can be made");
}

static struct finding check_bridge(const struct doctor *d)
{
	if (access("/sys/class/net/xenbr0/bridge", F_OK) == 0)
		return found(FINE, NULL, "xenbr0 is there");
	return found(NOTE,
		     "ip link add xenbr0 type bridge; or name another one: vif = [ 'bridge=NAME' ]",
		     "there is no bridge xenbr0, which cards without bridge= are joined to");
}

/* --- programs --- */

static struct finding check_programs(const struct doctor *d)
{
	static const char *const names[] = { "bridged", "xenstored", "vmm", "blkbackd",
					     "netbackd" };
	char path[4096];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (process_find(names[i], path) < 0)
			return found(BAD, "install the package xenhost, or set XENHOST_DAEMONS",
				     "xenhost-%s is not found", names[i]);
	return found(FINE, NULL, "all daemons are there");
}

static struct finding check_grub(const struct doctor *d)
{
	const char *path = guest_file_grub();

	if (access(path, R_OK) < 0)
		return found(NOTE,
			     "apt install grub-xen-host; only guests without a kernel need it",
			     "%s: %s", path, strerror(errno));
	return found(FINE, NULL, "%s boots guests' own disks", path);
}

static struct finding check_daemons(const struct doctor *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *rundir = connect_rundir(d->rundir);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" BRIDGE_SOCKET_TOOL, rundir);

	if (fd < 0 || n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return found(NOTE, NULL, "the run directory %s has too long a name", rundir);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return found(FINE, NULL, "xenhost-bridged runs at %s", rundir);
	if (errno == EACCES)
		return found(NOTE, "be root, or a member of group xenhost", "no permission for %s",
			     addr.sun_path);
	return found(NOTE,
		     "systemctl start xenhost.target; xenhost run needs none, it starts its own",
		     "no xenhost-bridged runs at %s", rundir);
}

/* what else serves Xen guests here */
static struct finding check_xen_host(const struct doctor *d)
{
	if (access("/proc/xen/capabilities", F_OK) == 0)
		return found(NOTE, "boot the kernel without Xen to use KVM",
			     "this machine runs under Xen, or is one of its guests");
	if (access("/run/xenstored/socket", F_OK) == 0)
		return found(NOTE, "systemctl disable --now xenstored, if nothing else needs it",
			     "Xen's own xenstored is there, too: tools of Xen will talk to that");
	return found(FINE, NULL, "nothing of Xen's own is in the way");
}

static struct finding check_guests(const struct doctor *d)
{
	char **names = NULL;
	size_t nr = 0, bad = 0;

	if (access(guest_folder(), F_OK) == 0 && access(guest_folder(), R_OK | X_OK) < 0)
		return found(NOTE, "be root to see them", "no permission for %s", guest_folder());
	if (definition_names(&names, &nr) < 0)
		return found(NOTE, NULL, "%s cannot be read", guest_folder());
	for (size_t i = 0; i < nr; i++) {
		struct guest g;

		guest_init(&g);
		if (definition_read(names[i], &g) < 0)
			bad++;
		guest_fini(&g);
	}
	definition_names_free(names, nr);
	if (bad)
		return found(NOTE, "xenhost edit NAME; what is wrong stands above",
			     "%zu of %zu known guests have mistakes", bad, nr);
	return found(FINE, NULL, "%zu guests are known", nr);
}

static struct finding check_grants(const struct doctor *d)
{
	return found(FINE, NULL,
		     "direct: back ends hold a guest's memory and check its grants themselves");
}

/* --- all of them --- */

static const struct {
	const char *name;
	struct finding (*check)(const struct doctor *d);
} checks[] = {
	{ "processor", check_processor }, { "kvm", check_kvm },
	{ "kvm-xen", check_xen },	  { "memory", check_memory },
	{ "memory-files", check_memfd },  { "open-files", check_files },
	{ "io_uring", check_uring },	  { "network", check_tun },
	{ "bridge", check_bridge },	  { "programs", check_programs },
	{ "grub", check_grub },		  { "daemons", check_daemons },
	{ "xen", check_xen_host },	  { "guests", check_guests },
	{ "grants", check_grants },
};

static void print(const struct doctor *d, const char *name, const struct finding *f, bool first)
{
	static const char *const marks[] = { "ok", "note", "BAD" };
	static const char *const grades[] = { "ok", "note", "bad" };

	if (!d->json) {
		printf("%-4s  %-13s %s\n", marks[f->grade], name, f->what);
		if (f->remedy)
			printf("%20s-> %s\n", "", f->remedy);
		return;
	}
	printf("%s{\"check\": \"%s\", \"grade\": \"%s\", \"what\": ", first ? "[" : ",\n ", name,
	       grades[f->grade]);
	json_string(stdout, f->what);
	printf(", \"remedy\": ");
	if (f->remedy)
		json_string(stdout, f->remedy);
	else
		printf("null");
	printf("}");
}

static bool examine(const struct doctor *d)
{
	bool healthy = true;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct finding f = checks[i].check(d);

		print(d, checks[i].name, &f, i == 0);
		healthy = healthy && f.grade != BAD;
	}
	if (d->json)
		printf("]\n");
	else
		printf("\n%s\n", healthy ? "This machine can run guests."
					 : "This machine cannot run guests; see BAD above.");
	return healthy;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost doctor",
		.purpose = "Checks whether this machine can run guests, and says what to do.",
		.page = "xenhost-doctor(1)",
	};
	struct doctor d = { 0 };
	const struct option_table table = { specs, &d };
	int i = options_parse(&options, argc, argv, &table, 1);

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	return examine(&d) ? 0 : 1;
}
