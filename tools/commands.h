/* SPDX-License-Identifier: MIT */
/* The subcommands of xenhost(1): each in cmd_NAME.c. They return the exit status. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#define EXIT_USAGE 2

int cmd_block(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_domain(int argc, char **argv);
int cmd_evtchn(int argc, char **argv);
int cmd_grant(int argc, char **argv);
int cmd_net(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_store(int argc, char **argv);
int cmd_supervise(int argc, char **argv);
int cmd_trace(int argc, char **argv);

#endif
