/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out on demand: a program linked with FAULTS_LDFLAGS gets its allocations, and those of
 * the libraries that are linked into it, from here.
 */
#ifndef TESTS_SUPPORT_FAULTS_H
#define TESTS_SUPPORT_FAULTS_H

/* the n-th allocation of this thread from now on fails; 0: none */
void fault_allocation(unsigned int n);
/* how many it takes still; 0: it has failed */
unsigned int fault_left(void);

#endif
