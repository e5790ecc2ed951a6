/* SPDX-License-Identifier: MIT */
/*
 * "guest:RUNDIR,NAME,PAGES": this process is a loopback guest of that set of daemons, seen through the
 * library as a program inside of a guest would see it, for front ends. Its Xenstore is a connection to
 * xenstored's main socket, so with the rights of domain 0. Event channels and memory are the guest's own.
 */
#ifndef LOOPGUEST_GUEST_TRANSPORT_H
#define LOOPGUEST_GUEST_TRANSPORT_H

/* 0, -EEXIST */
int guest_transport_register(void);

#endif
