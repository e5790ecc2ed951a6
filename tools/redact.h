/* SPDX-License-Identifier: MIT */
/*
 * Takes secrets out of text that is given to others: values of names that speak of passwords, keys and tokens,
 * names and passwords within addresses, private keys, and what guests keep below the nodes data and vm-data. Pure;
 * works line by line, because some of that has several.
 */
#ifndef TOOLS_REDACT_H
#define TOOLS_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#define REDACTED "(removed)"

struct redact {
	bool tree;	  /* the text is that of xenhost store tree: two blanks for each level */
	size_t hidden;	  /* of a tree: nodes deeper than this have their values removed; 0: none */
	bool private_key; /* within one */
};

/* out gets the line without its secrets, without a newline; what does not fit is cut off */
void redact_line(struct redact *r, const char *line, char *out, size_t size);

#endif
