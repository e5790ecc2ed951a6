/* SPDX-License-Identifier: MIT */
/* Measuring ours against a peer in turns, and the line that says whether a goal was met. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>

#define BENCH_ROUNDS 11

/* nanoseconds that n repetitions took; negative: it failed */
typedef double (*bench_fn)(void *data, unsigned int n);

struct bench_pair {
	const char *name;
	bench_fn ours, peer;
	void *data;
	unsigned int n, peer_n; /* repetitions per round */
	double goal;		/* most that ours/peer per repetition may be */
};

double bench_now(void);
/* for what does not wait: others who have the processor meanwhile do not count */
double bench_cpu(void);

/*
 * Interleaves BENCH_ROUNDS of both, prints both medians and "GOAL name: ratio (goal <= ...) met|MISSED" with the
 * median of the rounds' ratios. false: missed, or something failed
 */
bool bench_run(const struct bench_pair *pair);

#endif
