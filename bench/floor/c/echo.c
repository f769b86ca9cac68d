/*
 * An echo server of one ring: a multishot accept, multishot receives into a ring of
 * provided buffers, and sends of the same buffers, one at a time for each connection:
 *
 *	echo SIZE
 *
 * SIZE is that of a buffer. The server says "ready ADDRESS" and serves until its input
 * ends. It takes no orders.
 */
#define ENTRIES 4096
#include "floor.h"
#include "uring.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum { BUFFERS = 1024, MOST_FILES = 1 << 16 };
enum { ACCEPT, RECV, SEND };

/* A connection is known by its descriptor. Its buffers wait for their turn to be sent. */
struct connection {
	int first, last; /* buffers, first is being sent; -1 if there are none */
	bool receiving;
};

static struct io_uring ring;
static struct io_uring_buf_ring *provided;
static char *memory;
static size_t size;
static struct connection connections[MOST_FILES];
static struct { int next, filled; } buffers[BUFFERS];
static int starved[MOST_FILES], starving; /* connections that found no buffer */
static unsigned given;                    /* buffers given back since the last advance */

static struct io_uring_sqe *prepared(unsigned op, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	if (!sqe) {
		must(io_uring_submit(&ring), "io_uring_submit");
		sqe = get_sqe(&ring);
	}
	sqe->user_data = (uint64_t)op << 32 | (unsigned)fd;
	return sqe;
}

/* The prep functions clear user_data, so it is set again afterwards. */
static void accept_all(int listener)
{
	struct io_uring_sqe *sqe = prepared(ACCEPT, listener);
	uint64_t user_data = sqe->user_data;
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	sqe->user_data = user_data;
}

static void receive(int fd)
{
	struct io_uring_sqe *sqe = prepared(RECV, fd);
	uint64_t user_data = sqe->user_data;
	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
	sqe->user_data = user_data;
	connections[fd].receiving = true;
}

static void send_first(int fd)
{
	int b = connections[fd].first;
	struct io_uring_sqe *sqe = prepared(SEND, fd);
	uint64_t user_data = sqe->user_data;
	io_uring_prep_send(sqe, fd, memory + b * size, buffers[b].filled, MSG_WAITALL | MSG_NOSIGNAL);
	sqe->user_data = user_data;
}

static void provide(int b)
{
	io_uring_buf_ring_add(provided, memory + b * size, size, b, io_uring_buf_ring_mask(BUFFERS), given++);
}

static void close_if_done(int fd)
{
	struct connection *c = &connections[fd];
	if (!c->receiving && c->first < 0)
		close(fd);
}

static void accepted(int listener, struct io_uring_cqe *cqe)
{
	int one = 1, fd = must(cqe->res, "accept");
	if (!(cqe->flags & IORING_CQE_F_MORE))
		accept_all(listener);
	if (fd >= MOST_FILES)
		fail(1, 0, "echo: too many connections");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one))
		fail(1, errno, "setsockopt");
	connections[fd].first = connections[fd].last = -1;
	receive(fd);
}

static void received(int fd, struct io_uring_cqe *cqe)
{
	struct connection *c = &connections[fd];
	c->receiving = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->res == -ENOBUFS) {
		starved[starving++] = fd;
		c->receiving = true; /* soon again */
		return;
	}
	if (cqe->res <= 0) {
		if (cqe->flags & IORING_CQE_F_BUFFER)
			provide(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
		close_if_done(fd);
		return;
	}
	int b = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	buffers[b].filled = cqe->res;
	buffers[b].next = -1;
	if (c->first < 0) {
		c->first = c->last = b;
		send_first(fd);
	} else {
		buffers[c->last].next = b;
		c->last = b;
	}
	if (!c->receiving)
		receive(fd);
}

static void sent(int fd, struct io_uring_cqe *cqe)
{
	struct connection *c = &connections[fd];
	int b = c->first;
	bool whole = cqe->res == buffers[b].filled;
	c->first = buffers[b].next;
	provide(b);
	if (!whole) { /* the peer is gone, and the receive ends as well */
		for (; c->first >= 0; c->first = buffers[c->first].next)
			provide(c->first);
		shutdown(fd, SHUT_RDWR);
	}
	if (c->first >= 0)
		send_first(fd);
	else
		close_if_done(fd);
}

static void landed(struct io_uring_cqe *cqe)
{
	int fd = (unsigned)cqe->user_data;
	switch (cqe->user_data >> 32) {
	case ACCEPT:
		accepted(fd, cqe);
		break;
	case RECV:
		received(fd, cqe);
		break;
	case SEND:
		sent(fd, cqe);
		break;
	}
}

/* give_back hands over the buffers that are free again. Who found none tries again. */
static void give_back(void)
{
	if (given)
		io_uring_buf_ring_advance(provided, given);
	given = 0;
	while (starving)
		receive(starved[--starving]);
}

static int listener_on_loopback(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&at, &length))
		fail(1, errno, "echo: no listener");
	printf("ready 127.0.0.1:%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void provide_all(void)
{
	size_t bytes = BUFFERS * sizeof(struct io_uring_buf);
	void *pages = mmap(NULL, bytes + BUFFERS * size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (pages == MAP_FAILED)
		fail(1, errno, "mmap");
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)pages, .ring_entries = BUFFERS};
	int ret = io_uring_register_buf_ring(&ring, &reg, 0);
	if (ret < 0)
		fail(UNSUPPORTED, -ret, "io_uring_register_buf_ring");
	provided = pages;
	memory = (char *)pages + bytes;
	io_uring_buf_ring_init(provided);
	for (int b = 0; b < BUFFERS; b++)
		provide(b);
	give_back();
}

static void *until_input_ends(void *unused)
{
	char line[64];
	while (fgets(line, sizeof line, stdin))
		;
	exit(0);
}

int main(int argc, char **argv)
{
	pthread_t watcher;
	struct io_uring_cqe *cqe;
	unsigned head, seen;
	if (argc < 2 || (size = atol(argv[1])) < 1)
		fail(2, 0, "usage: echo SIZE");
	open_ring(&ring, DEFER);
	io_uring_register_ring_fd(&ring);
	provide_all();
	if (pthread_create(&watcher, NULL, until_input_ends, NULL))
		fail(1, 0, "pthread_create");
	accept_all(listener_on_loopback());
	for (;;) {
		int ret = io_uring_submit_and_wait(&ring, 1);
		if (ret != -EINTR && ret != -EBUSY)
			must(ret, "io_uring_submit_and_wait");
		seen = 0;
		io_uring_for_each_cqe(&ring, head, cqe) {
			landed(cqe);
			seen++;
		}
		io_uring_cq_advance(&ring, seen);
		give_back();
	}
}
