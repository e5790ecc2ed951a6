/* SPDX-License-Identifier: MIT */
/*
 * What a person does with guests: xenhost define, undefine, edit, list, info, pause, resume, shutdown, reboot,
 * destroy, sysrq, log. Guests that are known are files (definition.h), guests that run are domains.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/store.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/definition.h"
#include "tools/domain_show.h"
#include "tools/guest.h"
#include "tools/json.h"

struct guest_command {
	const char *rundir;
	bool json, replace, follow;
	unsigned long long wait_s; /* 0: does not wait */
	xenhost_t *host;
	struct domains {
		struct xenhost_domain_info *infos;
		size_t nr;
		bool full;
	} domains;
};

static int set_rundir(void *data, const char *value)
{
	((struct guest_command *)data)->rundir = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct guest_command *)data)->json = true;
	return 0;
}

static int set_replace(void *data, const char *value)
{
	((struct guest_command *)data)->replace = true;
	return 0;
}

static int set_follow(void *data, const char *value)
{
	((struct guest_command *)data)->follow = true;
	return 0;
}

static int set_wait(void *data, const char *value)
{
	return options_number(value, 1, 86400, &((struct guest_command *)data)->wait_s);
}

#define RUNDIR_SPEC                                                                          \
	{                                                                                    \
		"rundir", "DIR", "run directory of xenhost-bridged (default: the system's)", \
			set_rundir                                                           \
	}
#define JSON_SPEC                                                 \
	{                                                         \
		"json", NULL, "print JSON, for scripts", set_json \
	}
#define END_SPEC                       \
	{                              \
		NULL, NULL, NULL, NULL \
	}

static const struct option_spec host_specs[] = { RUNDIR_SPEC, END_SPEC };
static const struct option_spec show_specs[] = { JSON_SPEC, RUNDIR_SPEC, END_SPEC };
static const struct option_spec no_specs[] = { END_SPEC };
static const struct option_spec define_specs[] = {
	{ "replace", NULL, "the guest may be known already", set_replace }, END_SPEC
};
static const struct option_spec log_specs[] = {
	{ "follow", NULL, "go on as the guest prints more", set_follow }, RUNDIR_SPEC, END_SPEC
};
static const struct option_spec end_specs[] = {
	RUNDIR_SPEC,
	{ "wait", "SECONDS", "return when the guest is gone; a failure if it is not by then",
	  set_wait },
	END_SPEC
};

/* --- domains --- */

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct domains *d = data;
	struct xenhost_domain_info *more;

	if (info->state == XENHOST_DOMAIN_GONE || info->kind != XENHOST_DOMAIN_GUEST)
		return;
	more = reallocarray(d->infos, d->nr + 1, sizeof(*more));
	if (!more) {
		d->full = true;
		return;
	}
	d->infos = more;
	d->infos[d->nr++] = *info;
}

/* The snapshot is queued by bridged before it answers anything that we ask later: our own domain. */
static int take_domains(struct guest_command *c)
{
	struct xenhost_domain_info self;
	int r = xenhost_domain_watch(c->host, on_domain, &c->domains);

	if (r == 0)
		r = xenhost_domain_info(c->host, xenhost_domid(c->host), &self);
	while (r == 0 && (r = xenhost_process(c->host)) > 0)
		r = 0;
	(void)xenhost_domain_watch(c->host, NULL, NULL);
	if (r == 0 && c->domains.full)
		r = -ENOMEM;
	if (r < 0)
		log_error("cannot list the domains: %s", strerror(-r));
	return r;
}

/* For commands that have something to say without daemons, too: quiet, host stays NULL. */
static int open_if_there(struct guest_command *c)
{
	const char *rundir = c->rundir ? c->rundir : getenv("XENHOST_RUNDIR");
	char path[256];

	snprintf(path, sizeof(path), "%s/" BRIDGE_SOCKET_TOOL,
		 rundir && *rundir ? rundir : XENHOST_RUNSTATEDIR);
	if (access(path, F_OK) < 0 && !c->rundir)
		return 0;
	return connect_host(c->rundir, &c->host);
}

