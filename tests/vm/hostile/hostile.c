/* SPDX-License-Identifier: MIT */
/*
 * A guest that means harm: every hypercall with random and edge arguments, nonsense in the ring pages it
 * shares with xenstored and the console, storms of ports and events. It never ends by itself and spares only
 * its own code and stack. Runs on nothing: no libc, no interrupts. The command line is its seed.
 */
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define CONSOLE_RING 0xfeff8000u
#define STORE_RING 0xfeff9000u
#define SCRATCH (16u << 20) /* memory that may become anything; our image ends far below */
#define SCRATCH_PAGES 2048u
#define REPORT_EVERY 500u

/* xen/include/public */
enum {
	MEMORY_OP = 12,
	SET_TIMER = 15,
	VERSION = 17,
	CONSOLE_IO = 18,
	GRANT_OP = 20,
	VM_ASSIST = 21,
	VCPU_OP = 24,
	SCHED_OP = 29,
	EVTCHN_OP = 32,
	HVM_OP = 34,
};

#define SCHEDOP_SHUTDOWN 2
#define SCHEDOP_POLL 3
#define EVTCHNOP_SEND 4
#define EVTCHNOP_ALLOC_UNBOUND 6
#define EVTCHNOP_RESET 10

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline;
};

typedef unsigned long word;

static uint64_t state;
static int intel;

static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random64() >> 16) % n;
}

static long hypercall(word nr, word a0, word a1, word a2, word a3, word a4)
{
	long result;
#ifdef __x86_64__
	register word r10 __asm__("r10") = a3;
	register word r8 __asm__("r8") = a4;

	if (intel)
		__asm__ volatile("vmcall"
				 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8)
				 : "0"(nr)
				 : "memory");
	else
		__asm__ volatile("vmmcall"
				 : "=a"(result), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10), "+r"(r8)
				 : "0"(nr)
				 : "memory");
#else
	if (intel)
		__asm__ volatile("vmcall"
				 : "=a"(result), "+b"(a0), "+c"(a1), "+d"(a2), "+S"(a3), "+D"(a4)
				 : "0"(nr)
				 : "memory");
	else
		__asm__ volatile("vmmcall"
				 : "=a"(result), "+b"(a0), "+c"(a1), "+d"(a2), "+S"(a3), "+D"(a4)
				 : "0"(nr)
				 : "memory");
#endif
	return result;
}

static uint32_t cpuid_vendor(void)
{
	uint32_t a = 0, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return b;
}

/* --- values --- */

static uint32_t scratch(void)
{
	return SCRATCH + below(SCRATCH_PAGES) * PAGE;
}

