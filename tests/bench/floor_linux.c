/* SPDX-License-Identifier: MIT */
/*
 * The floor: the least that a server on AF_UNIX sockets has to do for each
 * message, in plain C. epoll_wait, recv, send; level-triggered, one thread,
 * no state for a connection, nothing that is not needed for the figure.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FLAG_ASK = 1, FLAG_END = 2, FAGE = 3 };
enum { BATCH = 256, BACKLOG = 4096, LIFE_SECONDS = 900 };

struct server {
    int epoll;
    int listener;
    int exchange;
    char buffer[65536];
};

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_client(struct server *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && watch(s->epoll, fd) != 0)
        close(fd);
}

/* The load generator keeps less in flight than a socket takes, so a send that
   does not fit is a mistake of the generator's, and ends its connection. */
static void echo(struct server *s, int fd)
{
    ssize_t n = recv(fd, s->buffer, sizeof s->buffer, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || send(fd, s->buffer, (size_t)n, MSG_NOSIGNAL) != n)
        close(fd);
}

static void exchange(int fd)
{
    static const int32_t info = FAGE;
    uint32_t flag = 0;
    ssize_t n = recv(fd, &flag, sizeof flag, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != sizeof flag || flag != FLAG_ASK ||
        send(fd, &info, sizeof info, MSG_NOSIGNAL) != sizeof info)
        close(fd);
}

static int serve(struct server *s)
{
    struct epoll_event events[BATCH];
    int i, n;

    for (;;) {
        n = epoll_wait(s->epoll, events, BATCH, -1);
        if (n < 0 && errno != EINTR)
            return fail("epoll_wait");
        for (i = 0; i < n; i++) {
            if (events[i].data.fd == s->listener)
                accept_client(s);
            else if (s->exchange)
                exchange(events[i].data.fd);
            else
                echo(s, events[i].data.fd);
        }
    }
}

static int listen_on(const char *path, int type)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (strlen(path) >= sizeof name.sun_path) {
        errno = ENAMETOOLONG;
    } else {
        strcpy(name.sun_path, path);
        unlink(path);
        if (bind(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
            listen(fd, BACKLOG) == 0)
            return fd;
    }
    close(fd);
    return -1;
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
    static struct server s;
    const char *path = NULL;
    int i, type = SOCK_SEQPACKET;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--stream") == 0)
            type = SOCK_STREAM;
        else if (strcmp(argv[i], "--exchange") == 0)
            s.exchange = 1;
        else
            path = argv[i];
    }
    if (path == NULL) {
        fprintf(stderr, "usage: %s [--stream] [--exchange] PATH\n", argv[0]);
        return 2;
    }
    take_all_descriptors();
    alarm(LIFE_SECONDS); /* whoever started it may be gone */
    s.listener = listen_on(path, type);
    if (s.listener < 0)
        return fail(path);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s.epoll < 0 || watch(s.epoll, s.listener) != 0)
        return fail("epoll");
    puts("listening");
    fflush(stdout);
    return serve(&s);
}
