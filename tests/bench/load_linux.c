/* SPDX-License-Identifier: MIT */
/*
 * Load for a server on AF_UNIX sockets: one thread, one epoll, and for each
 * message one send and one recv: what the floor does itself.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "load.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256 };

enum stage { ASKED, ENDED };

/* One message in flight at a time is timed; probe counts down the echoes up
   to and including its own. */
struct connection {
    int fd;
    int in_flight; /* messages */
    int probe;
    int got; /* bytes of an echo that is not complete */
    enum stage stage;
    uint64_t since;
    struct connection *next_free;
};

struct load {
    struct load_options options;
    struct load_result result;
    struct connection *connections;
    int epoll;
    int status; /* of the whole run: enum load_exit */
    uint64_t now;
    uint64_t end;
    uint64_t due;   /* by the clock: when the next message goes */
    uint64_t heard; /* when the last echo came */
    uint64_t window_end;
    /* By the clock: nothing in flight on them. They take turns. */
    struct connection *free, **free_tail;
    char buffer[LOAD_MOST_BYTES];
};

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void give_up(struct load *l, int status, const char *why)
{
    if (l->status == LOAD_OK)
        fprintf(stderr, "load: %s\n", why);
    l->status = status;
}

static int finished(const struct load *l)
{
    return l->status != LOAD_OK || l->now >= l->end ||
           (l->options.count > 0 && l->result.count >= l->options.count);
}

/* A blocking connect waits its turn where the backlog is full. */
static int connect_once(const struct load_options *options)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = LOAD_STALL_MS / 1000};
    int type = options->stream ? SOCK_STREAM : SOCK_SEQPACKET;
    int fd;

    if (strlen(options->address) >= sizeof name.sun_path)
        return -1;
    strcpy(name.sun_path, options->address);
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
        return fd;
    close(fd);
    return -1;
}

