/* SPDX-License-Identifier: MIT */
/* xenhost dump-core: a guest's memory and processors, into a file for crash(8), drgn and gdb(1). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/bridge_tool.h"
#include "tools/commands.h"

/* Until the guest's program has answered, or has closed the pipe without an answer. */
static int wait_answer(int fd)
{
	int32_t error = EOPNOTSUPP;
	ssize_t n;

	do
		n = read(fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(error) || n == 0 ? -error : -EPROTO;
}

static int ask_for_dump(struct bridge_tool *t, const struct xenhost_domain_info *guest, int file)
{
	Bridge__DomainDump dump = BRIDGE__DOMAIN_DUMP__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	_cleanup_close_ int in = -1, out = -1;
	int ends[2], fds[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	out = ends[1];
	fds[0] = file;
	fds[1] = out;
	dump.domid = guest->domid;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_DUMP;
	frame.domain_dump = &dump;
	r = bridge_client_call(t->client, &frame, fds, 2, BRIDGE__FRAME__BODY__NOT_SET, NULL);
	close(steal_fd(&out));
	return r < 0 ? r : wait_answer(in);
}

static void say_size(const char *path, int file)
{
	struct stat st;

	if (fstat(file, &st) == 0)
		log_info("wrote %s: %lld MiB, of which %lld MiB are on the disk", path,
			 (long long)st.st_size >> 20, (long long)st.st_blocks * 512 >> 20);
}

static int dump_core(struct bridge_tool *t, const char *which, const char *path)
{
	_cleanup_close_ int file = -1;
	struct xenhost_domain_info guest;
	int r = bridge_tool_domain(t, which, &guest);

	if (r < 0)
		return r;
	/* what is there is not overwritten: it may be the dump that one wanted */
	file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0) {
		r = -errno;
		log_error("cannot make the file %s: %s", path, strerror(-r));
		return r;
	}
	log_info("writing %llu MiB of domain %u (%s), which stands still meanwhile",
		 (unsigned long long)guest.memory_bytes >> 20, guest.domid, guest.name);
	r = ask_for_dump(t, &guest, file);
	if (r == 0) {
		say_size(path, file);
		return 0;
	}
	(void)unlink(path);
	log_error("cannot dump domain %u (%s): %s", guest.domid, guest.name,
		  r == -ESRCH	     ? "it is no guest, or its program is gone"
		  : r == -EOPNOTSUPP ? "its program cannot do that, or has ended"
				     : strerror(-r));
	return r;
}

int cmd_dump(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost dump-core",
		.operands = "NAME FILE",
		.purpose = "Writes a guest's memory and processors to a core file.",
		.page = "xenhost-guest(1)",
	};
	struct bridge_tool t = { 0 };
	const struct option_table table = { bridge_tool_specs + 1, &t }; /* no JSON */
	int i = options_parse(&options, argc, argv, &table, 1), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (argc - i != 2) {
		log_error("dump-core takes NAME FILE; xenhost dump-core --help");
		return EXIT_USAGE;
	}
	r = bridge_tool_open(&t);
	if (r == 0)
		r = dump_core(&t, argv[i], argv[i + 1]);
	bridge_tool_close(&t);
	return r < 0 ? 1 : 0;
}
