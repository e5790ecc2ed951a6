/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/bench.h"

static double read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double bench_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, BENCH_ROUNDS, sizeof(*values), compare);
	return values[BENCH_ROUNDS / 2];
}

bool bench_run(const struct bench_pair *pair)
{
	double ours[BENCH_ROUNDS], peer[BENCH_ROUNDS], ratio[BENCH_ROUNDS], result;

	/* once for nothing: caches, page tables */
	(void)pair->peer(pair->data, pair->peer_n);
	(void)pair->ours(pair->data, pair->n);
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		peer[i] = pair->peer(pair->data, pair->peer_n) / pair->peer_n;
		ours[i] = pair->ours(pair->data, pair->n) / pair->n;
		if (peer[i] <= 0 || ours[i] <= 0) {
			printf("GOAL %s: failed MISSED\n", pair->name);
			return false;
		}
		ratio[i] = ours[i] / peer[i];
	}
	result = median(ratio);
	printf("%s: %.1f ns against %.1f ns\n", pair->name, median(ours), median(peer));
	printf("GOAL %s: %.2f (goal <= %.2f) %s\n", pair->name, result, pair->goal,
	       result <= pair->goal ? "met" : "MISSED");
	fflush(stdout);
	return result <= pair->goal;
}
