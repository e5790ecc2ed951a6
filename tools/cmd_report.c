/* SPDX-License-Identifier: MIT */
/*
 * xenhost report: one archive with what somebody else needs to know to find a fault here, secrets removed
 * (redact.h). It is the output of commands, ours for the most part; one that fails leaves its error there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/definition.h"
#include "tools/guest_file.h"
#include "tools/redact.h"

#define FOLDER "xenhost-report"
#define LINE_MAX_OUT 8192

struct report {
	const char *rundir;
	char temporary[PATH_MAX]; /* FOLDER is in it */
};

static int set_rundir(void *data, const char *value)
{
	((struct report *)data)->rundir = value;
	return 0;
}

static const struct option_spec specs[] = {
	{ "rundir", "DIR", "run directory of the daemons (default: the system's)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

/* $X is this program. What takes longer than its time is cut off */
static const struct part {
	const char *file, *command;
	bool tree;
} parts[] = {
	{ "system.txt", "$X --version; uname -a; cat /etc/os-release; uptime; free -m", false },
	{ "doctor.txt", "$X doctor", false },
	{ "list.json", "$X list --json", false },
	{ "domains.json", "$X domain --json list", false },
	{ "store.txt", "$X store tree /", true },
	{ "store-top.json", "$X store --json --count 1 top", false },
	{ "disks.json", "$X block --json list", false },
	{ "networks.json", "$X net --json list", false },
	{ "top.json", "$X top --json", false },
	{ "evtchn.json", "$X evtchn --json list", false },
	{ "grant.json", "$X grant --json list", false },
	{ "processes.txt",
	  "for p in $(pgrep '^(xenhost|passt|qemu-nbd)'); do echo \"== $p\"; tr '\\0' ' ' </proc/$p/cmdline; echo; "
	  "cat /proc/$p/status /proc/$p/limits; ls /proc/$p/fd | wc -l; done 2>&1",
	  false },
	{ "rundir.txt", "ls -lR \"$XENHOST_RUNDIR\"", false },
	{ "log.txt", "tail -n 2000 \"$XENHOST_RUNDIR/log\"", false },
	{ "bridge.conf", "cat /etc/xenhost/bridge.conf", false },
	{ "kernel.txt", "dmesg | grep -iE 'xen|kvm|seccomp|oom|segfault' | tail -n 500", false },
	{ "journal.txt", "journalctl --no-pager -q -n 5000 -u 'xenhost*'", false },
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static FILE *create(const struct report *r, const char *file)
{
	char path[PATH_MAX + 256];
	int fd;

	snprintf(path, sizeof(path), "%s/" FOLDER "/%s", r->temporary, file);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

static void copy_redacted(FILE *in, FILE *out, bool tree)
{
	struct redact state = { .tree = tree };
	char line[LINE_MAX_OUT / 2], clean[LINE_MAX_OUT];

	while (fgets(line, sizeof(line), in)) {
		const bool whole = line[strcspn(line, "\n")] == '\n';

		line[strcspn(line, "\n")] = '\0';
		redact_line(&state, line, clean, sizeof(clean));
		fprintf(out, "%s\n", clean);
		/* the rest of a long line could be the rest of a secret */
		for (int c = 0; !whole && c != '\n' && c != EOF;)
			c = fgetc(in);
	}
}

static int add_part(const struct report *r, const struct part *part)
{
	FILE *in, *out = create(r, part->file);

	if (!out)
		return -errno;
	in = setenv("XENHOST_REPORT_PART", part->command, 1) < 0
		     ? NULL
		     : popen("timeout 30 sh -c 'eval \"$XENHOST_REPORT_PART\"' 2>&1 </dev/null",
			     "re");
	if (!in) {
		fclose(out);
		return -errno;
	}
	copy_redacted(in, out, part->tree);
	pclose(in);
	return fclose(out) < 0 ? -errno : 0;
}

static int add_definition(const struct report *r, const char *name)
{
	char path[PATH_MAX], file[128];
	FILE *in, *out;

	if (definition_path(name, path, sizeof(path)) < 0)
		return 0;
	in = fopen(path, "re");
	if (!in)
		return 0; /* it has gone */
	snprintf(file, sizeof(file), "guest-%s.cfg", name);
	out = create(r, file);
	if (out)
		copy_redacted(in, out, false);
	fclose(in);
	return !out || fclose(out) < 0 ? -errno : 0;
}

static int add_definitions(const struct report *r)
{
	char **names = NULL;
	size_t nr = 0;
	int e = definition_names(&names, &nr);

	for (size_t i = 0; e == 0 && i < nr; i++)
		e = add_definition(r, names[i]);
	definition_names_free(names, nr);
	return e;
}

static int pack(const struct report *r, const char *archive)
{
	_cleanup_close_ int fd =
		open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int status;
	pid_t pid;

	/* one that was there before may be open to others */
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		if (dup2(fd, STDOUT_FILENO) < 0)
			_exit(126);
		execlp("tar", "tar", "-C", r->temporary, "--owner=0", "--group=0", "-czf", "-",
		       FOLDER, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	(void)unlink(archive); /* half an archive is none */
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOPKG : -EIO;
}

static int set_environment(const struct report *r)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	if (setenv("X", self, 1) < 0)
		return -errno;
	return setenv("XENHOST_RUNDIR", connect_rundir(r->rundir), 1) < 0 ? -errno : 0;
}

static int collect(struct report *r)
{
	char folder[PATH_MAX + 32];
	int e = set_environment(r);

	snprintf(folder, sizeof(folder), "%s/" FOLDER, r->temporary);
	if (e == 0 && mkdir(folder, 0700) < 0)
		e = -errno;
	for (size_t i = 0; e == 0 && i < ARRAY_SIZE(parts); i++) {
		log_info("report: %s", parts[i].file);
		e = add_part(r, &parts[i]);
	}
	return e == 0 ? add_definitions(r) : e;
}

static int make(struct report *r, const char *archive)
{
	const char *tmp = getenv("TMPDIR");
	int e;

	snprintf(r->temporary, sizeof(r->temporary), "%s/xenhost-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(r->temporary)) {
		log_error("cannot make a folder for the report, %s: %s", r->temporary,
			  strerror(errno));
		return -errno;
	}
	e = collect(r);
	if (e == 0)
		e = pack(r, archive);
	if (e < 0)
		log_error("cannot make the report %s: %s", archive,
			  e == -ENOPKG ? "there is no tar; install the package tar" : strerror(-e));
	(void)nftw(r->temporary, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return e;
}

int cmd_report(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost report",
		.operands = "[FILE.tar.gz]",
		.purpose = "Makes an archive of what is needed to find a fault, without secrets.",
		.page = "xenhost-report(1)",
	};
	struct report r = { 0 };
	const struct option_table table = { specs, &r };
	char archive[64];
	int i = options_parse(&options, argc, argv, &table, 1);
	time_t now = time(NULL);
	struct tm tm;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (argc - i > 1) {
		log_error("report takes the name of one archive; xenhost report --help");
		return EXIT_USAGE;
	}
	strftime(archive, sizeof(archive), "xenhost-report-%Y%m%d-%H%M%S.tar.gz",
		 gmtime_r(&now, &tm));
	if (make(&r, argc > i ? argv[i] : archive) < 0)
		return 1;
	printf("%s\n", argc > i ? argv[i] : archive);
	return 0;
}
