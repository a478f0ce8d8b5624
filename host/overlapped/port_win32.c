/* SPDX-License-Identifier: MIT */
/*
 * The port on Windows: a completion port. Each packet names the OVERLAPPED that
 * it is about, which lies in a `struct win_io`, which lies in its owner: no
 * table, no search. A packet without one is a wake.
 *
 * Whether a call that was done at once brings a packet as well is decided by
 * its handle (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) and by what it returned,
 * never by its kind: see started() in pipe_win32.c. Memory that a packet is to
 * come for lives until it was taken, whatever was cancelled or closed.
 */
#include "system_win32.h"

#include <assert.h>
#include <stdlib.h>
#include <winternl.h>

#define LONGEST_WAIT_US (INT64_C(3600) * 1000 * 1000)

#define WIN_STATUS_LIST(X)                                                     \
    X(ERROR_SUCCESS, PH_OK)                                                    \
    X(ERROR_IO_PENDING, PH_PENDING)                                            \
    X(ERROR_SEM_TIMEOUT, PH_TIMEOUT)                                           \
    X(WAIT_TIMEOUT, PH_TIMEOUT)                                                \
    X(ERROR_OPERATION_ABORTED, PH_CANCELLED)                                   \
    X(ERROR_BROKEN_PIPE, PH_CLOSED)                                            \
    X(ERROR_NO_DATA, PH_CLOSED)                                                \
    X(ERROR_PIPE_NOT_CONNECTED, PH_CLOSED)                                     \
    X(ERROR_HANDLE_EOF, PH_CLOSED)                                             \
    X(ERROR_PIPE_BUSY, PH_BUSY)                                                \
    X(ERROR_FILE_NOT_FOUND, PH_ABSENT)                                         \
    X(ERROR_PATH_NOT_FOUND, PH_ABSENT)                                         \
    X(ERROR_ACCESS_DENIED, PH_DENIED)                                          \
    X(ERROR_INVALID_OWNER, PH_DENIED)                                          \
    X(ERROR_NOT_ENOUGH_MEMORY, PH_NOMEM)                                       \
    X(ERROR_OUTOFMEMORY, PH_NOMEM)                                             \
    X(ERROR_NO_SYSTEM_RESOURCES, PH_NOMEM)                                     \
    X(ERROR_WORKING_SET_QUOTA, PH_NOMEM)                                       \
    X(ERROR_COMMITMENT_LIMIT, PH_NOMEM)                                        \
    X(ERROR_NOT_ENOUGH_QUOTA, PH_NOMEM)                                        \
    X(ERROR_TOO_MANY_OPEN_FILES, PH_NOMEM)

enum ph_status ph_win_status(DWORD error)
{
#define WIN_STATUS_CASE_(number, status)                                       \
    case number:                                                               \
        return status;
    switch (error) {
        WIN_STATUS_LIST(WIN_STATUS_CASE_)
    default:
        return PH_SYSTEM;
    }
}

DWORD ph_win_error(const struct win_io *io)
{
    return RtlNtStatusToDosError((NTSTATUS)io->ov.Internal);
}

DWORD ph_win_user_of(HANDLE token, struct win_user *user)
{
    DWORD size;
    if (!GetTokenInformation(token, TokenUser, &user->block, sizeof user->block,
                             &size))
        return GetLastError();
    user->sid = user->block.token.User.Sid;
    return ERROR_SUCCESS;
}

static DWORD who_am_i(struct win_user *me)
{
    HANDLE token;
    DWORD error;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return GetLastError();
    error = ph_win_user_of(token, me);
    CloseHandle(token);
    return error;
}

enum ph_status ph_backend_port_open(struct ph_port **out, long *os)
{
    DWORD error;
    struct win_port *w = calloc(1, sizeof *w);
    if (!w)
        return PH_NOMEM;
    w->iocp = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    error = w->iocp ? who_am_i(&w->me) : GetLastError();
    if (error == ERROR_SUCCESS) {
        *out = &w->base;
        return PH_OK;
    }
    if (w->iocp)
        CloseHandle(w->iocp);
    free(w);
    *os = (long)error;
    return PH_SYSTEM;
}

