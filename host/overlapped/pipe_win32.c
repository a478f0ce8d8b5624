/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes on Windows. A read in flight needs memory that the system
 * may write at any time, so each pipe has a small buffer of its own, made big
 * for what is there to be read (PeekNamedPipe tells) and small again when big
 * messages have stopped. A read that is cancelled is over when its packet
 * comes, and that packet may bring data after all.
 *
 * For each handle one read and one write are in flight at most: more would end
 * in an order that nobody could tell.
 */
#include "system_win32.h"

#include <assert.h>
#include <stdlib.h>

#define READ_FEW   256u   /* what an idle pipe has for its next message */
#define READ_MOST  65536u /* more comes in parts */
#define IDLE_READS 64u    /* small reads before a big buffer is given back */

static void read_arrived(struct win_io *io, DWORD error, DWORD bytes);
static void write_arrived(struct win_io *io, DWORD error, DWORD bytes);

struct ph_pipe *ph_backend_pipe_alloc(void)
{
    struct win_pipe *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->read.arrive = read_arrived;
    w->write.arrive = write_arrived;
    return &w->base;
}

static void free_buffer(struct win_pipe *w)
{
    free(w->bytes);
    w->bytes = NULL;
    w->room = w->filled = 0;
    w->idle_room = 0;
}

void ph_backend_pipe_free(struct ph_pipe *pipe)
{
    struct win_pipe *w = win_pipe(pipe);
    assert(!pipe->attached && !w->read.pending && !w->write.pending);
    free_buffer(w);
    free(w);
}

void ph_win_pipe_take(struct ph_pipe *pipe, HANDLE handle, bool skips)
{
    struct win_pipe *w = win_pipe(pipe);
    assert(!pipe->attached);
    w->handle = handle;
    w->skips = skips;
    w->disconnected = w->peer_left = false;
    pipe->attached = true;
}

/* The error of a call that may bring a packet as well: ERROR_IO_PENDING when
 * it will. Decided by this call alone: the same read may bring one or not. */
static DWORD started(struct win_pipe *w, struct win_io *io, DWORD error)
{
    bool done = error == ERROR_SUCCESS || error == ERROR_MORE_DATA;
    if (done && !w->skips)
        error = ERROR_IO_PENDING;
    io->pending = error == ERROR_IO_PENDING;
    return error;
}

/* ---- Reads ---------------------------------------------------------- */

static bool is_message(const struct win_pipe *w)
{
    return w->base.mode == PH_MODE_MESSAGE;
}

static bool resize(struct win_pipe *w, DWORD room)
{
    unsigned char *bytes = realloc(w->bytes, room);
    if (!bytes)
        return false;
    w->bytes = bytes;
    w->room = room;
    return true;
}

static bool prepare_read(struct win_pipe *w, size_t want)
{
    assert(!w->read.pending);
    w->filled = 0;
    w->want = want < READ_MOST ? (DWORD)want : READ_MOST;
    if (w->idle_room >= IDLE_READS)
        free_buffer(w);
    return w->bytes || resize(w, READ_FEW);
}

/* What the next part of the read may be at most. */
static DWORD rest_of_room(const struct win_pipe *w)
{
    DWORD end = w->room;
    if (!is_message(w) && w->want < end)
        end = w->want;
    return end - w->filled;
}

static DWORD read_part(struct win_pipe *w)
{
    DWORD error = ERROR_SUCCESS;
    w->read.ov = (OVERLAPPED){0};
    if (!ReadFile(w->handle, w->bytes + w->filled, rest_of_room(w), NULL,
                  &w->read.ov))
        error = GetLastError();
    return started(w, &w->read, error);
}

/* The buffer was too small: makes it as big as what is there to read. False:
 * nothing is there, or it is big enough for one go. */
static bool widen(struct win_pipe *w)
{
    DWORD all = 0, message = 0, more;
    if (!PeekNamedPipe(w->handle, NULL, 0, NULL, &all, &message))
        return false;
    more = is_message(w) ? message : all;
    if (more > READ_MOST - w->filled)
        more = READ_MOST - w->filled;
    if (!more)
        return false;
    return w->filled + more <= w->room || resize(w, w->filled + more);
}

/* Takes in what a part brought. True: the read goes on with the next part. */
static bool goes_on(struct win_pipe *w, DWORD error, DWORD bytes)
{
    assert(bytes <= rest_of_room(w));
    w->filled += bytes;
    if (is_message(w))
        return error == ERROR_MORE_DATA && widen(w);
    if (error != ERROR_SUCCESS)
        return false;
    if (!w->filled)
        return true; /* an empty write says nothing on a byte pipe */
    return w->filled == w->room && w->filled < w->want && widen(w);
}

/* An error behind data is left for the next read, which meets it again. */
static enum ph_status read_result(struct win_pipe *w, DWORD error,
                                  struct ph_chunk *chunk)
{
    bool data = w->filled || error == ERROR_MORE_DATA;
    w->peer_left = !data && error == ERROR_BROKEN_PIPE;
    bool little = w->room > READ_FEW && w->filled < w->room / 4;
    w->idle_room = little ? w->idle_room + 1 : 0;
    chunk->data = w->bytes;
    chunk->len = w->filled;
    chunk->ends = error == ERROR_SUCCESS;
    chunk->os = data ? 0 : (long)error;
    return data ? PH_OK : ph_win_status(error);
}

enum ph_status ph_backend_read(struct ph_pipe *pipe, size_t want, enum ph_try when,
                               struct ph_chunk *chunk)
{
    struct win_pipe *w = win_pipe(pipe);
    DWORD error;
    (void)when; /* the call that waits tries as well */
    if (!prepare_read(w, want))
        return PH_NOMEM;
    do {
        error = read_part(w);
        if (error == ERROR_IO_PENDING)
            return PH_PENDING;
    } while (goes_on(w, error, (DWORD)w->read.ov.InternalHigh));
    return read_result(w, error, chunk);
}