static const struct xenhost_domain_info *find_running(const struct guest_command *c,
						      const char *name)
{
	for (size_t i = 0; i < c->domains.nr; i++)
		if (!strcmp(c->domains.infos[i].name, name))
			return &c->domains.infos[i];
	return NULL;
}

/* --- list --- */

static void print_row(const struct guest_command *c, const char *name,
		      const struct xenhost_domain_info *info, bool known, bool first)
{
	const char *state = info ? domain_state_name(info) : "off";
	const char *reason =
		info && info->state == XENHOST_DOMAIN_SHUTDOWN ? domain_reason_name(info) : "";

	if (!c->json) {
		char domid[8] = "-", memory[16] = "-";

		if (info) {
			snprintf(domid, sizeof(domid), "%u", info->domid);
			snprintf(memory, sizeof(memory), "%llu",
				 (unsigned long long)(info->memory_bytes >> 20));
		}
		printf("%-24s %6s %8s  %-5s  %s%s%s\n", name, domid, memory, known ? "yes" : "no",
		       state, *reason ? ": " : "", reason);
		return;
	}
	printf("%s{\"name\": ", first ? "" : ",\n ");
	json_string(stdout, name);
	if (info)
		printf(", \"domid\": %u, \"memory_bytes\": %llu", info->domid,
		       (unsigned long long)info->memory_bytes);
	else
		printf(", \"domid\": null, \"memory_bytes\": null");
	printf(", \"state\": \"%s\", \"shutdown_reason\": \"%s\", \"defined\": %s}", state, reason,
	       known ? "true" : "false");
}

static int list(struct guest_command *c, char **words)
{
	char **names = NULL;
	size_t nr = 0, printed = 0;
	int r = open_if_there(c);

	if (r == 0 && c->host)
		r = take_domains(c);
	if (r == 0)
		r = definition_names(&names, &nr);
	if (r < 0)
		return r;
	printf(c->json ? "[" : "name                      domid      MiB  known  state\n");
	for (size_t i = 0; i < nr; i++)
		print_row(c, names[i], find_running(c, names[i]), true, printed++ == 0);
	for (size_t i = 0; i < c->domains.nr; i++) {
		const struct xenhost_domain_info *info = &c->domains.infos[i];

		if (!nr || !bsearch(&(const char *){ info->name }, names, nr, sizeof(*names),
				    definition_compare))
			print_row(c, info->name, info, false, printed++ == 0);
	}
	if (c->json)
		printf("]\n");
	definition_names_free(names, nr);
	return 0;
}

/* --- info --- */

static void print_definition(const struct guest *g)
{
	printf("uuid:            %s\n", g->uuid);
	printf("kernel:          %s\n", g->kernel ? g->kernel : "by GRUB, from its first disk");
	if (g->append)
		printf("command line:    %s\n", g->append);
	printf("memory at start: %llu MiB\nprocessors:      %llu\n", g->memory_bytes >> 20,
	       g->vcpus);
	for (unsigned int i = 0; i < g->nr_disks; i++)
		printf("disk:            %s%s\n", g->disks[i].path,
		       g->disks[i].read_only ? " (read-only)" : "");
	for (unsigned int i = 0; i < g->nr_vifs; i++) {
		const uint8_t *m = g->vifs[i].mac;

		printf("network card:    %02x:%02x:%02x:%02x:%02x:%02x%s%s\n", m[0], m[1], m[2],
		       m[3], m[4], m[5], *g->vifs[i].bridge ? " on " : "", g->vifs[i].bridge);
	}
}

static void json_text(const char *name, const char *text)
{
	printf(", \"%s\": ", name);
	if (text)
		json_string(stdout, text);
	else
		printf("null");
}

