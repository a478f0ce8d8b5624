/* SPDX-License-Identifier: MIT */
/* The Linux back end: epoll and AF_UNIX sockets. Its files share this. */
#ifndef PH_SYSTEM_LINUX_H
#define PH_SYSTEM_LINUX_H

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backend.h"

/* No packet is larger: the kernel allocates at most about 4 MiB for one. Only
 * touched pages of the scratch buffer cost memory. */
#define PH_SCRATCH_SIZE (8u << 20)
#define PH_FETCH_ROOM (64u << 10)

/* A descriptor in the port's epoll set, level-triggered. `armed` is what is
 * asked for; 0 means it is not in the set (a hang-up is reported even to those
 * who ask for nothing). */
struct watch {
    int fd;
    uint32_t armed;
    void (*ready)(struct watch *watch, uint32_t events);
};

struct linux_port {
    struct ph_port base;
    int epoll;
    struct watch wake, signals;
    struct watch notices;          /* inotify; fd -1: not needed yet */
    struct linux_folder *folders; /* all that it watches */
    unsigned char *scratch; /* PH_SCRATCH_SIZE bytes of `memory` */
    unsigned char *memory;  /* PH_FETCH_ROOM more: what is fetched comes first */
    uint16_t turn; /* counts the polls; one in 65536 is taken for another,
                      which costs that read a system call */
};

struct linux_pipe {
    struct ph_pipe base;
    struct watch watch;
    uint32_t want; /* bytes, of the read that waits for a notice */
    uint16_t turn; /* in which something was taken from the socket last */
    bool reset : 1; /* ECONNRESET was seen: the peer left something unread */
    bool credentials : 1; /* SO_PASSCRED is on: see receive() */
    bool fetched : 1; /* what it read in this poll is still to be delivered */
};

struct linux_listener {
    struct ph_listener base;
    struct watch watch;
    int lock;
    bool narrow;            /* listen(0): every instance is taken */
    bool long_messages; /* longer than what a new socket carries */
    bool exhausted;         /* no descriptors left: accepting pauses */
    bool warned;            /* of that, until an accept succeeds again */
    bool crowd;    /* clients have come in two turns that follow each other */
    uint16_t turn; /* in which a client was accepted last */
    struct ph_timer resume; /* ends the pause */
};

/* The handle of a process is the socket that its supervisor holds the other end
 * of: the end of that process, however it ends, is seen there. */
struct linux_process {
    struct ph_process base;
    struct watch control;
    pid_t supervisor;
};

/* What a supervisor is told before it becomes one. Descriptors: -1 is none. */
struct ph_launch {
    const struct ph_process_options *options;
    const char *program; /* what to run, from any folder */
    int streams[3]; /* of the program; maybe one for two of them */
    int control;    /* the supervisor's end */
    int report;     /* takes struct ph_launched, until the program runs */
    sigset_t mask;  /* of the program */
};

/* Which step of the launch this is about; each is one write. */
enum ph_launch_step { PH_LAUNCH_FORK, PH_LAUNCH_FOLDER, PH_LAUNCH_EXEC };
struct ph_launched {
    enum ph_launch_step step;
    int error; /* 0: the fork succeeded, as pid */
    pid_t pid;
};

/* The life of a supervisor, after the fork: starts the program, takes in the
 * orphans of its tree, and ends when nothing of it is left. On a byte from the
 * control socket, or at its end, it kills the tree. Says struct ph_exit there
 * when the program ends. Calls only what is allowed after a fork in a program
 * with threads. */
_Noreturn void ph_supervise(const struct ph_launch *launch);

static inline struct linux_port *linux_port_of(struct ph_port *port)
{
    return ph_container_of(port, struct linux_port, base);
}

static inline struct linux_pipe *linux_pipe_of(struct ph_pipe *pipe)
{
    return ph_container_of(pipe, struct linux_pipe, base);
}

/* Asks for these events, no others. PH_OK or PH_SYSTEM with errno. */
enum ph_status ph_watch_arm(struct ph_port *port, struct watch *watch,
                            uint32_t events);

/* Ends inotify; no folder is left. */
void ph_notices_close(struct linux_port *port);

/* Signals have their default actions again. */
void ph_signals_close(struct linux_port *port);

/* The status that stands for an errno of open, connect, bind and so on. */
enum ph_status ph_status_of_errno(int error);

/* The detail that the status lacks, a static text, or NULL. */
const char *ph_why_of_errno(int error);

/* What a pipe had to read when the poll began to look. */
struct ph_fetched {
    enum ph_status status; /* PH_BUSY: nothing */
    struct ph_chunk chunk;
};

/* Is it a pipe whose read waits for this notice? Then it reads. */
bool ph_pipe_fetch(struct watch *watch, uint32_t events,
                   struct ph_fetched *fetched);

/* The notice, with what was fetched for it. */
void ph_pipe_deliver(struct watch *watch, uint32_t events,
                     struct ph_fetched *fetched);

/* Makes the socket the pipe's handle: attached, with its notices. */
void ph_pipe_attach(struct ph_pipe *pipe, int fd);

/* Has the socket send messages of max_message bytes. PH_OK; PH_TOOBIG with
 * *why. */
enum ph_status ph_socket_prepare(int fd, size_t max_message, const char **why);

/* The uid at the other end of a connected socket. */
bool ph_socket_peer_uid(int fd, uint32_t *uid);

/* A usable folder for plain names, number `index` of the candidates: 1 with
 * the folder in `out` (PATH_MAX bytes), 0: there are no more, -1: this one
 * can't be used (*why, static). `make`: creates it if it is not there. */
int ph_folder(int index, bool make, char *out, const char **why);

/* The socket's path for `name` in `folder` ("" for an absolute name).
 * PH_OK or PH_MISUSE with *why when it does not fit in a socket address. */
enum ph_status ph_socket_address(const char *folder, const char *name,
                                 struct sockaddr_un *out, const char **why);

/* What the kernel's socket list says of a path. */
struct ph_socket_seen {
    bool listens;
    bool full; /* a connect would not be taken at once */
    uint32_t uid;      /* of the file */
    enum ph_mode mode; /* ANY: neither of ours */
    uint32_t clients;  /* connected, or waiting to be accepted */
};

/* Looks without connecting; `clients`: counts them too, which reads all of the
 * list. PH_OK; PH_ABSENT: nobody listens; PH_SYSTEM with *os. */
enum ph_status ph_socket_look(const char *path, bool clients,
                              struct ph_socket_seen *seen, long *os);

/* Does somebody listen at this path, and would a connect be taken at once?
 * Asks the kernel's socket list, connects to nobody. PH_OK; PH_BUSY: the
 * backlog is full; PH_ABSENT; PH_SYSTEM with *os. */
enum ph_status ph_socket_listening(const char *path, long *os);

#endif
