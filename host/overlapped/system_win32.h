/* SPDX-License-Identifier: MIT */
/*
 * What the *_win32.c files share. The system finds nothing by handle or key:
 * each packet names a `struct win_io`, which lies in its owner and knows whom
 * to call. An owner lives until its packet has come.
 */
#ifndef PH_SYSTEM_WIN32_H
#define PH_SYSTEM_WIN32_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "backend.h"

/* A block that the system holds from a start that returned PH_PENDING until
 * its packet was taken. */
struct win_io {
    OVERLAPPED ov;
    void (*arrive)(struct win_io *io, DWORD error, DWORD bytes);
    bool pending;
};

/* The user of a token; sid lies in `block`. */
struct win_user {
    PSID sid;
    union {
        TOKEN_USER token;
        unsigned char room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } block;
};

/* A flush or available that is in the system; op->system points to it. */
struct win_request {
    struct win_io io;
    struct ph_op *op;
    void (*cancel)(struct win_request *request);
};

/* A thread that blocks in FlushFileBuffers for one operation at a time. */
struct win_flusher {
    struct win_request request; /* op is NULL: free */
    struct win_port *port;
    struct ph_timer again; /* repeats the cancel */
    HANDLE thread, go;
    SRWLOCK lock;
    HANDLE pipe; /* under the lock: not NULL while it may block */
    bool leave;
};

#define WIN_FLUSHERS 4
#define WIN_PACKETS  64 /* taken from the system at a time */

struct win_port {
    struct ph_port base;
    HANDLE iocp;
    HANDLE root;         /* of all pipes, opened when it is needed */
    _Atomic(bool) woken; /* a wake is queued */
    _Atomic(int) stops;  /* console events not delivered yet */
    OVERLAPPED_ENTRY packets[WIN_PACKETS];
    ULONG next, count; /* of packets: from next to count are not delivered */
    struct win_flusher flushers[WIN_FLUSHERS];
    struct win_user me;
};

struct win_pipe {
    struct ph_pipe base;
    HANDLE handle;
    bool skips;        /* a result at once brings no packet as well */
    bool disconnected; /* by us; the handle may serve the next client */
    bool peer_left;    /* its end is closed: nobody reads any more */
    struct win_io read, write;
    struct ph_op *written;    /* its write is in flight */
    unsigned char *bytes;     /* what the system reads into */
    DWORD room, filled, want; /* of `bytes`; read so far; the reader's limit */
    unsigned idle_room;       /* reads in a row that needed little of it */
};

static inline struct win_port *win_port(struct ph_port *port)
{
    return ph_container_of(port, struct win_port, base);
}

static inline struct win_pipe *win_pipe(struct ph_pipe *pipe)
{
    return ph_container_of(pipe, struct win_pipe, base);
}

/* The outcome that a number of GetLastError stands for; PH_SYSTEM when it has
 * no other. */
enum ph_status ph_win_status(DWORD error);

/* The error that a block's operation ended with. */
DWORD ph_win_error(const struct win_io *io);

/* Has the handle's packets come to the port. *skips: what is done at once
 * brings none. ERROR_SUCCESS or the error. */
DWORD ph_win_attach(struct ph_port *port, HANDLE handle, bool *skips);

/* Takes what has come from the system, without waiting; it is delivered in the
 * next poll. Looking through it finds what happened before now. */
void ph_win_fetch(struct win_port *port);

/* Takes a packet out of those that were fetched; the rest of the entry is the
 * caller's. Its block is not pending any more. */
void ph_win_take_packet(OVERLAPPED_ENTRY *entry);

/* Makes the handle, attached to the port, that of the pipe. */
void ph_win_pipe_take(struct ph_pipe *pipe, HANDLE handle, bool skips);

/* Offers a disconnected handle for another client. False: it stays the
 * caller's. */
bool ph_win_listener_reuse(struct ph_listener *listener, HANDLE handle,
                           bool skips);

/* UTF-8 to UTF-16, to be freed by the caller. NULL: no memory or not valid. */
wchar_t *ph_win_wide(const char *text);

/* UTF-16 to UTF-8, to be freed by the caller. NULL: no memory. */
char *ph_win_utf8(const wchar_t *text);

/* The full path of a valid name, allocated; NULL: no memory. */
char *ph_win_path(const char *name);

/* Fills in the user. ERROR_SUCCESS or the error. */
DWORD ph_win_user_of(HANDLE token, struct win_user *user);

/* What comes after \\.\pipe\ in a full path. */
const char *ph_win_short_name(const char *path);

/* The descriptor of the options, to be freed with LocalFree. PH_OK, PH_MISUSE
 * with *why, PH_NOMEM, PH_SYSTEM. */
enum ph_status ph_win_descriptor(struct win_port *port,
                                 const struct ph_create_options *options,
                                 PSECURITY_DESCRIPTOR *out, long *os,
                                 const char **why);

/* Is the handle's owner me, SYSTEM or Administrators? PH_OK, or PH_DENIED with
 * *why. */
enum ph_status ph_win_check_owner(struct win_port *port, HANDLE handle,
                                  long *os, const char **why);

/* A command line that a program takes apart into these arguments, to be freed
 * by the caller. NULL: no memory or not valid UTF-8. */
wchar_t *ph_win_command_line(const char *const *argv);

/* An environment in one block, likewise. */
wchar_t *ph_win_environment(const char *const *env);

/* Why this can't be started as it is, or NULL. */
const char *ph_win_refuses_program(const char *program);

/* Ends the helper threads; none works any more. */
void ph_win_flushers_close(struct win_port *port);

/* Calls port->on_signal for each console event that has come. */
void ph_win_signals_deliver(struct win_port *port);

/* They come no more, if they were this port's. */
void ph_win_signals_close(struct win_port *port);

#endif
