/* SPDX-License-Identifier: MIT */
/* xenhost: the tool for people; this file only finds the subcommand. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/commands.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "block", cmd_block, "disks of running guests: attach, detach, resize, figures" },
	{ "console", cmd_console, "show the console of a guest on this terminal" },
	{ "domain", cmd_domain, "list domains, show one" },
	{ "evtchn", cmd_evtchn, "list event channels" },
	{ "grant", cmd_grant, "list grants, and who uses them" },
	{ "net", cmd_net, "network cards of running guests: attach, detach, set, figures" },
	{ "run", cmd_run, "run one guest with daemons of its own, on this terminal" },
	{ "start", cmd_start, "start a guest of the system's" },
	{ "supervise", cmd_supervise, "look after one guest of the system's daemons" },
	{ "store", cmd_store, "read and change the Xenstore" },
	{ "trace", cmd_trace, "show messages as they go by" },
};

static void print_help(void)
{
	printf("usage: xenhost COMMAND [OPTION...]\n"
	       "Xen guests on a KVM host.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	printf("\nxenhost COMMAND --help lists the options of a command. See xenhost(1).\n");
}

int main(int argc, char **argv)
{
	if (argc >= 2 && !strcmp(argv[1], "--help")) {
		print_help();
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "--version")) {
		printf("xenhost %s\n", PACKAGE_VERSION);
		return 0;
	}
	log_open("xenhost", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	if (argc >= 2)
		log_error("there is no command %s; xenhost --help lists them", argv[1]);
	else
		log_error("a command is missing; xenhost --help lists them");
	return EXIT_USAGE;
}
