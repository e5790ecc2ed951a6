/* SPDX-License-Identifier: MIT */
/*
 * xs: what a guest under test needs and busybox has not. The Xenstore as the guest's own kernel gives it
 * (/dev/xen/xenbus), and kexec. Stands alone; linked statically into the guest's initramfs.
 *   xs read PATH | write PATH VALUE | list PATH
 *   xs wait PATH SECONDS    prints the value of PATH as soon as it is not empty
 *   xs kexec KERNEL INITRD COMMANDLINE
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#define KEXEC_COMMAND 0x45584543 /* reboot(2): LINUX_REBOOT_CMD_KEXEC */

struct reply {
	struct xsd_sockmsg head;
	char body[XENSTORE_PAYLOAD_MAX + 1];
};

static int fail(const char *what)
{
	fprintf(stderr, "xs: %s: %s\n", what, strerror(errno));
	return 1;
}

static int read_all(int fd, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)to + done, len - done);

		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int receive(int fd, struct reply *r)
{
	if (read_all(fd, &r->head, sizeof(r->head)) < 0 || r->head.len > XENSTORE_PAYLOAD_MAX ||
	    read_all(fd, r->body, r->head.len) < 0)
		return -1;
	r->body[r->head.len] = '\0';
	return 0;
}

/* One request; events that come before its answer are dropped. 0, or 1 with the store's error in body. */
static int ask(int fd, uint32_t type, const char *body, size_t len, struct reply *r)
{
	struct {
		struct xsd_sockmsg head;
		char body[XENSTORE_PAYLOAD_MAX];
	} request = { .head = { .type = type, .req_id = 1, .len = (uint32_t)len } };

	if (len > sizeof(request.body))
		return -1;
	memcpy(request.body, body, len);
	if (write(fd, &request, sizeof(request.head) + len) < 0)
		return -1;
	do {
		if (receive(fd, r) < 0)
			return -1;
	} while (r->head.type == XS_WATCH_EVENT);
	return r->head.type == XS_ERROR;
}

static int print_answer(int fd, uint32_t type, const char *path)
{
	static struct reply r;
	int error = ask(fd, type, path, strlen(path) + 1, &r);

	if (error < 0)
		return fail(path);
	if (error) {
		fprintf(stderr, "xs: %s: %s\n", path, r.body);
		return 1;
	}
	for (uint32_t i = 0; i < r.head.len; i++)
		if (!r.body[i])
			r.body[i] = ' '; /* a list's separator */
	printf("%s\n", r.body);
	return 0;
}

static int write_node(int fd, const char *path, const char *value)
{
	static struct reply r;
	char body[XENSTORE_PAYLOAD_MAX];
	int n = snprintf(body, sizeof(body), "%s%c%s", path, 0, value), error;

	if (n < 0 || (size_t)n >= sizeof(body))
		return 1;
	error = ask(fd, XS_WRITE, body, (size_t)n, &r);
	if (error < 0)
		return fail(path);
	if (error)
		fprintf(stderr, "xs: %s: %s\n", path, r.body);
	return error;
}

static int wait_node(int fd, const char *path, int seconds)
{
	static struct reply r;
	time_t end = time(NULL) + seconds;
	char body[512];
	int n = snprintf(body, sizeof(body), "%s%ctoken", path, 0);

	if (ask(fd, XS_WATCH, body, (size_t)n + 1, &r) != 0)
		return fail("watch");
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int error = ask(fd, XS_READ, path, strlen(path) + 1, &r);
		int left = (int)(end - time(NULL));

		if (error < 0)
			return fail(path);
		if (!error && r.head.len) {
			printf("%s\n", r.body);
			return 0;
		}
		if (left <= 0 || poll(&pfd, 1, left * 1000) < 0 || receive(fd, &r) < 0)
			return fail("wait");
	}
}

static int kexec(const char *kernel, const char *initrd, const char *cmdline)
{
	int k = open(kernel, O_RDONLY), i = open(initrd, O_RDONLY);

	if (k < 0 || i < 0)
		return fail("open");
	if (syscall(SYS_kexec_file_load, k, i, strlen(cmdline) + 1, cmdline, 0UL) < 0)
		return fail("kexec_file_load");
	reboot(KEXEC_COMMAND);
	return fail("reboot");
}

int main(int argc, char **argv)
{
	int fd;

	if (argc == 5 && !strcmp(argv[1], "kexec"))
		return kexec(argv[2], argv[3], argv[4]);
	fd = open("/dev/xen/xenbus", O_RDWR);
	if (fd < 0)
		return fail("/dev/xen/xenbus");
	if (argc == 3 && !strcmp(argv[1], "read"))
		return print_answer(fd, XS_READ, argv[2]);
	if (argc == 3 && !strcmp(argv[1], "list"))
		return print_answer(fd, XS_DIRECTORY, argv[2]);
	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_node(fd, argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "wait"))
		return wait_node(fd, argv[2], atoi(argv[3]));
	fprintf(stderr, "usage: xs read|list|write|wait|kexec ARGUMENT...\n");
	return 2;
}