static void print_definition_json(const struct guest *g)
{
	printf("{\"uuid\": \"%s\"", g->uuid);
	json_text("kernel", g->kernel);
	json_text("initrd", g->initrd);
	json_text("append", g->append);
	printf(", \"memory_bytes\": %llu, \"vcpus\": %llu, \"disks\": [", g->memory_bytes,
	       g->vcpus);
	for (unsigned int i = 0; i < g->nr_disks; i++) {
		printf("%s{\"devid\": %u, \"image\": ", i ? ", " : "", g->disks[i].devid);
		json_string(stdout, g->disks[i].path);
		printf(", \"read_only\": %s}", g->disks[i].read_only ? "true" : "false");
	}
	printf("], \"vifs\": [");
	for (unsigned int i = 0; i < g->nr_vifs; i++) {
		const uint8_t *m = g->vifs[i].mac;

		printf("%s{\"devid\": %u, \"mac\": \"%02x:%02x:%02x:%02x:%02x:%02x\", \"bridge\": ",
		       i ? ", " : "", g->vifs[i].devid, m[0], m[1], m[2], m[3], m[4], m[5]);
		json_string(stdout, g->vifs[i].bridge);
		printf("}");
	}
	printf("]}");
}

static void print_info(const struct guest_command *c, const char *name,
		       const struct xenhost_domain_info *running, const struct guest *known)
{
	if (c->json) {
		printf("{\"name\": ");
		json_string(stdout, name);
		printf(", \"domain\": ");
		if (running)
			domain_print_json(running);
		else
			printf("null");
		printf(", \"definition\": ");
		if (known)
			print_definition_json(known);
		else
			printf("null");
		printf("}\n");
		return;
	}
	if (running)
		domain_print_all(running);
	else
		printf("name:            %s\nstate:           off\n", name);
	if (known)
		print_definition(known);
}

static int info(struct guest_command *c, char **words)
{
	const struct xenhost_domain_info *running = NULL;
	const char *name = words[0];
	bool known = definition_exists(name);
	struct guest g;
	int r = open_if_there(c);

	if (r == 0 && c->host)
		r = take_domains(c);
	if (r < 0)
		return r;
	running = find_running(c, name);
	if (!running && !known) {
		log_error("there is no guest %s; xenhost list shows those there are", name);
		return -ENOENT;
	}
	guest_init(&g);
	if (known)
		r = definition_read(name, &g);
	if (r == 0 && known)
		r = guest_complete(&g);
	if (r == 0)
		print_info(c, name, running, known ? &g : NULL);
	guest_fini(&g);
	return r;
}

/* --- commands for guests that run --- */

static int write_control(struct guest_command *c, const char *which, const char *name,
			 const char *value, struct xenhost_domain_info *ret_info)
{
	char path[64];
	int r = domain_find(c->host, which, ret_info);

	if (r < 0)
		return r;
	if (ret_info->kind != XENHOST_DOMAIN_GUEST || ret_info->state == XENHOST_DOMAIN_GONE) {
		log_error("%s is no guest that there is", which);
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "/local/domain/%u/control/%s", ret_info->domid, name);
	r = xenhost_store_write(c->host, 0, path, value, strlen(value));
	if (r < 0)
		log_error("cannot tell the guest %s: %s", which, strerror(-r));
	return r;
}

struct wait {
	uint64_t unique_id;
	bool gone;
};