/* numbers that break things: limits, signs, small ones, what structures have in these places */
static uint64_t number(void)
{
	static const uint64_t edges[] = {
		0,	    1,		2,	    3,		0x7ff0,	    0x7ff1,	31,
		32,	    63,		64,	    1023,	1024,	    4095,	4096,
		0x7fffffff, 0x80000000, 0xffffffff, 1ull << 40, 1ull << 52, 1ull << 63, ~0ull,
		0xfeff8,    0xfeff9,	0xfeff0,    0xfee00,	32000,	    32001,
	};

	switch (below(6)) {
	case 0:
		return edges[below(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return scratch() / PAGE;
	case 2:
		return scratch() + below(PAGE);
	case 3:
		return random64() | 1ull << 34; /* no address of ours */
	default:
		return below(40);
	}
}

static void fill(uint32_t at, uint32_t words)
{
	volatile uint32_t *p = (volatile uint32_t *)(uintptr_t)at;

	for (uint32_t i = 0; i < words; i++)
		p[i] = (uint32_t)number();
	if (below(2))
		p[0] = 0x7ff0; /* DOMID_SELF: what most structures begin with */
}

/* an argument: mostly a pointer to nonsense, also across the end of a page or of memory */
static word argument(void)
{
	uint32_t at = scratch();

	switch (below(8)) {
	case 0:
		return (word)number();
	case 1:
		at += PAGE - 4 * (1 + below(8)); /* crosses into the next page */
		fill(at, 16);
		return at;
	case 2:
		return SCRATCH + SCRATCH_PAGES * PAGE + (56u << 20) - below(16); /* near the end */
	case 3:
		at += below(64);
		fill(at & ~3u, 16);
		return at;
	default:
		fill(at, 16);
		return at;
	}
}

/* --- what it does --- */

static void random_call(void)
{
	static const uint8_t numbers[] = { MEMORY_OP, SET_TIMER, VERSION,   GRANT_OP, VM_ASSIST,
					   VCPU_OP,   SCHED_OP,	 EVTCHN_OP, HVM_OP,   CONSOLE_IO };
	word nr = numbers[below(sizeof(numbers))], op = below(40);

	if (below(50) == 0)
		nr = (word)number();
	if (below(20) == 0)
		op = (word)number();
	/* ending is no attack, and a poll may wait for ever */
	if (nr == SCHED_OP && ((uint32_t)op == SCHEDOP_SHUTDOWN || (uint32_t)op == SCHEDOP_POLL))
		return;
	if (nr == CONSOLE_IO && below(100))
		return;
	if (nr == VCPU_OP || nr == GRANT_OP)
		hypercall(nr, op, below(4) ? below(2) : (word)number(), argument(), argument(), 0);
	else
		hypercall(nr, op, argument(), argument(), argument(), argument());
}

static void nonsense_in_rings(void)
{
	volatile uint32_t *ring =
		(volatile uint32_t *)(uintptr_t)(below(2) ? CONSOLE_RING : STORE_RING);
	uint32_t port = ring == (volatile uint32_t *)(uintptr_t)STORE_RING ? 1 : 2;

	for (uint32_t i = 0, n = below(64); i < n; i++)
		ring[below(PAGE / 4)] = (uint32_t)number();
	if (below(4) == 0) { /* indices that are possible: the requests are looked at then */
		ring[512] = ring[513] + 1 + below(1024);
		ring[768] = ring[769] + 1 + below(1024);
	}
	*(volatile uint32_t *)(uintptr_t)SCRATCH = port;
	hypercall(EVTCHN_OP, EVTCHNOP_SEND, SCRATCH, 0, 0, 0);
}

static void port_storm(void)
{
	volatile uint16_t *alloc = (volatile uint16_t *)(uintptr_t)(SCRATCH + PAGE);
	static const uint16_t domids[] = { 0, 32000, 32001, 0x7ff0, 1, 2 };

	for (uint32_t i = 0, n = below(below(8) ? 40 : 1200); i < n; i++) {
		alloc[0] = 0x7ff0;
		alloc[1] = domids[below(6)];
		hypercall(EVTCHN_OP, EVTCHNOP_ALLOC_UNBOUND, SCRATCH + PAGE, 0, 0, 0);
	}
	for (uint32_t i = 0; i < 2000; i++) {
		*(volatile uint32_t *)(uintptr_t)SCRATCH = below(4096);
		hypercall(EVTCHN_OP, EVTCHNOP_SEND, SCRATCH, 0, 0, 0);
	}
	if (below(2)) {
		alloc[0] = 0x7ff0;
		hypercall(EVTCHN_OP, EVTCHNOP_RESET, SCRATCH + PAGE, 0, 0, 0);
	}
}

/* by the hypercall: the ring is nonsense */
static void report(uint32_t rounds)
{
	static char text[] = "hostile: 00000000 rounds\n";

	for (int i = 0; i < 8; i++)
		text[9 + i] = "0123456789abcdef"[rounds >> (28 - 4 * i) & 15];
	hypercall(CONSOLE_IO, 0, sizeof(text) - 1, (word)text, 0, 0);
}

void hostile(const struct start_info *info);

void hostile(const struct start_info *info)
{
	const char *seed = (const char *)(uintptr_t)info->cmdline;

	intel = cpuid_vendor() != 0x68747541; /* "Auth" */
	state = 88172645463325252ull;
	while (seed && *seed)
		state = (state ^ (uint8_t)*seed++) * 0x100000001b3ull;
	for (uint32_t rounds = 1;; rounds++) {
		switch (below(512)) {
		case 0:
			port_storm();
			break;
		case 1 ... 20:
			nonsense_in_rings();
			break;
		default:
			random_call();
			break;
		}
		if (rounds % REPORT_EVERY == 1)
			report(rounds);
	}
}
