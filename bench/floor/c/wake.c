/*
 * One thread wakes the ring of another:
 *
 *	wake eventfd|msg_ring|send_msg_ring asleep|awake same|other|free [REST]
 *
 * The waiter's ring is a DEFER_TASKRUN one. Asleep, it has been blocked in
 * io_uring_submit_and_wait for REST microseconds (50) when it is woken: the waker
 * looks up its state first. Awake, it watches the flag that says that there is
 * work, and enters the kernel when there is. call is the waker's own cost
 * (median), p50 and p99 are from before that call until the waiter has the
 * completion, op is their mean. Two looks at the clock are in each.
 */
#include "floor.h"
#include "uring.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

enum { TAG = 7, REGISTER_SEND_MSG_RING = 31 };

static void (*ring_bell)(void);
static bool awake;
static struct placement at;
static struct io_uring theirs, mine; /* the waiter's, the waker's */
static int event = -1, waiter_tid;
static pthread_barrier_t both;
static long rounds;
static uint64_t rest = 50000; /* ns */
static uint64_t *latencies, *calls;
static _Alignas(64) _Atomic uint64_t stamp;
static _Alignas(64) atomic_long woken;

static void by_eventfd(void)
{
	uint64_t one = 1;
	if (write(event, &one, sizeof one) < 0)
		fail(1, errno, "write");
}

/* The completion of an SQE's message is reaped later, outside of the measured time. */
static void by_msg_ring(void)
{
	io_uring_prep_msg_ring(get_sqe(&mine), theirs.ring_fd, 1, TAG, 0);
	must(io_uring_submit(&mine), "io_uring_submit");
}

static int send_msg_ring(int fd)
{
	struct io_uring_sqe sqe = {0};
	io_uring_prep_msg_ring(&sqe, fd, 1, TAG, 0);
	return syscall(__NR_io_uring_register, -1, REGISTER_SEND_MSG_RING, &sqe, 1) < 0 ? -errno : 0;
}

static void by_send_msg_ring(void)
{
	must(send_msg_ring(theirs.ring_fd), "IORING_REGISTER_SEND_MSG_RING");
}

/* A kernel that knows it looks at the descriptor; one before 6.13 does not. */
static void need_send_msg_ring(void)
{
	if (send_msg_ring(-1) != -EBADF)
		fail(UNSUPPORTED, 0, "no IORING_REGISTER_SEND_MSG_RING in this kernel");
}

static void arm_eventfd(void)
{
	struct io_uring_sqe *sqe = get_sqe(&theirs);
	io_uring_prep_poll_multishot(sqe, event, POLLIN);
	sqe->user_data = TAG;
}

/* watch_eventfd begins with a count of zero: another would be a wake at once. */
static void watch_eventfd(void)
{
	uint64_t before;
	if (read(event, &before, sizeof before) < 0 && errno != EAGAIN)
		fail(1, errno, "read");
	arm_eventfd();
	must(io_uring_submit(&theirs), "io_uring_submit");
}

/* await returns when there is a completion. */
static void await(void)
{
	if (!awake) {
		int ret = io_uring_submit_and_wait(&theirs, 1);
		if (ret != -EINTR)
			must(ret, "io_uring_submit_and_wait");
		return;
	}
	while (!(__atomic_load_n(theirs.sq.kflags, __ATOMIC_ACQUIRE) & IORING_SQ_TASKRUN))
		relax();
	must(io_uring_get_events(&theirs), "io_uring_get_events");
}

/* reap returns the number of wakes that have come. */
static long reap(void)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0, n = 0;
	io_uring_for_each_cqe(&theirs, head, cqe) {
		must(cqe->res, "wake");
		n += cqe->user_data == TAG;
		seen++;
		if (event >= 0 && !(cqe->flags & IORING_CQE_F_MORE))
			arm_eventfd();
	}
	io_uring_cq_advance(&theirs, seen);
	return n;
}

