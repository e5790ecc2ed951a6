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
	{ "run", cmd_run, "run one guest with daemons of its own" },
	{ "start", cmd_start, "start a guest of the system's" },
	{ "list", cmd_guest, "list guests that run or are known" },
	{ "info", cmd_guest, "tell about one guest" },
	{ "define", cmd_guest, "make a guest known by a configuration file" },
	{ "undefine", cmd_guest, "forget it" },
	{ "edit", cmd_guest, "change its configuration" },
	{ "shutdown", cmd_guest, "ask a guest to power itself off" },
	{ "reboot", cmd_guest, "ask a guest to reboot itself" },
	{ "destroy", cmd_guest, "end a guest at once" },
	{ "pause", cmd_guest, "stop a guest's processors" },
	{ "resume", cmd_guest, "let a paused guest go on" },
	{ "console", cmd_console, "show the console of a guest on this terminal" },
	{ "log", cmd_guest, "show what a guest printed" },
	{ "sysrq", cmd_guest, "press a guest's magic SysRq key" },
	{ "dump-core", cmd_dump, "write a guest's memory and processors to a file" },
	{ "block", cmd_block, "disks of running guests: attach, detach, resize, figures" },
	{ "net", cmd_net, "network cards of running guests: attach, detach, set, figures" },
	{ "store", cmd_store, "read and change the Xenstore" },
	{ "doctor", cmd_doctor, "check whether this machine can run guests" },
	{ "report", cmd_report, "make an archive of what is needed to find a fault" },
	{ "top", cmd_top, "what guests' disks and network cards do" },
	{ "domain", cmd_domain, "all domains, as xenhost-bridged knows them" },
	{ "evtchn", cmd_evtchn, "list event channels" },
	{ "grant", cmd_grant, "list grants, and who uses them" },
	{ "trace", cmd_trace, "show messages as they go by" },
	{ "supervise", cmd_supervise, "look after one guest of the system's daemons" },
	{ "complete", cmd_complete, NULL }, /* the last: for shells, not for people */
};

void commands_each(void (*fn)(const char *name, const char *with), const char *with)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].help)
			fn(commands[i].name, with);
}

bool commands_have(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return true;
	return false;
}

static void print_help(void)
{
	printf("usage: xenhost COMMAND [OPTION...]\n"
	       "Xen guests on a KVM host.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands) && commands[i].help; i++)
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
