/*
 * The parts that the floor programs share. Each is started once, says "ready", then
 * answers every line "run N" with one line of what N operations cost:
 *
 *	op NS call NS p50 NS p99 NS
 *
 * op is the mean; call, the waker's own call, and the one-way latencies are
 * zero if the program does not measure them. A program that cannot run here
 * says why on stderr and exits with UNSUPPORTED.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { UNSUPPORTED = 77 };

struct result {
	double op, call, p50, p99;
};

__attribute__((noreturn)) static inline void fail(int status, int err, const char *what)
{
	fprintf(stderr, err ? "%s: %s\n" : "%s\n", what, strerror(err));
	exit(status);
}

/* must ends the program if a call returned an error, as -errno. */
static inline long must(long ret, const char *call)
{
	if (ret < 0)
		fail(1, -ret, call);
	return ret;
}

static inline uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* nth_cpu returns the nth processor that the process may run on. */
static inline int nth_cpu(int nth)
{
	cpu_set_t set;
	if (sched_getaffinity(getpid(), sizeof set, &set))
		fail(1, errno, "sched_getaffinity");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && nth-- == 0)
			return cpu;
	fail(UNSUPPORTED, 0, "not enough processors for this placement");
}

/* A placement of two threads: "same" processor, two "other" ones, or "free". */
struct placement {
	int cpu[2]; /* -1 for any */
};

static inline struct placement placement(const char *name)
{
	if (!strcmp(name, "free"))
		return (struct placement){{-1, -1}};
	if (!strcmp(name, "same"))
		return (struct placement){{nth_cpu(0), nth_cpu(0)}};
	if (!strcmp(name, "other"))
		return (struct placement){{nth_cpu(0), nth_cpu(1)}};
	fail(2, 0, "a placement is same, other or free");
}

/* pin pins the calling thread to a processor. */
static inline void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	if (cpu < 0)
		return;
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		fail(1, errno, "sched_setaffinity");
}

static inline int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* quantile sorts the n values. */
static inline double quantile(uint64_t *v, long n, double q)
{
	qsort(v, n, sizeof *v, compare);
	return v[(long)(q * (n - 1))];
}

static inline void serve(struct result (*run)(long n))
{
	char line[64];
	long n;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "run %ld", &n) != 1 || n < 1)
			fail(2, 0, "the only order is: run N");
		struct result r = run(n);
		printf("op %.2f call %.1f p50 %.0f p99 %.0f\n", r.op, r.call, r.p50, r.p99);
	}
}
