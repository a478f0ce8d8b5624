/* SPDX-License-Identifier: MIT */
/*
 * FlushFileBuffers blocks until the peer has read everything, also on an
 * overlapped handle, so it has helper threads: few, because each flush may
 * take for ever. When all are taken a flush is tried again later.
 */
#include "system_win32.h"

#include <assert.h>

#define CANCEL_AGAIN_US 1000

/* ---- The helper's side ---------------------------------------------- */

static void set_pipe(struct win_flusher *f, HANDLE pipe)
{
    AcquireSRWLockExclusive(&f->lock);
    f->pipe = pipe;
    ReleaseSRWLockExclusive(&f->lock);
}

static DWORD WINAPI help(void *argument)
{
    struct win_flusher *f = argument;
    for (;;) {
        DWORD error = ERROR_SUCCESS;
        WaitForSingleObject(f->go, INFINITE);
        if (f->leave)
            return 0;
        if (!FlushFileBuffers(f->pipe))
            error = GetLastError();
        set_pipe(f, NULL);
        /* Without this packet the operation would never end. */
        while (!PostQueuedCompletionStatus(f->port->iocp, error, 0,
                                           &f->request.io.ov))
            Sleep(10);
    }
}

/* ---- The port's side ------------------------------------------------ */

static void flush_arrived(struct win_io *io, DWORD error, DWORD bytes)
{
    struct win_request *request = ph_container_of(io, struct win_request, io);
    struct win_flusher *f =
        ph_container_of(request, struct win_flusher, request);
    struct ph_op *op = request->op;
    assert(error == ERROR_SUCCESS);
    error = bytes; /* our own packet: it carries the error there */
    request->op = NULL;
    ph_timer_stop(&f->port->base, &f->again);
    ph_op_system_done(op, ph_win_status(error), (long)error);
}

/* The lock keeps the helper from blocking in the next flush meanwhile. It may
 * also be just before the call, where nothing can be cancelled: again later. */
static void cancel_flush(struct win_request *request)
{
    struct win_flusher *f =
        ph_container_of(request, struct win_flusher, request);
    struct ph_port *port = &f->port->base;
    AcquireSRWLockExclusive(&f->lock);
    if (f->pipe)
        CancelSynchronousIo(f->thread);
    ReleaseSRWLockExclusive(&f->lock);
    ph_timer_start(port, &f->again, port->now + CANCEL_AGAIN_US);
}

static void cancel_again(struct ph_timer *timer)
{
    struct win_flusher *f = ph_container_of(timer, struct win_flusher, again);
    assert(f->request.op);
    cancel_flush(&f->request);
}

static DWORD hire(struct win_port *port, struct win_flusher *f)
{
    DWORD error;
    f->port = port;
    f->again.fire = cancel_again;
    f->request.io.arrive = flush_arrived;
    f->request.cancel = cancel_flush;
    InitializeSRWLock(&f->lock);
    f->go = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (!f->go)
        return GetLastError();
    f->thread = CreateThread(NULL, 0, help, f, 0, NULL);
    if (f->thread)
        return ERROR_SUCCESS;
    error = GetLastError();
    CloseHandle(f->go);
    return error;
}

static struct win_flusher *free_helper(struct win_port *port)
{
    for (size_t i = 0; i < WIN_FLUSHERS; i++) {
        struct win_flusher *f = &port->flushers[i];
        if (!f->request.op)
            return f;
    }
    return NULL;
}

enum ph_status ph_backend_flush(struct ph_pipe *pipe, struct ph_op *op,
                                long *os)
{
    struct win_port *port = win_port(pipe->port);
    struct win_flusher *f = free_helper(port);
    DWORD error = ERROR_SUCCESS;
    if (!f)
        return PH_BUSY;
    if (!f->thread)
        error = hire(port, f);
    if (error != ERROR_SUCCESS) {
        *os = (long)error;
        return ph_win_status(error);
    }
    assert(!f->request.io.pending);
    f->request.io.ov = (OVERLAPPED){0};
    f->request.io.pending = true;
    f->request.op = op;
    set_pipe(f, win_pipe(pipe)->handle);
    op->system = &f->request;
    SetEvent(f->go);
    return PH_PENDING;
}

void ph_backend_cancel_system(struct ph_op *op)
{
    struct win_request *request = op->system;
    assert(request && request->op == op);
    request->cancel(request);
}

void ph_win_flushers_close(struct win_port *port)
{
    for (size_t i = 0; i < WIN_FLUSHERS; i++) {
        struct win_flusher *f = &port->flushers[i];
        assert(!f->request.op);
        if (!f->thread)
            continue;
        f->leave = true;
        SetEvent(f->go);
        WaitForSingleObject(f->thread, INFINITE);
        CloseHandle(f->thread);
        CloseHandle(f->go);
    }
}
