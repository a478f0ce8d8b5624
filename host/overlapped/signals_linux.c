/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "system_linux.h"

static void arrived(struct watch *watch, uint32_t events)
{
    struct linux_port *port =
        ph_container_of(watch, struct linux_port, signals);
    struct signalfd_siginfo info;
    (void)events;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        port->base.on_signal(port->base.on_signal_user,
                             info.ssi_signo == SIGHUP ? PH_SIGNAL_RELOAD
                                                      : PH_SIGNAL_STOP);
}

enum ph_status ph_backend_watch_signals(struct ph_port *base, long *os)
{
    struct linux_port *port = linux_port_of(base);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    port->signals.fd =
        signalfd(port->signals.fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    port->signals.ready = arrived;
    if (port->signals.fd < 0 ||
        ph_watch_arm(base, &port->signals, EPOLLIN) != PH_OK) {
        *os = errno;
        return PH_SYSTEM;
    }
    return PH_OK;
}
