/* SPDX-License-Identifier: MIT */
/*
 * xenhost complete -- WORD...: what may stand in the place of the last word, a line each, for the completions of
 * shells (tools/completion). Commands come from the table of xenhost.c, options from what --help of a command says;
 * only what else may stand there is known here. ":files" means names of files, too.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/definition.h"

enum operand { NONE, FILES, RUNNING, KNOWN, ANY };

static const struct {
	const char *command;
	const char *verbs; /* NULL: none; what follows is behind one of them */
	enum operand operand;
} operands[] = {
	{ "run", NULL, FILES },
	{ "define", NULL, FILES },
	{ "undefine", NULL, KNOWN },
	{ "edit", NULL, KNOWN },
	{ "info", NULL, ANY },
	{ "log", NULL, ANY },
	{ "shutdown", NULL, RUNNING },
	{ "reboot", NULL, RUNNING },
	{ "destroy", NULL, RUNNING },
	{ "pause", NULL, RUNNING },
	{ "resume", NULL, RUNNING },
	{ "sysrq", NULL, RUNNING },
	{ "dump-core", NULL, RUNNING },
	{ "console", NULL, RUNNING },
	{ "start", NULL, KNOWN },
	{ "supervise", NULL, KNOWN },
	{ "report", NULL, FILES },
	{ "block", "attach detach list stat resize pause resume", RUNNING },
	{ "net", "attach detach list stat set", RUNNING },
	{ "domain", "list watch info pause unpause shutdown reboot destroy", RUNNING },
	{ "evtchn", "list", RUNNING },
	{ "grant", "list settle", RUNNING },
	{ "store", "ls read rm tree watch write chmod export import live-update top", NONE },
	{ "trace", NULL, RUNNING },
};

static void offer(const char *word, const char *begin)
{
	if (!strncmp(word, begin, strlen(begin)))
		printf("%s\n", word);
}

static void offer_words(const char *words, const char *begin)
{
	char word[32];

	while (*words) {
		const size_t len = strcspn(words, " ");

		snprintf(word, sizeof(word), "%.*s", (int)len, words);
		offer(word, begin);
		words += len + (words[len] == ' ');
	}
}

/* --- options --- */

/* "  --name ARG   text" of --help. name and arg get at most 63 characters; arg is "" for a flag */
static bool parse_help(const char *line, char *name, char *arg)
{
	arg[0] = '\0';
	return !strncmp(line, "  --", 4) && sscanf(line, " %63s%*1[ ]%63[^ \n]", name, arg) >= 1;
}

static FILE *open_help(const char *command)
{
	char self[4096], line[4200];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0 || memchr(self, '\'', (size_t)n))
		return NULL;
	snprintf(line, sizeof(line), "'%.*s' %s --help 2>&1", (int)n, self, command);
	return popen(line, "re");
}

static void offer_options(const char *command, const char *begin)
{
	char line[512], name[64], arg[64];
	FILE *f = open_help(command);

	while (f && fgets(line, sizeof(line), f))
		if (parse_help(line, name, arg))
			offer(name, begin);
	if (f)
		pclose(f);
}

/* Does this option want a word behind it? Then *ret_files says whether that is the name of a file. */
static bool wants_value(const char *command, const char *option, bool *ret_files)
{
	char line[512], name[64], arg[64];
	FILE *f = open_help(command);
	bool wants = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (!parse_help(line, name, arg) || strcmp(name, option) != 0 || !*arg)
			continue;
		wants = true;
		*ret_files =
			!strncmp(arg, "FILE", 4) || !strcmp(arg, "DIR") || !strcmp(arg, "LINK");
	}
	if (f)
		pclose(f);
	return wants;
}

/* --- guests --- */

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	if (info->kind == XENHOST_DOMAIN_GUEST && info->state != XENHOST_DOMAIN_GONE)
		offer(info->name, data);
}

static void offer_running(const char *begin)
{
	_cleanup_free_ char *copy = strdup(begin);
	struct xenhost_domain_info self;
	xenhost_t *host = NULL;
	char uri[256];

	snprintf(uri, sizeof(uri), "bridge:%s/" BRIDGE_SOCKET_TOOL, connect_rundir(NULL));
	if (copy && xenhost_open(uri, 0, &host) == 0 &&
	    xenhost_domain_watch(host, on_domain, copy) == 0 &&
	    xenhost_domain_info(host, xenhost_domid(host), &self) == 0)
		while (xenhost_process(host) > 0)
			;
	xenhost_close(host);
}

static void offer_known(const char *begin)
{
	char **names = NULL;
	size_t nr = 0;

	if (definition_names(&names, &nr) < 0)
		return;
	for (size_t i = 0; i < nr; i++)
		offer(names[i], begin);
	definition_names_free(names, nr);
}

static void offer_operand(enum operand operand, const char *begin)
{
	if (operand == FILES)
		printf(":files\n");
	if (operand == RUNNING || operand == ANY)
		offer_running(begin);
	if (operand == KNOWN || operand == ANY)
		offer_known(begin);
}

/* --- the words --- */

/* words behind the command, the last of which is to be completed */
static void complete(const char *command, int nr, char **words)
{
	const char *last = words[nr - 1];
	bool files = false;
	int plain = 0; /* words that are no options, before the last */

	for (int i = 0; i < nr - 1; i++) {
		if (words[i][0] != '-') {
			plain++;
		} else if (wants_value(command, words[i], &files) && ++i == nr - 1) {
			if (files)
				printf(":files\n");
			return;
		}
	}
	if (last[0] == '-') {
		offer_options(command, last);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(operands); i++) {
		if (strcmp(operands[i].command, command) != 0)
			continue;
		if (operands[i].verbs && plain == 0)
			offer_words(operands[i].verbs, last);
		else if (plain == (operands[i].verbs ? 1 : 0) || operands[i].operand == FILES)
			offer_operand(operands[i].operand, last);
	}
}

int cmd_complete(int argc, char **argv)
{
	int first = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1;

	if (argc - first == 1)
		commands_each(offer, argv[first]);
	else if (argc - first > 1 && commands_have(argv[first]))
		complete(argv[first], argc - first - 1, argv + first + 1);
	return 0;
}
