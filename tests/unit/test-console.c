/* SPDX-License-Identifier: MIT */
/*
 * The guest's console with all that people put at its end: a terminal (raw, ^] ends the guest), a pipe, viewers
 * of the socket, a pseudoterminal, a log. The test plays the guest on the ring page.
 */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/xen.h"
#include "hypercall-bridge/vmm/console.h"
#include "hypercall-bridge/vmm/conview.h"
#include "tests/support/unit.h"

static union {
	struct xencons_interface ring;
	uint8_t bytes[4096];
} page;

static char dir[64], path[4][128]; /* socket, link to the pseudoterminal, log, its second file */
static struct event_base *base;
static struct console *c;
static int guest[2];	  /* the guest's end of the event channel: wait, notify */
static int ours[2];	  /* our ends of its standard input and output */
static unsigned int left; /* how often it was asked to end the guest */

static void on_leave(void *data)
{
	left++;
}

static void setup(void)
{
	static const char *const names[] = { "socket", "tty", "log", "log.1" };

	memset(&page, 0, sizeof(page));
	left = 0;
	strcpy(dir, "/tmp/xenhost-console-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (int i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", dir, names[i]);
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
}

static void teardown(void)
{
	c = console_free(c);
	event_base_free(base);
	for (int i = 0; i < 4; i++)
		unlink(path[i]);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* its standard input and output from now on */
static void put_in_place(int in, int out)
{
	ck_assert_int_eq(dup2(in, STDIN_FILENO), STDIN_FILENO);
	ck_assert_int_eq(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
}

static void open_pipes(void)
{
	int in[2], out[2];

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	put_in_place(in[0], out[1]);
	ours[0] = in[1];
	ours[1] = out[0];
}

static void open_terminal(void)
{
	int theirs;

	ck_assert_int_eq(openpty(&ours[0], &theirs, NULL, NULL, NULL), 0);
	ours[1] = ours[0];
	put_in_place(theirs, theirs);
}

static void start(const struct console_config *config)
{
	ck_assert_int_eq(console_new(base, config, &page, on_leave, NULL, &c), 0);
	ck_assert_int_eq(console_guest_fds(c, guest), 0);
	ck_assert_int_eq(console_start(c), 0);
}

static bool is_raw(void)
{
	struct termios t;

	ck_assert_int_eq(tcgetattr(STDIN_FILENO, &t), 0);
	return !(t.c_lflag & (ICANON | ECHO | ISIG));
}

static void notify(void)
{
	static const uint64_t one = 1;

	ck_assert_int_eq(write(guest[1], &one, sizeof(one)), sizeof(one));
}

static void guest_writes(const char *text, size_t len)
{
	while (len--)
		page.ring.out[page.ring.out_prod++ % sizeof(page.ring.out)] = *text++;
	notify();
}

/* what the guest has been given so far is exactly this: by then it has had its event */
static void guest_reads(const char *text)
{
	struct pollfd event = { .fd = guest[0], .events = POLLIN };

	while (page.ring.in_prod < strlen(text))
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(page.ring.in_prod, strlen(text));
	ck_assert_mem_eq(page.ring.in, text, strlen(text));
	ck_assert_int_eq(poll(&event, 1, 0), 1);
}

/* reads this much of it; the console runs meanwhile */
static void expect(int fd, const char *text, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[4096];
	size_t n;

	for (; len; text += n, len -= n) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (poll(&p, 1, 1) == 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
		n = (size_t)read(fd, buf, len < sizeof(buf) ? len : sizeof(buf));
		ck_assert_uint_ge(n, 1);
		ck_assert_uint_le(n, len);
		ck_assert_mem_eq(buf, text, n);
	}
}

static void expect_text(int fd, const char *text)
{
	expect(fd, text, strlen(text));
}

/* one more viewer, whom the console has seen: it gives the last output first */
static int viewer(const char *last)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(addr.sun_path, path[0],
	       sizeof(path[0]) < sizeof(addr.sun_path) ? sizeof(path[0])
						       : sizeof(addr.sun_path) - 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	expect_text(fd, last);
	return fd;
}

static void type(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Ctrl-C and all other keys are the guest's; ^] ends it, and the terminal is as it was. */
START_TEST(terminal)
{
	open_terminal();
	ck_assert(!is_raw());
	start(&(struct console_config){ 0 });
	ck_assert(is_raw());
	type(ours[0], "ab\x03");
	guest_reads("ab\x03");
	guest_writes("hello", 5);
	expect_text(ours[1], "hello");
	ck_assert_uint_eq(left, 0);
	type(ours[0], "cd\x1d"
		      "ef");
	while (!left)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(left, 1);
	guest_reads("ab\x03"
		    "cd");
	c = console_free(c);
	ck_assert(!is_raw());
}
END_TEST

/* a file or a program may send any byte */
START_TEST(no_escape_in_a_pipe)
{
	open_pipes();
	start(&(struct console_config){ 0 });
	type(ours[0], "a\x1d"
		      "b");
	guest_reads("a\x1d"
		    "b");
	ck_assert_uint_eq(left, 0);
}
END_TEST

static int open_tty(void)
{
	char name[128];
	ssize_t n = readlink(path[1], name, sizeof(name) - 1);
	int fd;

	ck_assert_int_gt(n, 0);
	name[n] = '\0';
	fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* everybody sees everything, and may type */
START_TEST(all_at_once)
{
	int tty, log, viewers[2];

	open_pipes();
	start(&(struct console_config){
		.socket = path[0],
		.pty = path[1],
		.log = { .path = path[2], .cap = CONLOG_CAP_MIN, .rate = 0 } });
	guest_writes("early ", 6);
	expect_text(ours[1], "early ");
	tty = open_tty();
	viewers[0] = viewer("early ");
	viewers[1] = viewer("early ");
	guest_writes("late", 4);
	expect_text(ours[1], "late");
	expect_text(viewers[0], "late");
	expect_text(viewers[1], "late");
	expect_text(tty, "early late");
	log = open(path[2], O_RDONLY | O_CLOEXEC);
	expect_text(log, "early late");

	type(viewers[0], "1");
	guest_reads("1");
	type(viewers[1], "2");
	guest_reads("12");
	type(tty, "3");
	guest_reads("123");
	type(ours[0], "4");
	guest_reads("1234");
	/* one who leaves, and what he typed last */
	close(viewers[0]);
	guest_writes("!", 1);
	expect_text(viewers[1], "!");
}
END_TEST

/* A viewer that does not read keeps nobody waiting, and is told what it missed. */
START_TEST(slow_viewer)
{
	static char text[1024];
	int slow, quick;
	char buf[4096];
	size_t sum = 0;

	open_pipes();
	start(&(struct console_config){ .socket = path[0] });
	guest_writes(">", 1);
	expect_text(ours[1], ">");
	slow = viewer(">");
	quick = viewer(">");
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 1024; i++) {
		guest_writes(text, sizeof(text));
		expect(ours[1], text, sizeof(text));
		expect(quick, text, sizeof(text));
	}
	ck_assert_int_eq(fcntl(slow, F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		ssize_t n;

		event_base_loop(base, EVLOOP_NONBLOCK);
		n = read(slow, buf, sizeof(buf));
		if (n <= 0)
			break;
		sum += (size_t)n;
	}
	ck_assert_uint_lt(sum, 1024 * sizeof(text));
	ck_assert_uint_ge(sum, CONVIEW_BUFFER);
	guest_writes("on", 2);
	expect_text(quick, "on");
	sum = 0;
	while (!memmem(buf, sum, "on", 2)) {
		ssize_t n;

		event_base_loop(base, EVLOOP_NONBLOCK);
		n = read(slow, buf + sum, sizeof(buf) - sum);
		sum += n > 0 ? (size_t)n : 0;
	}
	ck_assert_ptr_nonnull(memmem(buf, sum, "lost", 4));
}
END_TEST

/* what the guest does to its ring ends the console, not the program */
START_TEST(broken_ring)
{
	open_pipes();
	start(&(struct console_config){ .socket = path[0] });
	guest_writes("a", 1);
	expect_text(ours[1], "a");
	page.ring.out_prod += 100000;
	notify();
	event_base_loop(base, EVLOOP_ONCE);
	type(ours[0], "b");
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(page.ring.in_prod, 0);
}
END_TEST

UNIT_MAIN_WITH("console", setup, teardown, terminal, no_escape_in_a_pipe, all_at_once, slow_viewer,
	       broken_ring)
