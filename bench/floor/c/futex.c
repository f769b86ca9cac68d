/*
 * Two threads wake each other through two futexes: futex same|other|free
 *
 * An operation is one hand-over, half of a round trip. This is the floor of
 * everything that puts one thread to sleep and wakes another.
 */
#include "floor.h"
#include <linux/futex.h>

static _Alignas(64) atomic_uint words[2][16]; /* one cache line a side */
static struct placement at;
static pthread_barrier_t both;

static void futex(atomic_uint *word, int op, unsigned val)
{
	if (syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, NULL, NULL, 0) < 0 && errno != EAGAIN && errno != EINTR)
		fail(1, errno, "futex");
}

static void give(int side)
{
	atomic_store(&words[side][0], 1);
	futex(&words[side][0], FUTEX_WAKE, 1);
}

static void take(int side)
{
	while (!atomic_exchange(&words[side][0], 0))
		futex(&words[side][0], FUTEX_WAIT, 0);
}

static void *answer(void *arg)
{
	long n = *(long *)arg;
	pin(at.cpu[1]);
	pthread_barrier_wait(&both);
	for (long i = 0; i < n; i++) {
		take(0);
		give(1);
	}
	return NULL;
}

static struct result run(long n)
{
	long rounds = (n + 1) / 2;
	pthread_t other;
	if (pthread_create(&other, NULL, answer, &rounds))
		fail(1, 0, "pthread_create");
	pthread_barrier_wait(&both);
	uint64_t start = now();
	for (long i = 0; i < rounds; i++) {
		give(0);
		take(1);
	}
	uint64_t wall = now() - start;
	pthread_join(other, NULL);
	return (struct result){.op = (double)wall / (2 * rounds)};
}

int main(int argc, char **argv)
{
	if (argc < 2)
		fail(2, 0, "usage: futex same|other|free");
	at = placement(argv[1]);
	pin(at.cpu[0]);
	pthread_barrier_init(&both, NULL, 2);
	serve(run);
}
