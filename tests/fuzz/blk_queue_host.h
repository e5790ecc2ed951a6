/* SPDX-License-Identifier: MIT */
/*
 * The host and the rest of a disk for fuzz-blk-queue: grants 0 to 3 are pages that may be written, 4 to 7 pages
 * that may not, all others are none. blk_queue_host.c has the functions of libxenhost, of vbd.c and of threads
 * that vbd_queue.c calls.
 */
#ifndef TESTS_FUZZ_BLK_QUEUE_HOST_H
#define TESTS_FUZZ_BLK_QUEUE_HOST_H

#include <stdbool.h>
#include <stdint.h>

uint8_t *host_init(void); /* the ring's page */
void host_reset(void);
uint8_t *host_page(uint32_t gref); /* or NULL */
/* the front end has written to its pages */
void host_remember(void);
bool host_readonly_unchanged(void);
unsigned int host_uses(void); /* of all grants */
void host_forget_uses(void);  /* the process has ended */
unsigned int host_failures(void);
bool host_stopped(void);
void host_signal(void);
/* discards take long until they are not held any more, or are ended so */
void host_hold_discards(bool hold);
bool host_holds_discards(void);
void host_end_discards(int result);

#endif
