/* SPDX-License-Identifier: MIT */
/*
 * Making an eventfd readable that peers have as well, who may have made it blocking and full: see kick.c.
 * One thread.
 */
#ifndef BRIDGED_KICK_H
#define BRIDGED_KICK_H

/* 0 it is readable now, or -errno. Never blocks */
int kick_eventfd(int fd);

#endif
