/* The parts of the programs with a ring. Written for liburing 2.3 and later. */
#include <liburing.h>

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

#ifndef ENTRIES
#define ENTRIES 256
#endif

#define DEFER (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER)

/*
 * open_ring is io_uring_queue_init, which before liburing 2.5 would write the
 * array that NO_SQARRAY leaves out over the queues. Kernels that lack the flag
 * (before 6.6) get the ring without it.
 */
static inline void open_ring(struct io_uring *ring, unsigned flags)
{
	struct io_uring_params p = {.flags = flags | IORING_SETUP_NO_SQARRAY};
	long fd = syscall(__NR_io_uring_setup, ENTRIES, &p);
	if (fd < 0 && errno == EINVAL) {
		p = (struct io_uring_params){.flags = flags};
		fd = syscall(__NR_io_uring_setup, ENTRIES, &p);
	}
	if (fd < 0)
		fail(UNSUPPORTED, errno, "io_uring_setup");
	must(io_uring_queue_mmap(fd, &p, ring), "io_uring_queue_mmap");
	ring->features = p.features;
	if (!(p.flags & IORING_SETUP_NO_SQARRAY))
		for (unsigned i = 0; i < p.sq_entries; i++)
			ring->sq.array[i] = i;
}

/* need_ring ends a program that opens rings later, if there are none. */
static inline void need_ring(unsigned flags)
{
	struct io_uring ring;
	open_ring(&ring, flags);
	io_uring_queue_exit(&ring);
}

static inline struct io_uring_sqe *get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	if (!sqe)
		fail(1, 0, "io_uring_get_sqe: full");
	return sqe;
}
