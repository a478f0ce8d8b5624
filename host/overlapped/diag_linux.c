/* SPDX-License-Identifier: MIT */
/* Who listens where, from the kernel's socket list (sock_diag(7)): what
 * WaitNamedPipe knows on Windows, without taking a place in the backlog. */
#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "system_linux.h"

#define LISTENING_STATE 10 /* TCP_LISTEN, which unix sockets share */
#define ROUNDS          4096

struct request {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

/* The file that a socket is bound to, by which name, and the state of its
 * backlog. */
struct found {
    const struct unix_diag_vfs *file;
    const char *name; /* not ended by a zero */
    size_t name_len;
    const struct unix_diag_rqlen *backlog;
};

static bool ask(int netlink)
{
    struct request request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = 1u << LISTENING_STATE,
                 .udiag_show =
                     UDIAG_SHOW_VFS | UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN},
    };
    return send(netlink, &request, sizeof request, 0) ==
           (ssize_t)sizeof request;
}

static struct found attributes(const struct nlmsghdr *header)
{
    struct found found = {0};
    const char *at = (const char *)NLMSG_DATA(header) +
                     NLMSG_ALIGN(sizeof(struct unix_diag_msg));
    const char *end = (const char *)header + header->nlmsg_len;
    while (at + sizeof(struct nlattr) <= end) {
        const struct nlattr *attribute = (const void *)at;
        if (attribute->nla_len < sizeof *attribute)
            break;
        if (attribute->nla_type == UNIX_DIAG_VFS)
            found.file = (const void *)(attribute + 1);
        else if (attribute->nla_type == UNIX_DIAG_RQLEN)
            found.backlog = (const void *)(attribute + 1);
        if (attribute->nla_type == UNIX_DIAG_NAME) {
            found.name = (const char *)(attribute + 1);
            found.name_len = attribute->nla_len - sizeof *attribute;
        }
        at += NLA_ALIGN(attribute->nla_len);
    }
    return found;
}

/* The socket at this path. */
struct wanted {
    const char *path;
    struct stat st;
};

static bool ends_as(const struct found *found, const char *path)
{
    const char *last = strrchr(path, '/');
    size_t len = strlen(last);
    size_t has = found->name ? strnlen(found->name, found->name_len) : 0;
    return has >= len && memcmp(found->name + has - len, last, len) == 0;
}

/* Some file systems (btrfs) give stat another device than the kernel's list
 * has: there the last part of the name must do, with the inode. */
static bool is_wanted(const struct found *found, const struct wanted *wanted)
{
    dev_t st_dev = wanted->st.st_dev;
    uint32_t device = major(st_dev) << 20 | minor(st_dev);
    if (!found->file ||
        found->file->udiag_vfs_ino != (uint32_t)wanted->st.st_ino)
        return false;
    return found->file->udiag_vfs_dev == device || ends_as(found, wanted->path);
}

/* PH_PENDING: the list goes on in another datagram. */
static enum ph_status search(const char *batch, size_t len,
                             const struct wanted *wanted, long *os)
{
    const struct nlmsghdr *at = (const void *)batch;
    for (; NLMSG_OK(at, len); at = NLMSG_NEXT(at, len)) {
        if (at->nlmsg_type == NLMSG_DONE)
            return PH_ABSENT;
        if (at->nlmsg_type == NLMSG_ERROR) {
            *os = -((const struct nlmsgerr *)NLMSG_DATA(at))->error;
            return PH_SYSTEM;
        }
        struct found found = attributes(at);
        if (!is_wanted(&found, wanted))
            continue;
        /* The kernel refuses when the queue is longer than the backlog. */
        if (found.backlog &&
            found.backlog->udiag_rqueue > found.backlog->udiag_wqueue)
            return PH_BUSY;
        return PH_OK;
    }
    return PH_PENDING;
}

enum ph_status ph_socket_listening(const char *path, long *os)
{
    char batch[16384] __attribute__((aligned(8)));
    enum ph_status status = PH_PENDING;
    struct wanted wanted = {.path = path};
    int netlink;
    assert(path[0] == '/');
    if (stat(path, &wanted.st) != 0 || !S_ISSOCK(wanted.st.st_mode))
        return PH_ABSENT;
    netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0 || !ask(netlink)) {
        *os = errno;
        status = PH_SYSTEM;
    }
    for (int i = 0; status == PH_PENDING && i < ROUNDS; i++) {
        ssize_t got = recv(netlink, batch, sizeof batch, 0);
        if (got < 0 && errno == EINTR)
            continue;
        *os = got < 0 ? errno : 0;
        status = got > 0 ? search(batch, (size_t)got, &wanted, os) : PH_SYSTEM;
    }
    if (netlink >= 0)
        close(netlink);
    return status;
}
