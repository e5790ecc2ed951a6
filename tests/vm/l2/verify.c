/* SPDX-License-Identifier: MIT */
/*
 * verify DEVICE MIB SECONDS DEPTH: writes to the first MIB of a disk past the page cache and reads it back, at
 * random places, by DEPTH processes with a part of it each, then looks at everything once more. What is read must
 * be what this process wrote there last. Exit status 1: something was not, or an error; the reason is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define RUN_MAX 16u /* blocks of one request */

static uint8_t *buf;
static uint32_t *versions;
static uint64_t first, blocks; /* our part of the disk */

static void fill(uint8_t *where, uint64_t block, uint32_t version)
{
	uint64_t word = block * 0x9e3779b97f4a7c15ull ^ version;

	for (size_t i = 0; i < BLOCK; i += 8, word += 0x100000001ull)
		memcpy(where + i, &word, 8);
}

static int fail(const char *what, uint64_t block)
{
	printf("verify: %s block %llu: %s\n", what, (unsigned long long)block, strerror(errno));
	fflush(stdout);
	return 1;
}

static int write_run(int fd, uint64_t at, unsigned int n, uint32_t version)
{
	for (unsigned int i = 0; i < n; i++) {
		versions[at + i] = version;
		fill(buf + (size_t)i * BLOCK, first + at + i, version);
	}
	if (pwrite(fd, buf, (size_t)n * BLOCK, (off_t)((first + at) * BLOCK)) != (ssize_t)n * BLOCK)
		return fail("cannot write", first + at);
	return 0;
}

static int check_run(int fd, uint64_t at, unsigned int n)
{
	uint8_t want[BLOCK];

	if (pread(fd, buf, (size_t)n * BLOCK, (off_t)((first + at) * BLOCK)) != (ssize_t)n * BLOCK)
		return fail("cannot read", first + at);
	for (unsigned int i = 0; i < n; i++) {
		fill(want, first + at + i, versions[at + i]);
		errno = 0;
		if (versions[at + i] && memcmp(want, buf + (size_t)i * BLOCK, BLOCK))
			return fail("not what was written in", first + at + i);
	}
	return 0;
}

static int run(const char *path, unsigned int seconds, unsigned int seed)
{
	int fd = open(path, O_RDWR | O_DIRECT), r = 0;
	time_t end = time(NULL) + seconds;
	uint32_t version = 0;

	if (fd < 0)
		return fail("cannot open the disk of", 0);
	while (r == 0 && time(NULL) < end) {
		unsigned int n = 1 + (unsigned int)rand_r(&seed) % RUN_MAX;
		uint64_t at = (uint64_t)rand_r(&seed) % (blocks - n);

		r = rand_r(&seed) % 2 ? write_run(fd, at, n, ++version) : check_run(fd, at, n);
		if (r == 0 && rand_r(&seed) % 64 == 0 && fsync(fd) < 0)
			r = fail("cannot flush", at);
	}
	for (uint64_t at = 0; r == 0 && at + RUN_MAX <= blocks; at += RUN_MAX)
		r = check_run(fd, at, RUN_MAX);
	return r;
}

int main(int argc, char **argv)
{
	unsigned int depth = argc == 5 ? (unsigned int)atoi(argv[4]) : 0;
	int status, failed = depth == 0;

	for (unsigned int i = 0; i < depth; i++) {
		blocks = (uint64_t)atoi(argv[2]) * 256 / depth;
		first = i * blocks;
		if (fork() > 0)
			continue;
		versions = calloc(blocks, sizeof(versions[0]));
		buf = aligned_alloc(BLOCK, (size_t)RUN_MAX * BLOCK);
		_exit(versions && buf ? run(argv[1], (unsigned int)atoi(argv[3]), i + 1) : 2);
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