static void read_arrived(struct win_io *io, DWORD error, DWORD bytes)
{
    struct win_pipe *w = ph_container_of(io, struct win_pipe, read);
    struct ph_chunk chunk = {0};
    while (goes_on(w, error, bytes)) {
        error = read_part(w);
        if (error == ERROR_IO_PENDING)
            return;
        bytes = (DWORD)w->read.ov.InternalHigh;
    }
    enum ph_status status = read_result(w, error, &chunk);
    ph_pipe_read_done(&w->base, status, &chunk);
}

/* ERROR_NOT_FOUND: it has completed, its packet is on the way. */
static enum ph_status cancel(struct win_pipe *w, struct win_io *io)
{
    if (!io->pending)
        return PH_OK;
    CancelIoEx(w->handle, &io->ov);
    return PH_PENDING;
}

enum ph_status ph_backend_cancel_read(struct ph_pipe *pipe)
{
    struct win_pipe *w = win_pipe(pipe);
    return cancel(w, &w->read);
}

/* ---- Writes --------------------------------------------------------- */

/* The output is made the operation's own first: a write that pends is read by
 * the system until its packet comes. */
enum ph_status ph_backend_write(struct ph_pipe *pipe, struct ph_op *op,
                                long *os)
{
    struct win_pipe *w = win_pipe(pipe);
    size_t len = op->out_len - op->out_done;
    DWORD error = ERROR_SUCCESS;
    assert(!w->write.pending);
    if (!len && !is_message(w))
        return PH_OK;
    if (len > MAXDWORD)
        return PH_TOOBIG;
    if (ph_op_own_output(op) != PH_OK)
        return PH_NOMEM;
    w->write.ov = (OVERLAPPED){0};
    if (!WriteFile(w->handle, op->out + op->out_done, (DWORD)len, NULL,
                   &w->write.ov))
        error = GetLastError();
    error = started(w, &w->write, error);
    if (error == ERROR_SUCCESS)
        op->out_done = op->out_len;
    else if (error == ERROR_IO_PENDING)
        w->written = op;
    else
        *os = (long)error;
    return ph_win_status(error);
}

/* The system may keep the buffer: only an operation's can be given to it. */
int64_t ph_backend_send_now(struct ph_pipe *pipe, const void *data, size_t len)
{
    (void)pipe;
    (void)data;
    (void)len;
    return -1;
}

/* A write is taken as a whole or has failed. */
static void write_arrived(struct win_io *io, DWORD error, DWORD bytes)
{
    struct win_pipe *w = ph_container_of(io, struct win_pipe, write);
    struct ph_op *op = w->written;
    assert(op && op == w->base.writes.head);
    w->written = NULL;
    if (error == ERROR_SUCCESS) {
        assert(bytes == op->out_len - op->out_done);
        op->out_done = op->out_len;
    }
    (void)bytes;
    ph_pipe_write_done(&w->base, ph_win_status(error), (long)error);
}

enum ph_status ph_backend_cancel_write(struct ph_pipe *pipe)
{
    struct win_pipe *w = win_pipe(pipe);
    return cancel(w, &w->write);
}

/* ---- The rest ------------------------------------------------------- */

enum ph_status ph_backend_peek(struct ph_pipe *pipe, struct ph_peek *out,
                               long *os)
{
    struct win_pipe *w = win_pipe(pipe);
    DWORD all, message, error;
    if (!PeekNamedPipe(w->handle, NULL, 0, NULL, &all, &message)) {
        error = GetLastError();
        *os = (long)error;
        return ph_win_status(error);
    }
    out->available = all;
    /* For byte pipes the system gives nonsense. */
    out->left = is_message(w) ? message : 0;
    return PH_OK;
}

void ph_backend_disconnect(struct ph_pipe *pipe)
{
    struct win_pipe *w = win_pipe(pipe);
    w->disconnected = DisconnectNamedPipe(w->handle);
}

intptr_t ph_backend_give(struct ph_pipe *pipe)
{
    struct win_pipe *w = win_pipe(pipe);
    intptr_t handle = (intptr_t)w->handle;
    assert(pipe->attached && !w->read.pending && !w->write.pending);
    w->handle = NULL;
    pipe->attached = false;
    return handle;
}

/* A handle belongs to one completion port for good: this is its first. */
enum ph_status ph_backend_take(struct ph_pipe *pipe, intptr_t handle)
{
    bool skips;
    DWORD error = ph_win_attach(pipe->port, (HANDLE)handle, &skips);
    if (error != ERROR_SUCCESS)
        return ph_win_status(error);
    ph_win_pipe_take(pipe, (HANDLE)handle, skips);
    return PH_OK;
}

void ph_backend_drop(intptr_t handle)
{
    CloseHandle((HANDLE)handle);
}

/* Can the handle serve another client? Only a disconnected one can, but to
 * disconnect takes back what was written: not while somebody may still read it.
 */
static bool is_free(struct win_pipe *w)
{
    const struct ph_listener *listener = w->base.listener;
    if (!listener || listener->options.movable)
        return false;
    if (!w->disconnected && w->peer_left)
        w->disconnected = DisconnectNamedPipe(w->handle);
    return w->disconnected;
}

void ph_backend_close(struct ph_pipe *pipe)
{
    struct win_pipe *w = win_pipe(pipe);
    assert(pipe->attached && !w->read.pending && !w->write.pending);
    if (!is_free(w) ||
        !ph_win_listener_reuse(pipe->listener, w->handle, w->skips))
        CloseHandle(w->handle);
    w->handle = NULL;
    pipe->attached = false;
    free_buffer(w);
}