void ph_backend_port_close(struct ph_port *port)
{
    struct win_port *w = win_port(port);
    ph_win_signals_close(w);
    ph_win_flushers_close(w);
    if (w->root)
        CloseHandle(w->root);
    CloseHandle(w->iocp);
    free(w);
}

int64_t ph_backend_clock(void)
{
    LARGE_INTEGER ticks, second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&second);
    /* In two parts: ticks times a million would overflow within days. */
    return ticks.QuadPart / second.QuadPart * 1000000 +
           ticks.QuadPart % second.QuadPart * 1000000 / second.QuadPart;
}

/* One wake in the queue is enough for any number of posts. */
void ph_backend_wake(struct ph_port *port)
{
    struct win_port *w = win_port(port);
    if (atomic_exchange(&w->woken, true))
        return;
    if (!PostQueuedCompletionStatus(w->iocp, 0, 0, NULL))
        atomic_store(&w->woken, false);
}

/* Rounded up: a wait that ends before its timer is due would spin. */
static DWORD milliseconds(int64_t wait_us)
{
    if (wait_us == PH_FOREVER)
        return INFINITE;
    if (wait_us > LONGEST_WAIT_US)
        wait_us = LONGEST_WAIT_US;
    return wait_us > 0 ? (DWORD)((wait_us + 999) / 1000) : 0;
}

/* Takes packets behind those that are not delivered yet. */
static DWORD fetch(struct win_port *w, DWORD wait_ms)
{
    ULONG count = 0;
    assert(w->next <= w->count && w->count <= WIN_PACKETS);
    if (w->next == w->count)
        w->next = w->count = 0;
    if (w->count == WIN_PACKETS)
        return ERROR_SUCCESS;
    if (!GetQueuedCompletionStatusEx(w->iocp, w->packets + w->count,
                                     WIN_PACKETS - w->count, &count, wait_ms,
                                     FALSE))
        return GetLastError();
    w->count += count;
    return ERROR_SUCCESS;
}

void ph_win_fetch(struct win_port *port)
{
    fetch(port, 0);
}

void ph_win_take_packet(OVERLAPPED_ENTRY *entry)
{
    struct win_io *io = ph_container_of(entry->lpOverlapped, struct win_io, ov);
    assert(io->pending);
    io->pending = false;
    entry->lpOverlapped = NULL; /* is now a wake */
}

static void deliver(struct win_port *w, OVERLAPPED_ENTRY *entry)
{
    struct win_io *io;
    if (!entry->lpOverlapped) {
        atomic_store(&w->woken, false);
        ph_win_signals_deliver(w);
        return;
    }
    io = ph_container_of(entry->lpOverlapped, struct win_io, ov);
    ph_win_take_packet(entry);
    io->arrive(io, ph_win_error(io), entry->dwNumberOfBytesTransferred);
}

enum ph_status ph_backend_poll(struct ph_port *port, int64_t wait_us)
{
    struct win_port *w = win_port(port);
    DWORD error = ERROR_SUCCESS;
    if (w->next == w->count)
        error = fetch(w, milliseconds(wait_us));
    port->now = ph_backend_clock();
    if (error != ERROR_SUCCESS)
        return error == WAIT_TIMEOUT ? PH_OK : PH_SYSTEM;
    /* What a call fetches meanwhile is for the next turn. */
    for (ULONG count = w->count - w->next; count > 0; count--)
        deliver(w, &w->packets[w->next++]);
    return PH_OK;
}

DWORD ph_win_attach(struct ph_port *port, HANDLE handle, bool *skips)
{
    if (!CreateIoCompletionPort(handle, win_port(port)->iocp, 0, 0))
        return GetLastError();
    *skips = SetFileCompletionNotificationModes(
        handle,
        FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE);
    return ERROR_SUCCESS;
}
