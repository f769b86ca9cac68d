/*
 * NOPs through one ring: nop BATCH wait|events defer|plain [threads] [registered]
 *
 * A turn prepares BATCH of them, submits them by one call and reaps them. The
 * call waits for them (wait), or only runs what is due (events), which is
 * enough: a NOP is complete when it is submitted. With threads, another thread
 * sleeps meanwhile, as in every Go program: the kernel then counts the
 * users of the ring's descriptor at each call, unless it is registered.
 */
#include "floor.h"
#include "uring.h"

static struct io_uring ring;
static unsigned batch;
static bool waits;

static void turn(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;
	for (unsigned i = 0; i < batch; i++)
		io_uring_prep_nop(get_sqe(&ring));
	must(waits ? io_uring_submit_and_wait(&ring, batch) : io_uring_submit_and_get_events(&ring), "io_uring_enter");
	io_uring_for_each_cqe(&ring, head, cqe) {
		must(cqe->res, "nop");
		seen++;
	}
	io_uring_cq_advance(&ring, seen);
	if (seen != batch)
		fail(1, 0, "completions are missing");
}

static struct result run(long n)
{
	long turns = (n + batch - 1) / batch;
	uint64_t start = now();
	for (long i = 0; i < turns; i++)
		turn();
	return (struct result){.op = (double)(now() - start) / (turns * batch)};
}

__attribute__((noreturn)) static void *sleeper(void *unused)
{
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pthread_t other;
	bool threads = false, registered = false;
	if (argc < 4)
		fail(2, 0, "usage: nop BATCH wait|events defer|plain [threads] [registered]");
	batch = atoi(argv[1]);
	waits = !strcmp(argv[2], "wait");
	if (batch < 1 || batch > ENTRIES)
		fail(2, 0, "BATCH is 1 to 256");
	for (int i = 4; i < argc; i++) {
		threads |= !strcmp(argv[i], "threads");
		registered |= !strcmp(argv[i], "registered");
	}
	if (argc != 4 + threads + registered)
		fail(2, 0, "an option is threads or registered");
	open_ring(&ring, strcmp(argv[3], "plain") ? DEFER : 0);
	if (registered)
		must(io_uring_register_ring_fd(&ring), "io_uring_register_ring_fd");
	if (threads && pthread_create(&other, NULL, sleeper, NULL))
		fail(1, 0, "pthread_create");
	serve(run);
}
