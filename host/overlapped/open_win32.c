/* SPDX-License-Identifier: MIT */
/*
 * Opening a client end, and waiting until one could be opened.
 *
 * Opening takes an instance even where it fails afterwards, so nothing is asked
 * by opening. A fresh client handle reads bytes also from a message pipe, until
 * it is told otherwise. Without SECURITY_SQOS_PRESENT the server could act as
 * this user; with it, and IDENTIFICATION, it can only see who that is. And the
 * server is checked: a name can be taken by anybody who comes first.
 *
 * WaitNamedPipe blocks its thread and can't be cancelled. What it does is a
 * request to the file system of pipes (FSCTL_PIPE_WAIT), which like any other
 * request can be overlapped, with the port's packets: so no helper is needed.
 */
#include "system_win32.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <winternl.h>

/* ---- Open ----------------------------------------------------------- */

/* A one-way pipe refuses the other way. The attribute rights are for asking
 * for the mode and switching it. */
static HANDLE open_pipe(const wchar_t *path, enum ph_direction *direction,
                        DWORD *error)
{
    static const struct {
        DWORD access;
        enum ph_direction direction;
    } ways[] = {
        {GENERIC_READ | GENERIC_WRITE, PH_DUPLEX},
        {GENERIC_READ | FILE_WRITE_ATTRIBUTES, PH_OUTBOUND},
        {GENERIC_WRITE | FILE_READ_ATTRIBUTES, PH_INBOUND},
    };
    HANDLE handle = INVALID_HANDLE_VALUE;
    for (size_t i = 0; i < ph_countof(ways); i++) {
        *direction = ways[i].direction;
        *error = ERROR_SUCCESS;
        handle = CreateFileW(path, ways[i].access, 0, NULL, OPEN_EXISTING,
                             FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT |
                                 SECURITY_IDENTIFICATION,
                             NULL);
        if (handle != INVALID_HANDLE_VALUE)
            return handle;
        *error = GetLastError();
        if (*error != ERROR_ACCESS_DENIED)
            break;
    }
    return handle;
}

/* A fresh client handle reads bytes, also from a message pipe. */
static DWORD take_mode(HANDLE handle, enum ph_direction direction,
                       enum ph_mode *mode)
{
    DWORD flags, reads = PIPE_READMODE_MESSAGE | PIPE_WAIT;
    if (!GetNamedPipeInfo(handle, &flags, NULL, NULL, NULL))
        return GetLastError();
    *mode = flags & PIPE_TYPE_MESSAGE ? PH_MODE_MESSAGE : PH_MODE_BYTE;
    if (*mode == PH_MODE_BYTE || direction == PH_INBOUND)
        return ERROR_SUCCESS;
    if (!SetNamedPipeHandleState(handle, &reads, NULL, NULL))
        return GetLastError();
    return ERROR_SUCCESS;
}

static enum ph_status take_handle(struct ph_pipe *pipe, HANDLE handle,
                                  const struct ph_open_options *options,
                                  long *os, const char **why)
{
    enum ph_mode mode;
    enum ph_status status = PH_OK;
    bool skips;
    DWORD error;
    if (!options->any_peer)
        status = ph_win_check_owner(win_port(pipe->port), handle, os, why);
    if (status != PH_OK)
        return status;
    error = take_mode(handle, pipe->direction, &mode);
    if (error == ERROR_SUCCESS) {
        if (options->mode != PH_MODE_ANY && options->mode != mode)
            return PH_MODE;
        error = ph_win_attach(pipe->port, handle, &skips);
    }
    if (error != ERROR_SUCCESS) {
        *os = (long)error;
        return PH_SYSTEM;
    }
    pipe->mode = mode;
    ph_win_pipe_take(pipe, handle, skips);
    return PH_OK;
}

static enum ph_status open_path(struct ph_pipe *pipe, const char *path,
                                const struct ph_open_options *options, long *os,
                                const char **why)
{
    wchar_t *wide = ph_win_wide(path);
    enum ph_direction direction;
    HANDLE handle;
    DWORD error;
    enum ph_status status;
    if (!wide)
        return PH_NOMEM;
    handle = open_pipe(wide, &direction, &error);
    free(wide);
    pipe->direction = (uint8_t)direction;
    if (handle == INVALID_HANDLE_VALUE) {
        *os = (long)error;
        return ph_win_status(error);
    }
    status = take_handle(pipe, handle, options, os, why);
    if (status != PH_OK)
        CloseHandle(handle);
    return status;
}

enum ph_status ph_backend_open(struct ph_pipe *pipe, const char *name,
                               const struct ph_open_options *options, long *os,
                               const char **why)
{
    char *path = ph_win_path(name);
    enum ph_status status;
    if (!path)
        return PH_NOMEM;
    status = open_path(pipe, path, options, os, why);
    assert(pipe->attached == (status == PH_OK));
    if (status != PH_OK) {
        free(path);
        return status;
    }
    free(pipe->path);
    pipe->path = path;
    return PH_OK;
}

