/* SPDX-License-Identifier: MIT */
/* Begin: with the tables of our predecessor, or with empty ones. */
#ifndef BRIDGED_RESTORE_H
#define BRIDGED_RESTORE_H

struct server;

/* records that state_check() found good, into empty tables: a part of what follows. -errno with *ret_why */
int restore_records(struct server *s, const void *bytes, const char **ret_why);

/*
 * Fills the tables of domains and deposits from what the keeper has; tables that are broken are refused
 * with one line, and all that belongs to them is dropped. 1 there was a predecessor, 0 these are new;
 * -errno, logged
 */
int restore_tables(struct server *s);

#endif
