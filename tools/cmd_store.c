/* SPDX-License-Identifier: MIT */
/* xenhost store: the Xenstore from the command line, as domain 0. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/store.h>
#include <xenhost/xenhost.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/json.h"
#include "tools/store_verbs.h"

#define DEPTH_MAX 256 /* a guest can make deeper trees than anyone wants to read */
#define PERMS_MAX 64

struct store_command {
	const char *rundir;
	bool json;
	unsigned long long count;   /* of events, 0: no end */
	unsigned long long version; /* of a migration stream */
	xenhost_t *host;
};

static int set_rundir(void *data, const char *value)
{
	((struct store_command *)data)->rundir = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct store_command *)data)->json = true;
	return 0;
}

static int set_count(void *data, const char *value)
{
	return options_number(value, 1, 1000000000, &((struct store_command *)data)->count);
}

static int set_version(void *data, const char *value)
{
	return options_number(value, 1, 2, &((struct store_command *)data)->version);
}

static const struct option_spec specs[] = {
	{ "count", "N", "watch, top: end after N events, or N times", set_count },
	{ "json", NULL, "ls, read, top, tree, watch: print JSON, for scripts", set_json },
	{ "rundir", "DIR", "run directory of the daemons (default: the system's)", set_rundir },
	{ "stream-version", "1|2", "export: the stream's (default: 2; stock 4.17 reads 1)",
	  set_version },
	{ NULL, NULL, NULL, NULL },
};

static int say(const char *what, const char *path, int error)
{
	log_error("cannot %s %s: %s", what, path, strerror(-error));
	return error;
}

/* a value for people: what is not printable as \xNN, so that no guest writes to the terminal */
static void print_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)value[i];

		if (isprint(ch) && ch != '\\')
			putchar(ch);
		else
			printf("\\x%02x", ch);
	}
}

static void print_json_value(const char *value, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len; i++)
		json_char(stdout, (unsigned char)value[i]);
	putchar('"');
}

static int read_value(struct store_command *c, const char *path, char **ret_value, size_t *ret_len)
{
	int r = xenhost_store_read(c->host, 0, path, ret_value, ret_len);

	return r < 0 ? say("read", path, r) : 0;
}

static int cmd_read(struct store_command *c, char **args)
{
	_cleanup_free_ char *value = NULL;
	size_t len;
	int r = read_value(c, args[0], &value, &len);

	if (r < 0)
		return r;
	if (c->json)
		print_json_value(value, len);
	else
		print_value(value, len);
	putchar('\n');
	return 0;
}

static int cmd_write(struct store_command *c, char **args)
{
	int r = xenhost_store_write(c->host, 0, args[0], args[1], strlen(args[1]));

	return r < 0 ? say("write", args[0], r) : 0;
}

static int cmd_rm(struct store_command *c, char **args)
{
	int r = xenhost_store_rm(c->host, 0, args[0]);

	return r < 0 ? say("remove", args[0], r) : 0;
}

static int cmd_ls(struct store_command *c, char **args)
{
	_cleanup_free_ char **names = NULL;
	int n = xenhost_store_list(c->host, 0, args[0], &names);

	if (n < 0)
		return say("list", args[0], n);
	if (c->json)
		printf("[");
	for (int i = 0; i < n; i++) {
		if (c->json) {
			printf("%s", i ? ", " : "");
			json_string(stdout, names[i]);
		} else {
			printf("%s\n", names[i]);
		}
	}
	if (c->json)
		printf("]\n");
	return 0;
}

/* "n0,r5": letter and domid of each entry, the owner first */
static int parse_perms(char *text, struct xenhost_perm *perms, size_t *ret_n)
{
	size_t n = 0;
	char *save, *item;

	for (item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		unsigned long long domid;

		if (n == PERMS_MAX || !strchr("nrwb", *item) ||
		    options_number(item + 1, 0, 65535, &domid) < 0)
			return -EINVAL;
		perms[n++] = (struct xenhost_perm){ *item, (uint16_t)domid };
	}
	*ret_n = n;
	return n ? 0 : -EINVAL;
}

static int cmd_chmod(struct store_command *c, char **args)
{
	struct xenhost_perm perms[PERMS_MAX];
	size_t n;
	int r = parse_perms(args[1], perms, &n);

	if (r < 0) {
		log_error(
			"permissions are letters n r w b with a domid, the owner first, as n0,r5");
		return r;
	}
	r = xenhost_store_set_perms(c->host, 0, args[0], perms, n);
	return r < 0 ? say("change the permissions of", args[0], r) : 0;
}