static void on_change(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct wait *w = data;

	if (info->unique_id == w->unique_id && info->state == XENHOST_DOMAIN_GONE)
		w->gone = true;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until this domain, and not another of its number, is no more. */
static int wait_gone(struct guest_command *c, const char *which,
		     const struct xenhost_domain_info *found)
{
	const int64_t deadline = now_ms() + (int64_t)c->wait_s * 1000;
	struct wait w = { .unique_id = found->unique_id };
	struct xenhost_domain_info again;
	int r = xenhost_domain_watch(c->host, on_change, &w);

	/* it may have gone before the watch: then nobody tells */
	if (r == 0 && (xenhost_domain_info(c->host, found->domid, &again) < 0 ||
		       again.unique_id != found->unique_id))
		w.gone = true;
	while (r >= 0 && !w.gone) {
		struct pollfd p = { .fd = xenhost_get_fd(c->host), .events = POLLIN };
		int64_t left = deadline - now_ms();

		if (left <= 0) {
			log_error(
				"the guest %s is still there after %llu s; xenhost destroy ends it",
				which, c->wait_s);
			return -ETIMEDOUT;
		}
		r = poll(&p, 1, (int)left) < 0 && errno != EINTR ? -errno : 0;
		if (r == 0)
			r = xenhost_process(c->host);
	}
	if (r < 0)
		log_error("cannot wait for the guest %s: %s", which, strerror(-r));
	return r < 0 ? r : 0;
}

static int ask(struct guest_command *c, const char *which, const char *what)
{
	struct xenhost_domain_info found;
	int r = write_control(c, which, "shutdown", what, &found);

	return r == 0 && c->wait_s ? wait_gone(c, which, &found) : r;
}

static int shutdown_guest(struct guest_command *c, char **words)
{
	return ask(c, words[0], "poweroff");
}

static int reboot_guest(struct guest_command *c, char **words)
{
	return ask(c, words[0], "reboot");
}

static int command(struct guest_command *c, const char *which, const char *what,
		   int (*fn)(xenhost_t *host, uint16_t domid))
{
	struct xenhost_domain_info found;
	int r = domain_find(c->host, which, &found);

	if (r < 0)
		return r;
	r = fn(c->host, found.domid);
	if (r < 0)
		log_error("cannot %s %s: %s%s", what, which, strerror(-r),
			  r == -ESRCH ? "; only guests can be told" : "");
	return r == 0 && c->wait_s ? wait_gone(c, which, &found) : r;
}

static int pause_guest(struct guest_command *c, char **words)
{
	return command(c, words[0], "pause", xenhost_domain_pause);
}

static int resume_guest(struct guest_command *c, char **words)
{
	return command(c, words[0], "resume", xenhost_domain_unpause);
}

static int destroy_guest(struct guest_command *c, char **words)
{
	return command(c, words[0], "destroy", xenhost_domain_destroy);
}

static int sysrq(struct guest_command *c, char **words)
{
	struct xenhost_domain_info found;

	if (strlen(words[1]) != 1) {
		log_error("%s is no key: sysrq takes one letter or digit, such as s or t",
			  words[1]);
		return -EINVAL;
	}
	return write_control(c, words[0], "sysrq", words[1], &found);
}

/* --- log --- */

static int find_log(struct guest_command *c, const char *name, char *path, size_t size)
{
	struct xenhost_domain_info found;
	_cleanup_free_ char *value = NULL;
	char node[64];
	int r = open_if_there(c);

	if (r < 0)
		return r;
	path[0] = '\0';
	if (c->host && xenhost_domain_by_name(c->host, name, &found) == 0) {
		snprintf(node, sizeof(node), "/local/domain/%u/console/log", found.domid);
		if (xenhost_store_read(c->host, 0, node, &value, NULL) == 0)
			snprintf(path, size, "%s", value);
	} else if (!definition_exists(name)) {
		log_error("there is no guest %s; xenhost list shows those there are", name);
		return -ENOENT;
	}
	if (!*path && definition_exists(name)) {
		struct guest g;

		guest_init(&g);
		if (definition_read(name, &g) == 0 && g.console_log)
			snprintf(path, size, "%s", g.console_log);
		guest_fini(&g);
	}
	if (*path)
		return 0;
	log_error("what %s prints is not kept: write console_log = \"FILE\" into its configuration",
		  name);
	return -ENOENT;
}

/* A log that is full is emptied and begun anew: then it is shorter than what was read. */
static int print_file(int fd, off_t *at)
{
	char text[65536];
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (end < *at)
		*at = 0;
	while ((n = pread(fd, text, sizeof(text), *at)) > 0) {
		if (fwrite(text, 1, (size_t)n, stdout) != (size_t)n)
			return -EPIPE;
		*at += n;
	}
	if (fflush(stdout) != 0)
		return -EPIPE;
	return n < 0 ? -errno : 0;
}

static int print_log(struct guest_command *c, char **words)
{
	_cleanup_close_ int fd = -1, news = -1;
	char path[PATH_MAX], events[4096];
	off_t at = 0;
	int r = find_log(c, words[0], path, sizeof(path));

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	news = inotify_init1(IN_CLOEXEC);
	if (fd < 0 || news < 0 || inotify_add_watch(news, path, IN_MODIFY) < 0) {
		r = -errno;
		log_error("cannot read the log %s: %s", path, strerror(-r));
		return r;
	}
	do
		r = print_file(fd, &at);
	while (r == 0 && c->follow && read(news, events, sizeof(events)) > 0);
	if (r < 0 && r != -EPIPE)
		log_error("cannot read the log %s: %s", path, strerror(-r));
	return r == -EPIPE ? 0 : r;
}

/* --- definitions --- */

static int define(struct guest_command *c, char **words)
{
	struct guest g;
	int r;

	guest_init(&g);
	r = definition_add(words[0], c->replace, &g);
	if (r == 0)
		printf("%s\n", g.name);
	guest_fini(&g);
	return r;
}

static int undefine(struct guest_command *c, char **words)
{
	return definition_remove(words[0]);
}

static int edit(struct guest_command *c, char **words)
{
	return definition_edit(words[0]);
}

/* --- the commands --- */

static const struct verb {
	const char *name, *operands;
	int words;
	bool needs_host;
	const struct option_spec *specs;
	int (*run)(struct guest_command *c, char **words);
	const char *purpose;
} verbs[] = {
	{ "define", "FILE", 1, false, define_specs, define,
	  "Makes a guest known: keeps its configuration, with a uuid." },
	{ "undefine", "NAME", 1, false, no_specs, undefine,
	  "Forgets a guest's configuration; one that runs goes on." },
	{ "edit", "NAME", 1, false, no_specs, edit,
	  "Changes a guest's configuration with your editor, for its next start." },
	{ "list", NULL, 0, false, show_specs, list, "Lists guests that run or are known." },
	{ "info", "NAME", 1, false, show_specs, info, "Tells about one guest." },
	{ "pause", "NAME", 1, true, host_specs, pause_guest, "Stops a guest's processors." },
	{ "resume", "NAME", 1, true, host_specs, resume_guest, "Lets a paused guest go on." },
	{ "shutdown", "NAME", 1, true, end_specs, shutdown_guest,
	  "Asks a guest to power itself off." },
	{ "reboot", "NAME", 1, true, end_specs, reboot_guest, "Asks a guest to reboot itself." },
	{ "destroy", "NAME", 1, true, end_specs, destroy_guest, "Ends a guest at once." },
	{ "sysrq", "NAME KEY", 2, true, host_specs, sysrq,
	  "Presses a guest's magic SysRq key and another one." },
	{ "log", "NAME", 1, false, log_specs, print_log, "Shows what a guest printed." },
};

static const struct verb *find_verb(const char *name)
{
	size_t i = 0;

	while (strcmp(verbs[i].name, name) != 0)
		i++; /* xenhost.c has no other names for us */
	return &verbs[i];
}

int cmd_guest(int argc, char **argv)
{
	const struct verb *verb = find_verb(argv[0]);
	char program[32];
	const struct options options = { .program = program,
					 .operands = verb->operands,
					 .purpose = verb->purpose,
					 .page = "xenhost-guest(1)" };
	struct guest_command c = { 0 };
	const struct option_table table = { verb->specs, &c };
	int i, r = 0;

	snprintf(program, sizeof(program), "xenhost %s", verb->name);
	i = options_parse(&options, argc, argv, &table, 1);
	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (argc - i != verb->words) {
		log_error("%s takes %s; xenhost %s --help", verb->name, verb->operands, verb->name);
		return EXIT_USAGE;
	}
	if (verb->needs_host)
		r = connect_host(c.rundir, &c.host);
	if (r == 0)
		r = verb->run(&c, argv + i);
	free(c.domains.infos);
	xenhost_close(c.host);
	return r < 0 ? 1 : 0;
}