/* ---- Available ------------------------------------------------------ */

#define WAIT_FOR_PIPE 0x110018 /* FSCTL_PIPE_WAIT */

/* Not in every winternl.h. */
NTSTATUS NTAPI NtFsControlFile(HANDLE file, HANDLE event,
                               PIO_APC_ROUTINE routine, PVOID context,
                               PIO_STATUS_BLOCK status, ULONG code, PVOID input,
                               ULONG input_size, PVOID output,
                               ULONG output_size);

/* How long the system waits in one go, in 100 ns. When it is over we ask again:
 * the last instance may have gone, which nobody tells the waiters. */
#define WAIT_TURN (INT64_C(500) * 10000)

/* FILE_PIPE_WAIT_FOR_BUFFER, which only driver headers have. */
struct pipe_wait {
    LARGE_INTEGER timeout; /* negative: from now */
    ULONG name_size;       /* bytes */
    BOOLEAN has_timeout;
    WCHAR name[1];
};

struct available {
    struct win_request request;
    struct pipe_wait *wait;
    ULONG wait_size;
};

static DWORD open_root(struct win_port *port)
{
    DWORD error = ERROR_SUCCESS;
    HANDLE root;
    if (port->root)
        return ERROR_SUCCESS;
    root = CreateFileW(L"\\\\.\\pipe\\", FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                       FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                       FILE_FLAG_OVERLAPPED, NULL);
    if (root == INVALID_HANDLE_VALUE)
        return GetLastError();
    /* Here success brings a packet: only errors are told at once. */
    if (!CreateIoCompletionPort(root, port->iocp, 0, 0))
        error = GetLastError();
    if (error == ERROR_SUCCESS)
        port->root = root;
    else
        CloseHandle(root);
    return error;
}

static DWORD ask(struct win_port *port, struct available *a)
{
    struct win_io *io = &a->request.io;
    NTSTATUS status;
    assert(!io->pending);
    io->ov = (OVERLAPPED){0};
    io->ov.Internal = (ULONG_PTR)STATUS_PENDING;
    status = NtFsControlFile(port->root, NULL, NULL, &io->ov,
                             (IO_STATUS_BLOCK *)(void *)&io->ov, WAIT_FOR_PIPE,
                             a->wait, a->wait_size, NULL, 0);
    io->pending = NT_SUCCESS(status);
    return NT_SUCCESS(status) ? ERROR_SUCCESS : RtlNtStatusToDosError(status);
}

static void available_free(struct available *a)
{
    free(a->wait);
    free(a);
}

static void available_arrived(struct win_io *io, DWORD error, DWORD bytes)
{
    struct win_request *request = ph_container_of(io, struct win_request, io);
    struct available *a = ph_container_of(request, struct available, request);
    struct ph_op *op = request->op;
    assert(op->system == request);
    (void)bytes;
    if (error == ERROR_SEM_TIMEOUT) {
        error = op->ending == PH_OK ? ask(win_port(op->port), a)
                                    : ERROR_OPERATION_ABORTED;
        if (io->pending)
            return;
    }
    available_free(a);
    ph_op_system_done(op, ph_win_status(error), (long)error);
}

static void available_cancel(struct win_request *request)
{
    CancelIoEx(win_port(request->op->port)->root, &request->io.ov);
}

static struct available *available_new(struct ph_op *op, const char *name)
{
    struct available *a = calloc(1, sizeof *a);
    char *path = ph_win_path(name);
    wchar_t *wide = path ? ph_win_wide(ph_win_short_name(path)) : NULL;
    ULONG size = wide ? (ULONG)(wcslen(wide) * sizeof *wide) : 0;
    struct pipe_wait *wait = wide ? calloc(1, sizeof *wait + size) : NULL;
    if (a && wait) {
        wait->timeout.QuadPart = -WAIT_TURN;
        wait->has_timeout = TRUE;
        wait->name_size = size;
        memcpy(wait->name, wide, size);
        a->wait = wait;
        a->wait_size = (ULONG)offsetof(struct pipe_wait, name) + size;
        a->request.io.arrive = available_arrived;
        a->request.cancel = available_cancel;
        a->request.op = op;
    } else {
        free(a);
        free(wait);
        a = NULL;
    }
    free(path);
    free(wide);
    return a;
}

enum ph_status ph_backend_available(struct ph_op *op, const char *name,
                                    long *os)
{
    struct win_port *port = win_port(op->port);
    DWORD error = open_root(port);
    struct available *a;
    if (error == ERROR_SUCCESS) {
        a = available_new(op, name);
        if (!a)
            return PH_NOMEM;
        error = ask(port, a);
        if (error == ERROR_SUCCESS) {
            op->system = &a->request;
            return PH_PENDING;
        }
        available_free(a);
    }
    *os = (long)error;
    return ph_win_status(error);
}
