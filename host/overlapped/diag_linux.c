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

/* TCP's numbers, which unix sockets share. */
#define CONNECTED_STATE 1
#define LISTENING_STATE 10
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

static bool ask(int netlink, bool clients)
{
    struct request request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = AF_UNIX,
                 .udiag_states = 1u << LISTENING_STATE |
                                 (clients ? 1u << CONNECTED_STATE : 0),
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

/* The socket at this path, and what was seen of it. */
struct wanted {
    const char *path;
    struct stat st;
    bool clients; /* those of the server as well: the list is read to its end */
    struct ph_socket_seen *seen;
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

/* An accepted socket has the file of the one that listened; those that wait to
 * be accepted are only counted. */
static void note(struct ph_socket_seen *seen, const struct nlmsghdr *header,
                 const struct unix_diag_rqlen *backlog)
{
    const struct unix_diag_msg *socket = NLMSG_DATA(header);
    if (socket->udiag_state != LISTENING_STATE) {
        seen->clients++;
        return;
    }
    seen->listens = true;
    if (backlog) {
        seen->clients += backlog->udiag_rqueue;
        /* The kernel refuses when the queue is longer than the backlog. */
        seen->full = backlog->udiag_rqueue > backlog->udiag_wqueue;
    }
    if (socket->udiag_type == SOCK_SEQPACKET)
        seen->mode = PH_MODE_MESSAGE;
    else if (socket->udiag_type == SOCK_STREAM)
        seen->mode = PH_MODE_BYTE;
}

/* PH_PENDING: the list goes on in another datagram. */
static enum ph_status take(const char *batch, size_t len,
                           const struct wanted *wanted, long *os)
{
    const struct nlmsghdr *at = (const void *)batch;
    for (; NLMSG_OK(at, len); at = NLMSG_NEXT(at, len)) {
        if (at->nlmsg_type == NLMSG_DONE)
            return PH_OK;
        if (at->nlmsg_type == NLMSG_ERROR) {
            *os = -((const struct nlmsgerr *)NLMSG_DATA(at))->error;
            return PH_SYSTEM;
        }
        struct found found = attributes(at);
        if (!is_wanted(&found, wanted))
            continue;
        note(wanted->seen, at, found.backlog);
        if (!wanted->clients)
            return PH_OK;
    }
    return PH_PENDING;
}

static enum ph_status read_list(int netlink, const struct wanted *wanted,
                                long *os)
{
    char batch[16384] __attribute__((aligned(8)));
    enum ph_status status = PH_PENDING;
    for (int i = 0; status == PH_PENDING && i < ROUNDS; i++) {
        ssize_t got = recv(netlink, batch, sizeof batch, 0);
        if (got < 0 && errno == EINTR)
            continue;
        *os = got < 0 ? errno : 0;
        status = got > 0 ? take(batch, (size_t)got, wanted, os) : PH_SYSTEM;
    }
    return status == PH_OK ? PH_OK : PH_SYSTEM;
}

enum ph_status ph_socket_look(const char *path, bool clients,
                              struct ph_socket_seen *seen, long *os)
{
    struct wanted wanted = {.path = path, .clients = clients, .seen = seen};
    enum ph_status status = PH_SYSTEM;
    int netlink;
    assert(path[0] == '/');
    memset(seen, 0, sizeof *seen);
    if (stat(path, &wanted.st) != 0 || !S_ISSOCK(wanted.st.st_mode))
        return PH_ABSENT;
    seen->uid = wanted.st.st_uid;
    netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0 || !ask(netlink, clients))
        *os = errno;
    else
        status = read_list(netlink, &wanted, os);
    if (netlink >= 0)
        close(netlink);
    return status == PH_OK && !seen->listens ? PH_ABSENT : status;
}

enum ph_status ph_socket_listening(const char *path, long *os)
{
    struct ph_socket_seen seen;
    enum ph_status status = ph_socket_look(path, false, &seen, os);
    return status == PH_OK && seen.full ? PH_BUSY : status;
}