static int open_connection(struct load *l, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    c->in_flight = c->probe = c->got = 0;
    c->fd = connect_once(&l->options);
    return c->fd >= 0 && epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

/* The first connection waits until there is a server. */
static void open_first(struct load *l)
{
    struct timespec pause = {.tv_nsec = 1000000};
    uint64_t end = clock_ns() + (uint64_t)l->options.wait_ms * 1000000u;

    while (!open_connection(l, &l->connections[0])) {
        if (clock_ns() >= end) {
            give_up(l, LOAD_ABSENT, "no server");
            return;
        }
        nanosleep(&pause, NULL);
    }
}

static void send_bytes(struct load *l, struct connection *c, const void *data,
                       int size)
{
    ssize_t n = send(c->fd, data, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n != size)
        give_up(l, LOAD_FAILED, "a message was not taken");
}

static void send_message(struct load *l, struct connection *c)
{
    c->in_flight++;
    if (c->probe == 0) {
        c->probe = c->in_flight;
        c->since = l->now;
    }
    send_bytes(l, c, l->buffer, l->options.size);
}

static void set_free(struct load *l, struct connection *c)
{
    c->next_free = NULL;
    *l->free_tail = c;
    l->free_tail = &c->next_free;
}

static struct connection *take_free(struct load *l)
{
    struct connection *c = l->free;

    l->free = c->next_free;
    if (l->free == NULL)
        l->free_tail = &l->free;
    return c;
}

static void echo_arrived(struct load *l, struct connection *c)
{
    assert(c->in_flight > 0);
    c->in_flight--;
    l->result.count++;
    if (c->probe > 0 && --c->probe == 0)
        load_record(&l->result, l->now - c->since);
    if (l->options.rate > 0) {
        l->heard = l->now;
        set_free(l, c);
    } else if (!finished(l)) {
        send_message(l, c);
    }
}

/* Begins the next window. */
static void end_window(struct load_result *result)
{
    if (result->window.samples > 0 && result->windows < LOAD_MOST_WINDOWS)
        result->window_p99[result->windows++] =
            load_percentile(&result->window, 0.99);
    memset(&result->window, 0, sizeof result->window);
}

/* What is due goes out, as far as connections are free. Each is timed from when
   it was due, so that a server that is late pays for those that had to wait. */
static void send_due(struct load *l)
{
    uint64_t pause = (uint64_t)(1e9 / l->options.rate);

    for (l->now = clock_ns(); l->free && l->due <= l->now; l->due += pause) {
        struct connection *c = take_free(l);

        send_message(l, c);
        c->since = l->due;
    }
    if (l->now >= l->window_end) {
        end_window(&l->result);
        l->window_end = l->now + (uint64_t)LOAD_WINDOW_MS * 1000000u;
    }
    if (l->now - l->heard > (uint64_t)LOAD_STALL_MS * 1000000u)
        give_up(l, LOAD_STALLED, "no answer");
}

static void on_echo(struct load *l, struct connection *c, int n)
{
    if (n <= 0 || (!l->options.stream && n != l->options.size)) {
        give_up(l, LOAD_FAILED,
                n <= 0 ? "closed by the server" : "an echo of another size");
        return;
    }
    c->got += n;
    while (c->got >= l->options.size && l->status == LOAD_OK) {
        c->got -= l->options.size;
        echo_arrived(l, c);
    }
}

static void ask(struct load *l, struct connection *c)
{
    static const uint32_t flag = LOAD_FLAG_ASK;

    c->stage = ASKED;
    send_bytes(l, c, &flag, sizeof flag);
}

static void start_exchange(struct load *l, struct connection *c)
{
    c->since = clock_ns();
    if (open_connection(l, c))
        ask(l, c);
    else
        give_up(l, LOAD_FAILED, "no connection");
}

static void on_exchange(struct load *l, struct connection *c, int n)
{
    static const uint32_t flag = LOAD_FLAG_END;

    if (c->stage == ASKED && n == LOAD_INFO_SIZE) {
        c->stage = ENDED;
        send_bytes(l, c, &flag, sizeof flag);
    } else if (c->stage == ENDED && n <= 0) {
        close(c->fd);
        l->result.count++;
        load_record(&l->result, l->now - c->since);
        if (!finished(l))
            start_exchange(l, c);
    } else {
        give_up(l, LOAD_FAILED, "not the exchange");
    }
}

static void on_readable(struct load *l, struct connection *c)
{
    int n = (int)recv(c->fd, l->buffer, sizeof l->buffer, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    l->now = clock_ns();
    if (l->options.mode == LOAD_EXCHANGE)
        on_exchange(l, c, n);
    else
        on_echo(l, c, n);
}

static void open_idle(struct load *l)
{
    int i;

    for (i = 0; i < l->options.idle && l->status == LOAD_OK; i++) {
        if (connect_once(&l->options) < 0)
            give_up(l, LOAD_FAILED, "no idle connection");
    }
}

static void start_one(struct load *l, struct connection *c)
{
    int k;

    c->since = l->now;
    if (l->options.mode == LOAD_EXCHANGE) {
        ask(l, c);
    } else if (l->options.rate > 0) {
        set_free(l, c);
    } else {
        for (k = 0; k < l->options.depth; k++)
            send_message(l, c);
    }
}

static void start(struct load *l)
{
    int i;

    open_first(l);
    open_idle(l);
    for (i = 1; i < l->options.connections && l->status == LOAD_OK; i++) {
        if (!open_connection(l, &l->connections[i]))
            give_up(l, LOAD_FAILED, "no connection");
    }
    l->now = l->due = l->heard = clock_ns();
    l->window_end = l->now + (uint64_t)LOAD_WINDOW_MS * 1000000u;
    l->end = l->now + l->options.time_ns;
    for (i = 0; i < l->options.connections && l->status == LOAD_OK; i++)
        start_one(l, &l->connections[i]);
}

static void run(struct load *l)
{
    struct epoll_event events[BATCH];
    uint64_t begin = l->now;
    int i, n;

    while (!finished(l)) {
        int by_clock = l->options.rate > 0;

        if (by_clock)
            send_due(l);
        n = epoll_wait(l->epoll, events, BATCH, by_clock ? 0 : LOAD_STALL_MS);
        if (n == 0 && !by_clock)
            give_up(l, LOAD_STALLED, "no answer");
        for (i = 0; i < n && l->status == LOAD_OK; i++) {
            on_readable(l, events[i].data.ptr);
            if (by_clock)
                send_due(l);
        }
    }
    l->result.elapsed_ns = clock_ns() - begin;
}

static void take_all_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static struct load l;
    int status = load_parse(&l.options, argc, argv);

    if (status != LOAD_OK)
        return status;
    take_all_descriptors();
    l.free_tail = &l.free;
    memset(l.buffer, 'm', sizeof l.buffer);
    l.connections =
        calloc((size_t)l.options.connections, sizeof *l.connections);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.connections == NULL || l.epoll < 0) {
        perror("load");
        return LOAD_FAILED;
    }
    start(&l);
    if (l.status == LOAD_OK)
        run(&l);
    if (l.status == LOAD_OK)
        load_print(&l.result, &l.options);
    free(l.connections);
    return l.status;
}
