/*
 * Ping-pong through two pipes, read and written by rings:
 *
 *	pipe one
 *	pipe two same|other|free
 *
 * An operation is one hand-over: a write that completes a read. Both sides are
 * served by one thread with one ring, or by a thread and a ring each. That is
 * the floor for tasks that communicate through the kernel, on a loop and across loops.
 */
#include "floor.h"
#include "uring.h"

/* A side reads what the other writes. user_data tells its reads from writes. */
static int ends[2][2]; /* ends[s][0] is read by side s, ends[s][1] written by the other */
static char buffers[2][64];
static bool two;
static struct placement at;
static pthread_barrier_t both;
static long rounds;

enum { WRITE = 2 };

/* A worker is one thread with a ring, and the reads that its sides have left. */
struct worker {
	struct io_uring ring;
	unsigned in_flight;
	long to_read[2];
};

static void read_more(struct worker *p, int side)
{
	struct io_uring_sqe *sqe = get_sqe(&p->ring);
	io_uring_prep_read(sqe, ends[side][0], buffers[side], 1, 0);
	sqe->user_data = side;
	p->in_flight++;
}

static void write_to(struct worker *p, int side)
{
	struct io_uring_sqe *sqe = get_sqe(&p->ring);
	io_uring_prep_write(sqe, ends[side][1], "o", 1, 0);
	sqe->user_data = WRITE;
	p->in_flight++;
}

/* landed handles a completion: side 1 answers each byte, side 0 all but the last. */
static void landed(struct worker *p, struct io_uring_cqe *cqe)
{
	if (must(cqe->res, "pipe") != 1)
		fail(1, 0, "pipe: nothing moved");
	p->in_flight--;
	if (cqe->user_data == WRITE)
		return;
	int side = cqe->user_data;
	bool last = --p->to_read[side] == 0;
	if (side == 1 || !last)
		write_to(p, !side);
	if (!last)
		read_more(p, side);
}

static void work(struct worker *p)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen;
	while (p->in_flight) {
		int ret = io_uring_submit_and_wait(&p->ring, 1);
		if (ret != -EINTR)
			must(ret, "io_uring_submit_and_wait");
		seen = 0;
		io_uring_for_each_cqe(&p->ring, head, cqe) {
			landed(p, cqe);
			seen++;
		}
		io_uring_cq_advance(&p->ring, seen);
	}
}

/* take_side adds a side to a worker and prepares the first read of that side. */
static void take_side(struct worker *p, int side)
{
	p->to_read[side] = rounds;
	read_more(p, side);
}

static void *second(void *unused)
{
	struct worker p = {0};
	pin(at.cpu[1]);
	open_ring(&p.ring, DEFER);
	take_side(&p, 1);
	pthread_barrier_wait(&both);
	work(&p);
	io_uring_queue_exit(&p.ring);
	return NULL;
}

static uint64_t first(void)
{
	struct worker p = {0};
	open_ring(&p.ring, DEFER);
	take_side(&p, 0);
	if (two)
		pthread_barrier_wait(&both);
	else
		take_side(&p, 1);
	uint64_t start = now();
	write_to(&p, 1);
	work(&p);
	uint64_t wall = now() - start;
	io_uring_queue_exit(&p.ring);
	return wall;
}

static struct result run(long n)
{
	pthread_t other;
	rounds = (n + 1) / 2;
	if (two && pthread_create(&other, NULL, second, NULL))
		fail(1, 0, "pthread_create");
	uint64_t wall = first();
	if (two)
		pthread_join(other, NULL);
	return (struct result){.op = (double)wall / (2 * rounds)};
}

int main(int argc, char **argv)
{
	if (argc < 2 || (strcmp(argv[1], "one") && argc < 3))
		fail(2, 0, "usage: pipe one, or: pipe two same|other|free");
	two = !strcmp(argv[1], "two");
	at = placement(two ? argv[2] : "free");
	pin(at.cpu[0]);
	pthread_barrier_init(&both, NULL, 2);
	need_ring(DEFER);
	if (pipe(ends[0]) || pipe(ends[1]))
		fail(1, errno, "pipe");
	serve(run);
}
