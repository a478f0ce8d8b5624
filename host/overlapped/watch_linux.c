/* SPDX-License-Identifier: MIT */
/*
 * inotify: one descriptor for all folders of the port, since a user may have
 * few of them (128). The kernel knows folders by inode: two paths of the same
 * one share a number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "system_linux.h"

#define NAME_CHANGES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define FILE_CHANGES (IN_MODIFY | IN_CLOSE_WRITE)
#define FOLDER_GOES  (IN_DELETE_SELF | IN_MOVE_SELF)

struct linux_folder {
    struct ph_folder base;
    struct linux_folder *next;
    int number; /* the kernel's; -1: it is watched no more */
    uint32_t wants;
};

static struct linux_folder *linux_folder(struct ph_folder *folder)
{
    return ph_container_of(folder, struct linux_folder, base);
}

struct ph_folder *ph_backend_folder_alloc(void)
{
    struct linux_folder *folder = calloc(1, sizeof *folder);
    return folder ? &folder->base : NULL;
}

void ph_backend_folder_free(struct ph_folder *folder)
{
    free(linux_folder(folder));
}

/* ---- Events ------------------------------------------------------------- */

/* The kernel has forgotten the number, or is to. */
static void forget(struct linux_port *port, int number)
{
    for (struct linux_folder *at = port->folders; at; at = at->next) {
        if (at->number != number)
            continue;
        at->number = -1;
        ph_folder_gone(&at->base);
    }
}

static void tell_all(struct linux_port *port, const struct inotify_event *event)
{
    uint32_t writing = event->mask & (IN_MODIFY | IN_CLOSE_WRITE);
    char mark = writing == IN_MODIFY ? PH_MARK_WRITING : PH_MARK_CHANGED;
    for (struct linux_folder *at = port->folders; at; at = at->next)
        if (at->number == event->wd && event->mask & at->wants)
            ph_folder_changed(&at->base, mark, event->name,
                              strlen(event->name));
}

static void deliver(struct linux_port *port, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        for (struct linux_folder *at = port->folders; at; at = at->next)
            ph_folder_lost(&at->base);
    } else if (event->mask & IN_IGNORED) {
        forget(port, event->wd);
    } else if (event->mask & FOLDER_GOES) {
        forget(port, event->wd);
        /* A moved one would be told of under its old path. */
        inotify_rm_watch(port->notices.fd, event->wd);
    } else if (event->len) {
        tell_all(port, event);
    }
}

static void arrived(struct watch *watch, uint32_t events)
{
    struct linux_port *port =
        ph_container_of(watch, struct linux_port, notices);
    _Alignas(struct inotify_event) char buffer[16384];
    const struct inotify_event *event;
    ssize_t got = read(watch->fd, buffer, sizeof buffer);
    (void)events;
    for (ssize_t at = 0; at < got;
         at += (ssize_t)(sizeof *event + event->len)) {
        event = (const void *)(buffer + at);
        deliver(port, event);
    }
}

/* ---- Folders ------------------------------------------------------------ */

static enum ph_status open_notices(struct linux_port *port, long *os)
{
    enum ph_status status = PH_SYSTEM;
    if (port->notices.fd >= 0)
        return PH_OK;
    port->notices.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    port->notices.ready = arrived;
    if (port->notices.fd >= 0)
        status = ph_watch_arm(&port->base, &port->notices, EPOLLIN);
    if (status == PH_OK)
        return PH_OK;
    *os = errno;
    ph_notices_close(port);
    return *os == EMFILE || *os == ENFILE || *os == ENOMEM ? PH_NOMEM
                                                           : PH_SYSTEM;
}

void ph_notices_close(struct linux_port *port)
{
    if (port->notices.fd >= 0)
        close(port->notices.fd);
    port->notices.fd = -1;
    port->notices.armed = 0;
}

enum ph_status ph_backend_folder_open(struct ph_folder *base, const char *path,
                                      bool names_only, long *os)
{
    struct linux_folder *folder = linux_folder(base);
    struct linux_port *port = linux_port_of(base->port);
    enum ph_status status = open_notices(port, os);
    if (status != PH_OK)
        return status;
    folder->wants = names_only ? NAME_CHANGES : NAME_CHANGES | FILE_CHANGES;
    folder->number = inotify_add_watch(port->notices.fd, path,
                                       folder->wants | FOLDER_GOES |
                                           IN_ONLYDIR | IN_MASK_ADD);
    if (folder->number < 0) {
        *os = errno;
        return *os == ENOSPC ? PH_NOMEM : ph_status_of_errno((int)*os);
    }
    folder->next = port->folders;
    port->folders = folder;
    return PH_OK;
}

static bool is_watched(const struct linux_port *port, int number)
{
    const struct linux_folder *at = port->folders;
    while (at && at->number != number)
        at = at->next;
    return at != NULL;
}

void ph_backend_folder_close(struct ph_folder *base)
{
    struct linux_folder *folder = linux_folder(base);
    struct linux_port *port = linux_port_of(base->port);
    struct linux_folder **link = &port->folders;
    while (*link != folder)
        link = &(*link)->next;
    *link = folder->next;
    if (folder->number >= 0 && !is_watched(port, folder->number))
        inotify_rm_watch(port->notices.fd, folder->number);
    ph_folder_closed(base);
}
