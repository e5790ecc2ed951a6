/* SPDX-License-Identifier: MIT */
/* The subcommands of xenhost(1): each in cmd_NAME.c. They return the exit status. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include <stdbool.h>

#define EXIT_USAGE 2

int cmd_block(int argc, char **argv);
int cmd_complete(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_domain(int argc, char **argv);
int cmd_evtchn(int argc, char **argv);
int cmd_grant(int argc, char **argv);
int cmd_guest(int argc, char **argv); /* all verbs for guests */
int cmd_net(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_store(int argc, char **argv);
int cmd_supervise(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_trace(int argc, char **argv);

/* the table of commands: fn(name, with) for each that people use; is there one of this name? */
void commands_each(void (*fn)(const char *name, const char *with), const char *with);
bool commands_have(const char *name);

#endif