static void *waiter(void *unused)
{
	pin(at.cpu[1]);
	waiter_tid = syscall(SYS_gettid);
	open_ring(&theirs, DEFER | IORING_SETUP_TASKRUN_FLAG);
	if (event >= 0)
		watch_eventfd();
	pthread_barrier_wait(&both);
	for (long i = 0; i < rounds;) {
		await();
		uint64_t end = now();
		if (!reap())
			continue;
		latencies[i++] = end - atomic_load(&stamp);
		atomic_store(&woken, i);
	}
	pthread_barrier_wait(&both);
	io_uring_queue_exit(&theirs);
	return NULL;
}

static void idle_for(uint64_t ns)
{
	for (uint64_t start = now(); now() - start < ns;)
		relax();
}

/* until_asleep reads the waiter's state, which follows its name. */
static void until_asleep(int stat_fd)
{
	char text[128], *after;
	for (;;) {
		ssize_t n = pread(stat_fd, text, sizeof text - 1, 0);
		if (n < 0)
			fail(1, errno, "read stat");
		text[n] = 0;
		after = strrchr(text, ')');
		if (after && after[2] == 'S')
			break;
		sched_yield();
	}
	idle_for(rest);
}

static int open_stat(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", waiter_tid);
	return must(open(path, O_RDONLY | O_CLOEXEC), path);
}

static void reap_own(void)
{
	struct io_uring_cqe *cqe;
	must(io_uring_wait_cqe(&mine, &cqe), "io_uring_wait_cqe");
	must(cqe->res, "msg_ring");
	io_uring_cqe_seen(&mine, cqe);
}

static void wake_all(void)
{
	int stat_fd = open_stat();
	for (long i = 0; i < rounds; i++) {
		if (awake)
			idle_for(2000); /* it is back at its flag by then */
		else
			until_asleep(stat_fd);
		uint64_t start = now();
		atomic_store(&stamp, start);
		ring_bell();
		calls[i] = now() - start;
		if (ring_bell == by_msg_ring)
			reap_own();
		while (atomic_load(&woken) <= i)
			sched_yield();
	}
	close(stat_fd);
}

static struct result run(long n)
{
	pthread_t other;
	struct result r = {0};
	rounds = n;
	atomic_store(&woken, 0);
	latencies = calloc(n, sizeof *latencies);
	calls = calloc(n, sizeof *calls);
	if (!latencies || !calls || pthread_create(&other, NULL, waiter, NULL))
		fail(1, 0, "no memory");
	pthread_barrier_wait(&both);
	wake_all();
	pthread_barrier_wait(&both);
	pthread_join(other, NULL);
	for (long i = 0; i < n; i++)
		r.op += (double)latencies[i] / n;
	r.call = quantile(calls, n, 0.5);
	r.p50 = quantile(latencies, n, 0.5);
	r.p99 = quantile(latencies, n, 0.99);
	free(latencies);
	free(calls);
	return r;
}

static void choose_bell(const char *how)
{
	if (!strcmp(how, "eventfd")) {
		ring_bell = by_eventfd;
		event = must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	} else if (!strcmp(how, "msg_ring")) {
		ring_bell = by_msg_ring;
		open_ring(&mine, DEFER);
	} else if (!strcmp(how, "send_msg_ring")) {
		ring_bell = by_send_msg_ring;
		need_send_msg_ring();
	} else {
		fail(2, 0, "a wake is eventfd, msg_ring or send_msg_ring");
	}
	need_ring(DEFER | IORING_SETUP_TASKRUN_FLAG);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		fail(2, 0, "usage: wake eventfd|msg_ring|send_msg_ring asleep|awake same|other|free [REST]");
	if (argc > 4)
		rest = 1000ull * strtoul(argv[4], NULL, 10);
	awake = !strcmp(argv[2], "awake");
	if (awake && !strcmp(argv[3], "same"))
		fail(2, 0, "one that spins keeps the other off its processor");
	at = placement(argv[3]);
	pin(at.cpu[0]);
	choose_bell(argv[1]);
	pthread_barrier_init(&both, NULL, 2);
	serve(run);
}
