/* SPDX-License-Identifier: MIT */
/*
 * The port on Linux: epoll, level-triggered, and an eventfd for wakes.
 *
 * The kernel only says what could be done; reads and writes are made here, when
 * it says so, into one scratch buffer for all pipes. So no operation is ever in
 * the system's hands, cancelling is only forgetting, and an idle connection has
 * no buffer. What nobody waits for is taken out of the set: a hang-up is
 * reported even to those who ask for nothing, again and again.
 */
#include "system_linux.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256

enum ph_status ph_watch_arm(struct ph_port *port, struct watch *watch,
                            uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int how = EPOLL_CTL_MOD;
    assert(watch->fd >= 0 && watch->ready);
    if (watch->armed == events)
        return PH_OK;
    if (!watch->armed)
        how = EPOLL_CTL_ADD;
    else if (!events)
        how = EPOLL_CTL_DEL;
    if (epoll_ctl(linux_port_of(port)->epoll, how, watch->fd, &event) != 0)
        return PH_SYSTEM;
    watch->armed = events;
    return PH_OK;
}

static void woken(struct watch *watch, uint32_t events)
{
    uint64_t count;
    (void)events;
    /* Only the count is taken away; the posts are in the port's list. */
    ssize_t got = read(watch->fd, &count, sizeof count);
    (void)got;
}

/* One descriptor for each connection: the soft limit is too low for that. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool open_parts(struct linux_port *port)
{
    port->epoll = epoll_create1(EPOLL_CLOEXEC);
    port->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    port->wake.ready = woken;
    port->memory =
        mmap(NULL, PH_SCRATCH_SIZE + PH_FETCH_ROOM, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    port->scratch = port->memory;
    return port->epoll >= 0 && port->wake.fd >= 0 &&
           port->memory != MAP_FAILED &&
           ph_watch_arm(&port->base, &port->wake, EPOLLIN) == PH_OK;
}

static void close_parts(struct linux_port *port)
{
    if (port->memory != MAP_FAILED)
        munmap(port->memory, PH_SCRATCH_SIZE + PH_FETCH_ROOM);
    ph_signals_close(port);
    ph_notices_close(port);
    if (port->wake.fd >= 0)
        close(port->wake.fd);
    if (port->epoll >= 0)
        close(port->epoll);
    free(port);
}

enum ph_status ph_backend_port_open(struct ph_port **out, long *os)
{
    struct linux_port *port = calloc(1, sizeof *port);
    if (!port)
        return PH_NOMEM;
    raise_descriptor_limit();
    port->signals.fd = port->notices.fd = -1;
    if (!open_parts(port)) {
        *os = errno;
        close_parts(port);
        return PH_SYSTEM;
    }
    *out = &port->base;
    return PH_OK;
}

void ph_backend_port_close(struct ph_port *port)
{
    close_parts(linux_port_of(port));
}

/* Rounded up: a wait that ends before its timer is due would spin. */
static int wait_ms(int64_t wait_us)
{
    assert(wait_us >= 0); /* -1 would be for ever */
    if (wait_us == PH_FOREVER)
        return -1;
    if (wait_us > INT64_C(3600000000))
        return 3600000;
    return (int)((wait_us + 999) / 1000);
}

/*
 * What has come for several pipes is read in one go, before the first of it is
 * served: the kernel's part and ours each stay in the processor's caches.
 */
static void fetch_all(struct linux_port *port, const struct epoll_event *events,
                      int count, struct ph_fetched *fetched)
{
    const unsigned char *most = port->memory + PH_FETCH_ROOM;
    for (int i = 0; i < count; i++) {
        fetched[i].status = PH_PENDING; /* not fetched */
        if (port->scratch < most &&
            ph_pipe_fetch(events[i].data.ptr, events[i].events, &fetched[i]))
            port->scratch += (fetched[i].chunk.len + 15) / 16 * 16;
    }
}

static void serve(struct ph_port *port, const struct epoll_event *event,
                  struct ph_fetched *fetched)
{
    struct watch *watch = event->data.ptr;
    /* Not one that an earlier event of this batch has closed. */
    if (!watch->armed)
        return;
    if (fetched->status != PH_PENDING)
        ph_pipe_deliver(watch, event->events, fetched);
    else
        watch->ready(watch, event->events);
    ph_port_breathe(port);
}

enum ph_status ph_backend_poll(struct ph_port *base, int64_t wait_us)
{
    struct linux_port *port = linux_port_of(base);
    struct epoll_event events[BATCH];
    struct ph_fetched fetched[BATCH];
    int count = epoll_wait(port->epoll, events, BATCH, wait_ms(wait_us));
    int error = errno;
    base->now = ph_backend_clock();
    port->turn++;
    if (count < 0)
        return error == EINTR ? PH_OK : PH_SYSTEM;
    base->crowd = count > 1;
    fetched[0].status = PH_PENDING;
    if (base->crowd)
        fetch_all(port, events, count, fetched);
    for (int i = 0; i < count; i++)
        serve(base, &events[i], &fetched[i]);
    base->crowd = false;
    port->scratch = port->memory;
    return PH_OK;
}

void ph_backend_wake(struct ph_port *port)
{
    uint64_t one = 1;
    ssize_t put = write(linux_port_of(port)->wake.fd, &one, sizeof one);
    (void)put; /* a full counter wakes as well */
}

int64_t ph_backend_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

const char *ph_why_of_errno(int error)
{
    return error == EMFILE || error == ENFILE ? "no descriptor is left for it"
                                              : NULL;
}

enum ph_status ph_status_of_errno(int error)
{
    static const struct {
        int error;
        enum ph_status status;
    } map[] = {
        {ENOENT, PH_ABSENT},     {ECONNREFUSED, PH_ABSENT},
        {ENOTDIR, PH_ABSENT},    {EAGAIN, PH_BUSY},
        {EACCES, PH_DENIED},     {EPERM, PH_DENIED},
        {EROFS, PH_DENIED},      {EPROTOTYPE, PH_MODE},
        {EADDRINUSE, PH_EXISTS}, {EPIPE, PH_CLOSED},
        {ECONNRESET, PH_CLOSED}, {ENOTCONN, PH_CLOSED},
        {EMSGSIZE, PH_TOOBIG},   {ENOMEM, PH_NOMEM},
        {EMFILE, PH_NOMEM},      {ENFILE, PH_NOMEM},
        {ENOBUFS, PH_NOMEM},     {ETIMEDOUT, PH_TIMEOUT},
    };
    for (size_t i = 0; i < ph_countof(map); i++)
        if (map[i].error == error)
            return map[i].status;
    return PH_SYSTEM;
}