/* A node that went away meanwhile is left out: the tree is no snapshot. */
static int tree_node(struct store_command *c, const char *path, const char *name,
		     unsigned int depth, bool first)
{
	_cleanup_free_ char *value = NULL;
	_cleanup_free_ char **names = NULL;
	size_t len = 0;
	int n, r = xenhost_store_read(c->host, 0, path, &value, &len);

	if (r == -ENOENT && depth)
		return 0;
	n = r < 0 ? r : xenhost_store_list(c->host, 0, path, &names);
	if (n < 0)
		return n == -ENOENT && depth ? 0 : say("read", path, n);
	if (c->json) {
		printf("%s", first ? "" : ", ");
		json_string(stdout, name);
		printf(": {\"value\": ");
		print_json_value(value, len);
		printf(", \"nodes\": {");
	} else {
		printf("%*s%s%s", (int)depth * 2, "", name, len ? " = " : "");
		print_value(value, len);
		putchar('\n');
	}
	for (int i = 0; i < n && depth < DEPTH_MAX; i++) {
		_cleanup_free_ char *child = NULL;

		if (asprintf(&child, "%s%s%s", path, !strcmp(path, "/") ? "" : "/", names[i]) < 0)
			return -ENOMEM;
		r = tree_node(c, child, names[i], depth + 1, i == 0);
		if (r < 0)
			return r;
	}
	if (c->json)
		printf("}}");
	return 0;
}

static int cmd_tree(struct store_command *c, char **args)
{
	int r;

	if (c->json)
		printf("{");
	r = tree_node(c, args[0], args[0], 0, true);
	if (c->json)
		printf("}\n");
	return r;
}

static void on_event(xenhost_t *host, const char *path, void *data)
{
	struct store_command *c = data;

	if (c->json)
		json_string(stdout, path);
	else
		printf("%s", path);
	printf("\n");
	fflush(stdout);
	if (c->count && --c->count == 0)
		c->count = ~0ULL; /* done */
}

static int cmd_watch(struct store_command *c, char **args)
{
	xenhost_watch_t *watch;
	int r = xenhost_watch(c->host, args[0], on_event, c, &watch);

	if (r < 0)
		return say("watch", args[0], r);
	while (c->count != ~0ULL) {
		struct pollfd p = { .fd = xenhost_get_fd(c->host), .events = POLLIN };

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		r = xenhost_process(c->host);
		if (r < 0)
			return say("watch", args[0], r);
	}
	xenhost_unwatch(watch);
	return 0;
}

static int cmd_export(struct store_command *c, char **args)
{
	return store_export(c->rundir, c->version, args[0]);
}

static int cmd_import(struct store_command *c, char **args)
{
	return store_import(c->rundir, args[0]);
}

static int cmd_live_update(struct store_command *c, char **args)
{
	return store_live_update(c->rundir, args[0]);
}

static int cmd_store_top(struct store_command *c, char **args)
{
	return store_top(c->rundir, c->count, c->json);
}

static const struct {
	const char *name;
	int nr_args;
	int (*run)(struct store_command *c, char **args);
	bool alone; /* talks with xenstored itself */
} verbs[] = {
	{ "ls", 1, cmd_ls, false },	   { "read", 1, cmd_read, false },
	{ "write", 2, cmd_write, false },  { "rm", 1, cmd_rm, false },
	{ "chmod", 2, cmd_chmod, false },  { "tree", 1, cmd_tree, false },
	{ "watch", 1, cmd_watch, false },  { "export", 1, cmd_export, true },
	{ "import", 1, cmd_import, true }, { "live-update", 1, cmd_live_update, true },
	{ "top", 0, cmd_store_top, true },
};

int cmd_store(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost store",
		.operands = "ls|read|rm|tree|watch PATH, write PATH VALUE, chmod PATH PERMS,\n"
			    "       export|import|live-update FILE, top",
		.purpose = "Reads and changes the Xenstore.",
		.page = "xenhost-store(1)",
		.options_first = true, /* a value may begin with a hyphen */
	};
	struct store_command c = { .version = 2 };
	const struct option_table table = { specs, &c };
	int i = options_parse(&options, argc, argv, &table, 1), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	for (size_t v = 0; i < argc && v < ARRAY_SIZE(verbs); v++) {
		if (strcmp(argv[i], verbs[v].name) != 0 || argc - i - 1 != verbs[v].nr_args)
			continue;
		r = verbs[v].alone ? 0 : connect_host(c.rundir, &c.host);
		if (r == 0)
			r = verbs[v].run(&c, argv + i + 1);
		xenhost_close(c.host);
		return r < 0 ? 1 : 0;
	}
	log_error("store takes %s; xenhost store --help", options.operands);
	return EXIT_USAGE;
}
