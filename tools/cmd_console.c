/* SPDX-License-Identifier: MIT */
/* xenhost console: this terminal becomes a viewer of a guest's console; ^] leaves it. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/console_path.h"

#define ESCAPE 0x1d /* ^] */

struct viewer {
	const char *rundir;
	int fd;
	bool raw;
	struct termios saved;
};

static int set_rundir(void *data, const char *value)
{
	((struct viewer *)data)->rundir = value;
	return 0;
}

static const struct option_spec specs[] = {
	{ "rundir", "DIR", "run directory of the guest's daemons (default: the system's)",
	  set_rundir },
	{ NULL, NULL, NULL, NULL },
};

static int open_console(struct viewer *v, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r = console_path(v->rundir, name, addr.sun_path, sizeof(addr.sun_path));

	if (r == 0) {
		v->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (v->fd < 0 || connect(v->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
			r = -errno;
	}
	if (r < 0)
		log_error(
			"cannot reach the console of %s at %s: %s; does the guest run? xenhost domain list",
			name, addr.sun_path, strerror(-r));
	return r;
}

static void set_raw(struct viewer *v)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &v->saved) < 0)
		return;
	t = v->saved;
	cfmakeraw(&t);
	v->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0;
	if (v->raw)
		log_info("console attached: ^] leaves it\r");
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* 1 copied something, 0 the end, -errno */
static int copy(int from, int to, bool escape)
{
	char text[4096], *leave;
	ssize_t n = read(from, text, sizeof(text));
	int r;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	leave = escape ? memchr(text, ESCAPE, (size_t)n) : NULL;
	r = write_all(to, text, leave ? (size_t)(leave - text) : (size_t)n);
	return r < 0 ? r : n > 0 && !leave;
}

/* until the guest's side ends, or ^]; the end of a standard input that is no terminal is not the end */
static int view(struct viewer *v)
{
	struct pollfd fds[2] = { { .fd = v->fd, .events = POLLIN },
				 { .fd = STDIN_FILENO, .events = POLLIN } };

	for (;;) {
		int r = 1;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			r = copy(STDIN_FILENO, v->fd, v->raw);
		if (r <= 0 && v->raw)
			return r;
		if (r <= 0)
			fds[1].fd = -1;
		if (fds[0].revents) {
			r = copy(v->fd, STDOUT_FILENO, false);
			if (r <= 0)
				return r == -ECONNRESET ? 0 : r;
		}
	}
}

int cmd_console(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost console",
		.operands = "NAME",
		.purpose = "Shows a guest's console on this terminal; ^] leaves it.",
		.page = "xenhost-console(1)",
	};
	struct viewer v = { .fd = -1 };
	const struct option_table table = { specs, &v };
	int i = options_parse(&options, argc, argv, &table, 1), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (argc - i != 1) {
		log_error("console takes the name of one guest; xenhost console --help");
		return EXIT_USAGE;
	}
	r = open_console(&v, argv[i]);
	if (r == 0) {
		set_raw(&v);
		r = view(&v);
		if (v.raw)
			tcsetattr(STDIN_FILENO, TCSADRAIN, &v.saved);
		if (r < 0)
			log_error("the console of %s is lost: %s", argv[i], strerror(-r));
	}
	closep(&v.fd);
	return r < 0 ? 1 : 0;
}
