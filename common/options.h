/* SPDX-License-Identifier: MIT */
/*
 * Command lines from tables: parsing, --help and --version in one form for all programs.
 * Only main programs use it; it prints to stdout and stderr.
 */
#ifndef COMMON_OPTIONS_H
#define COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* arg NULL: a flag, value is NULL. set() returns 0 or -errno (a usage error). Tables end with a NULL name */
struct option_spec {
	const char *name;
	const char *arg;
	const char *help;
	int (*set)(void *data, const char *value);
};

struct option_table {
	const struct option_spec *specs;
	void *data; /* for set() */
};

struct options {
	const char *program;  /* as in messages: "xenhost run" */
	const char *operands; /* for the usage line, NULL: none are taken */
	const char *purpose;  /* one line for --help */
	const char *page;     /* man page: "xenhost-run(1)" */
	bool options_first;   /* what follows the first operand is operands, also "-1" */
};

/*
 * Options may stand among the operands, which are moved behind them (argv is changed); "--" ends them.
 * Index of the first operand in argv (>= 1), 0 = help or version was printed (exit 0),
 * -EINVAL = a usage error was printed (exit 2).
 */
int options_parse(const struct options *o, int argc, char **argv, const struct option_table *tables,
		  size_t nr_tables);

/* whole string a decimal number within the limits, else -EINVAL */
int options_number(const char *value, unsigned long long min, unsigned long long max,
		   unsigned long long *ret_number);
/* bytes, with an optional K, M, G or T */
int options_size(const char *value, unsigned long long *ret_bytes);

#endif
