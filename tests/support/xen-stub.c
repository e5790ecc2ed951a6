/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into Debian's own xenstored or oxenstored (package xen-utils): answers what they ask of Xen, so
 * that they serve their Unix socket on a machine without Xen. For comparing with them only.
 *
 * Every domid below DOMID_FIRST_RESERVED is a running domain, grants are pages of zeros, event channels are
 * never pending. oxenstored has its paths built in: those below /run/xenstored are moved to the folder that
 * XEN_STUB_RUNDIR names. The daemons have one thread.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define XC_WANT_COMPAT_MAP_FOREIGN_API 1
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define PUBLIC __attribute__((visibility("default")))
#define PAGE 4096

/* handles are never looked into but by us */
static void *handle(void)
{
	static char one;

	return &one;
}

/* --- hypercalls --- */

PUBLIC xc_interface *xc_interface_open(xentoollog_logger *logger,
				       xentoollog_logger *dombuild_logger, unsigned int open_flags)
{
	return handle();
}

PUBLIC int xc_interface_close(xc_interface *xch)
{
	return 0;
}

#if XEN_DOMCTL_INTERFACE_VERSION < 0x16 /* before Xen 4.18 */
PUBLIC int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid, unsigned int max_doms,
			     xc_dominfo_t *info)
{
	if (first_domid >= DOMID_FIRST_RESERVED || !max_doms)
		return 0;
	memset(info, 0, sizeof(*info));
	info->domid = first_domid;
	info->running = 1;
	info->hvm = 1;
	return 1;
}
#else
PUBLIC int xc_domain_getinfo_single(xc_interface *xch, uint32_t domid, xc_domaininfo_t *info)
{
	if (xc_domain_getinfolist(xch, domid, 1, info) == 1)
		return 0;
	errno = ESRCH;
	return -1;
}
#endif

PUBLIC int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain, unsigned int max_domains,
				 xc_domaininfo_t *info)
{
	if (first_domain >= DOMID_FIRST_RESERVED || !max_domains)
		return 0;
	memset(info, 0, sizeof(*info));
	info->domain = (domid_t)first_domain;
	info->flags = XEN_DOMINF_running;
	return 1;
}

PUBLIC void *xc_map_foreign_range(xc_interface *xch, uint32_t dom, int size, int prot,
				  unsigned long mfn)
{
	void *p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	return p == MAP_FAILED ? NULL : p;
}

/* --- event channels --- */

static int event_fd = -1;

static xenevtchn_handle *event_open(void)
{
	if (event_fd < 0)
		event_fd = eventfd(0, EFD_NONBLOCK);
	return event_fd < 0 ? NULL : handle();
}

PUBLIC xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned int flags)
{
	return event_open();
}

PUBLIC xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd,
					  unsigned int open_flags)
{
	return event_open();
}

PUBLIC int xenevtchn_close(xenevtchn_handle *xce)
{
	return 0;
}

PUBLIC int xenevtchn_fd(xenevtchn_handle *xce)
{
	return event_fd;
}

PUBLIC int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

static xenevtchn_port_or_error_t next_port(void)
{
	static int port;

	return ++port;
}

PUBLIC xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
							    evtchn_port_t remote_port)
{
	return next_port();
}

PUBLIC xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	return next_port();
}

PUBLIC int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

PUBLIC xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	errno = EAGAIN;
	return -1;
}

PUBLIC int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	return 0;
}

/* --- grants --- */

PUBLIC xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned int open_flags)
{
	return handle();
}

PUBLIC int xengnttab_close(xengnttab_handle *xgt)
{
	return 0;
}

PUBLIC int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
	return 0;
}

PUBLIC void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

PUBLIC int xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
	return munmap(start_address, (size_t)count * PAGE);
}

/* --- paths and limits --- */

static const char *moved(const char *path, char *buf, size_t size)
{
	static const char *const from[] = { "/var/run/xenstored", "/run/xenstored" };
	const char *to = getenv("XEN_STUB_RUNDIR");

	for (size_t i = 0; to && i < sizeof(from) / sizeof(from[0]); i++) {
		const size_t len = strlen(from[i]);

		if (!strncmp(path, from[i], len) && (path[len] == '/' || !path[len])) {
			snprintf(buf, size, "%s%s", to, path + len);
			return buf;
		}
	}
	return path;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Domain 0's port and page, which the kernel gives by files. -1: not one of them */
static int open_of_xen(const char *path)
{
	int fd;

	if (strcmp(path, "/proc/xen/xsd_port") && strcmp(path, "/proc/xen/xsd_kva"))
		return -1;
	fd = memfd_create("xen-stub", 0);
	if (fd < 0 || ftruncate(fd, PAGE) < 0)
		return -1;
	if (strstr(path, "xsd_port") && (ftruncate(fd, 0) < 0 || pwrite(fd, "1", 1, 0) != 1))
		return -1;
	return fd;
}

PUBLIC int open(const char *path, int flags, ...)
{
	const int fd = open_of_xen(path);
	va_list args;
	mode_t mode;

	if (fd >= 0)
		return fd;
	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}

/* what oxenstored uses */
PUBLIC int open64(const char *path, int flags, ...)
{
	char buf[4096];
	const int fd = open_of_xen(path);
	va_list args;
	mode_t mode;

	if (fd >= 0)
		return fd;
	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	return REAL(openat)(AT_FDCWD, moved(path, buf, sizeof(buf)), flags, mode);
}

PUBLIC int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char buf[sizeof(un.sun_path)];
	const char *path;

	if (addr->sa_family != AF_UNIX || len > sizeof(un))
		return REAL(bind)(fd, addr, len);
	memcpy(&un, addr, len);
	un.sun_path[sizeof(un.sun_path) - 1] = 0;
	path = moved(un.sun_path, buf, sizeof(buf));
	if (path != buf)
		return REAL(bind)(fd, addr, len);
	memcpy(un.sun_path, buf, sizeof(buf));
	return REAL(bind)(fd, (struct sockaddr *)&un, sizeof(un));
}

PUBLIC int unlink(const char *path)
{
	char buf[4096];

	return REAL(unlink)(moved(path, buf, sizeof(buf)));
}

PUBLIC int mkdir(const char *path, mode_t mode)
{
	char buf[4096];

	return REAL(mkdir)(moved(path, buf, sizeof(buf)), mode);
}

/* oxenstored ends when it may not raise its number of descriptors */
PUBLIC int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	(void)REAL(setrlimit)(resource, limit);
	return 0;
}
