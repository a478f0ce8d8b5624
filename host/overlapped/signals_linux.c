/* SPDX-License-Identifier: MIT */
/*
 * Signals arrive through a pipe that their handler writes to. A handler, unlike
 * a blocked signal, is not inherited by programs that scripts start.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "system_linux.h"

#define STOPS_MAX 3

/* All that a handler can reach. */
static struct {
    volatile sig_atomic_t write_end; /* -1: no port watches */
    volatile sig_atomic_t stops;     /* asked for, and not taken by the port */
} asked = {.write_end = -1};

/* Only what is allowed in a handler: one write, and errno as it was. */
static void on_signal(int number)
{
    int error = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t put = write((int)asked.write_end, &byte, 1);
    (void)put; /* a full pipe: many of them are on their way already */
    /* The port does not come to take them: something in C goes on for ever. */
    if (number != SIGHUP && ++asked.stops >= STOPS_MAX) {
        signal(number, SIG_DFL);
        raise(number);
    }
    errno = error;
}

static void arrived(struct watch *watch, uint32_t events)
{
    struct linux_port *port =
        ph_container_of(watch, struct linux_port, signals);
    unsigned char numbers[64];
    ssize_t got = read(watch->fd, numbers, sizeof numbers);
    assert(port->base.on_signal);
    (void)events;
    asked.stops = 0;
    for (ssize_t i = 0; i < got; i++)
        ph_port_signalled(&port->base, numbers[i] == SIGHUP ? PH_SIGNAL_RELOAD
                                                            : PH_SIGNAL_STOP);
}

static bool handle(int number)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0;
}

enum ph_status ph_backend_watch_signals(struct ph_port *base, long *os)
{
    struct linux_port *port = linux_port_of(base);
    int ends[2];
    if (asked.write_end >= 0) { /* another port's, or this one's already */
        *os = EBUSY;
        return PH_SYSTEM;
    }
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        *os = errno;
        return PH_SYSTEM;
    }
    port->signals.fd = ends[0];
    port->signals.ready = arrived;
    asked.write_end = ends[1];
    if (handle(SIGINT) && handle(SIGTERM) && handle(SIGHUP) &&
        ph_watch_arm(base, &port->signals, EPOLLIN) == PH_OK)
        return PH_OK;
    *os = errno;
    return PH_SYSTEM;
}

bool ph_backend_stop_asked(struct ph_port *port)
{
    (void)port; /* there is one that watches */
    return asked.stops > 0;
}

void ph_signals_close(struct linux_port *port)
{
    if (port->signals.fd < 0)
        return;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    close(port->signals.fd);
    close((int)asked.write_end);
    asked.write_end = -1;
}
