/* SPDX-License-Identifier: MIT */
/*
 * A listener keeps instances that wait for a client. One that got a client
 * queues here until a connect takes its handle; one whose client was
 * disconnected comes back as a spare and saves making another.
 *
 * A handle that was put to a completion port stays there. So the instances of a
 * movable listener are put to none before they have their client; until then an
 * event tells, and a wait of the system's thread pool makes the packet.
 */
#include "system_win32.h"

#include <assert.h>
#include <stdlib.h>

#define BUFFER_ADVICE 65536 /* bytes each way that the system may hold */
#define RETRY_US      100000

struct instance {
    struct win_io io;
    struct win_listener *listener;
    HANDLE handle;
    bool skips;
    HANDLE event, wait; /* of a movable listener's */
    struct instance *next, **link;
};

struct win_listener {
    struct ph_listener base;
    wchar_t *path;
    PSECURITY_DESCRIPTOR descriptor;
    struct instance *listening;              /* a connect is in the system */
    struct instance *arrived, **arrived_end; /* FIFO: with a client */
    struct instance *spare;                  /* disconnected */
    uint32_t ready;                          /* listening and arrived ones */
    uint32_t spares;
    struct ph_timer retry;
    bool warned; /* about the failure that goes on */
    bool leaving;
};

static struct win_listener *win_listener(struct ph_listener *listener)
{
    return ph_container_of(listener, struct win_listener, base);
}

static void instance_arrived(struct win_io *io, DWORD error, DWORD bytes);

struct ph_listener *ph_backend_listener_alloc(void)
{
    struct win_listener *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->arrived_end = &w->arrived;
    return &w->base;
}

void ph_backend_listener_free(struct ph_listener *listener)
{
    struct win_listener *w = win_listener(listener);
    assert(!w->listening && !w->arrived && !w->spare && !w->retry.link);
    if (w->descriptor)
        LocalFree(w->descriptor);
    free(w->path);
    free(w);
}

/* In a thread of the pool, which takes part in nothing else. */
static void CALLBACK client_came(void *parameter, BOOLEAN timed_out)
{
    struct instance *instance = parameter;
    (void)timed_out;
    PostQueuedCompletionStatus(win_port(instance->listener->base.port)->iocp, 0,
                               0, &instance->io.ov);
}

static void end_event(struct instance *instance)
{
    if (instance->wait) /* returns when client_came has */
        UnregisterWaitEx(instance->wait, INVALID_HANDLE_VALUE);
    if (instance->event)
        CloseHandle(instance->event);
    instance->wait = instance->event = NULL;
}

static void instance_free(struct instance *instance)
{
    assert(!instance->io.pending);
    end_event(instance);
    if (instance->handle)
        CloseHandle(instance->handle);
    free(instance);
}

/* ---- One instance --------------------------------------------------- */

static HANDLE make_pipe(const struct win_listener *w, DWORD flags)
{
    static const DWORD access[] = {
        [PH_DUPLEX] = PIPE_ACCESS_DUPLEX,
        [PH_INBOUND] = PIPE_ACCESS_INBOUND,
        [PH_OUTBOUND] = PIPE_ACCESS_OUTBOUND,
    };
    const struct ph_create_options *options = &w->base.options;
    DWORD mode = options->mode == PH_MODE_MESSAGE
                     ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE
                     : PIPE_TYPE_BYTE | PIPE_READMODE_BYTE;
    SECURITY_ATTRIBUTES security = {sizeof security, w->descriptor, FALSE};
    return CreateNamedPipeW(
        w->path, access[options->direction] | FILE_FLAG_OVERLAPPED | flags,
        mode | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES,
        BUFFER_ADVICE, BUFFER_ADVICE, 0, &security);
}

/* A new instance, which clients may open from now on. */
static DWORD make_instance(struct win_listener *w, DWORD flags,
                           struct instance **out)
{
    struct instance *instance = calloc(1, sizeof *instance);
    HANDLE handle;
    DWORD error;
    if (!instance)
        return ERROR_OUTOFMEMORY;
    handle = make_pipe(w, flags);
    if (handle == INVALID_HANDLE_VALUE) {
        error = GetLastError();
        free(instance);
        return error;
    }
    instance->handle = handle;
    instance->listener = w;
    instance->io.arrive = instance_arrived;
    if (!w->base.options.movable)
        error = ph_win_attach(w->base.port, handle, &instance->skips);
    else if (!(instance->event = CreateEventW(NULL, TRUE, FALSE, NULL)))
        error = GetLastError();
    else
        error = ERROR_SUCCESS;
    if (error == ERROR_SUCCESS)
        *out = instance;
    else
        instance_free(instance);
    return error;
}

/* Nobody would tell of its client: the system gives our memory back at once. */
static DWORD abandon_connect(struct instance *instance, DWORD error)
{
    DWORD bytes;
    CancelIoEx(instance->handle, &instance->io.ov);
    GetOverlappedResult(instance->handle, &instance->io.ov, &bytes, TRUE);
    return error;
}

/* ERROR_IO_PENDING: a packet will come. */
static DWORD connect(struct instance *instance)
{
    OVERLAPPED *ov = &instance->io.ov;
    bool at_once;
    *ov = (OVERLAPPED){.hEvent = instance->event};
    at_once = ConnectNamedPipe(instance->handle, ov);
    if (!at_once && GetLastError() != ERROR_IO_PENDING)
        return GetLastError();
    if (!instance->event)
        return at_once && instance->skips ? ERROR_SUCCESS : ERROR_IO_PENDING;
    if (at_once)
        return ERROR_SUCCESS;
    if (RegisterWaitForSingleObject(&instance->wait, instance->event,
                                    client_came, instance, INFINITE,
                                    WT_EXECUTEONLYONCE |
                                        WT_EXECUTEINWAITTHREAD))
        return ERROR_IO_PENDING;
    return abandon_connect(instance, GetLastError());
}

/* Has the instance wait for its client. One that is there already (or has gone
 * again, leaving what it wrote) brings no packet: we send it ourselves. */
static DWORD wait_for_client(struct instance *instance)
{
    struct win_listener *w = instance->listener;
    struct win_io *io = &instance->io;
    DWORD error = connect(instance);
    if (error == ERROR_PIPE_CONNECTED || error == ERROR_NO_DATA)
        error = ERROR_SUCCESS;
    if (error == ERROR_SUCCESS) {
        io->ov = (OVERLAPPED){0};
        if (!PostQueuedCompletionStatus(win_port(w->base.port)->iocp, 0, 0,
                                        &io->ov))
            error = GetLastError();
    }
    if (error != ERROR_SUCCESS && error != ERROR_IO_PENDING)
        return error;
    io->pending = true;
    instance->next = w->listening;
    instance->link = &w->listening;
    if (instance->next)
        instance->next->link = &instance->next;
    w->listening = instance;
    w->ready++;
    return ERROR_SUCCESS;
}

static DWORD add_instance(struct win_listener *w)
{
    struct instance *instance = w->spare;
    DWORD error = ERROR_SUCCESS;
    if (instance) {
        w->spare = instance->next;
        w->spares--;
    } else {
        error = make_instance(w, 0, &instance);
    }
    if (error == ERROR_SUCCESS) {
        error = wait_for_client(instance);
        if (error != ERROR_SUCCESS)
            instance_free(instance);
    }
    return error;
}

/* ---- As many as may come in ----------------------------------------- */

static void retry_fired(struct ph_timer *timer)
{
    struct win_listener *w = ph_container_of(timer, struct win_listener, retry);
    ph_backend_listener_update(&w->base);
}

/* Handles or memory have run out, or the system has refused for once: clients
 * that are in are served meanwhile, and the loop does not spin. */
static void retry_later(struct win_listener *w)
{
    struct ph_port *port = w->base.port;
    w->retry.fire = retry_fired;
    ph_timer_start(port, &w->retry, port->now + RETRY_US);
}

static void add_failed(struct win_listener *w, DWORD error)
{
    if (!w->warned)
        ph_port_log(w->base.port, PH_LOG_WARN,
                    "%s: no further client can come in for now (error %lu)",
                    w->base.path, (unsigned long)error);
    w->warned = true;
    retry_later(w);
}

void ph_backend_listener_update(struct ph_listener *listener)
{
    struct win_listener *w = win_listener(listener);
    const struct ph_create_options *options = &listener->options;
    uint32_t places = 0;
    if (options->max_instances > listener->taken)
        places = options->max_instances - listener->taken;
    if (places > options->backlog)
        places = options->backlog;
    while (w->ready < places && !w->leaving && !w->retry.link) {
        DWORD error = add_instance(w);
        if (error != ERROR_SUCCESS)
            add_failed(w, error);
        else
            w->warned = false;
    }
}

/* Instances that listen already keep the quota they were made with, which the
 * system takes as a hint. */
enum ph_status ph_backend_adjust(struct ph_listener *listener,
                                 const struct ph_create_options *options,
                                 const char **why)
{
    (void)listener;
    (void)options;
    (void)why;
    return PH_OK;
}

static void arrived_push(struct win_listener *w, struct instance *instance)
{
    instance->next = NULL;
    *w->arrived_end = instance;
    w->arrived_end = &instance->next;
}

static struct instance *arrived_pop(struct win_listener *w)
{
    struct instance *instance = w->arrived;
    if (!instance)
        return NULL;
    assert(w->ready && !instance->io.pending);
    w->arrived = instance->next;
    if (!w->arrived)
        w->arrived_end = &w->arrived;
    w->ready--;
    return instance;
}

/* The instance's packet was taken: it has a client, or has failed. */
static void settle(struct instance *instance, DWORD error)
{
    struct win_listener *w = instance->listener;
    assert(*instance->link == instance && !instance->io.pending && w->ready);
    *instance->link = instance->next;
    if (instance->next)
        instance->next->link = instance->link;
    if (error == ERROR_SUCCESS && !w->leaving) {
        arrived_push(w, instance);
        return;
    }
    w->ready--;
    instance_free(instance);
    if (!w->leaving)
        retry_later(w);
}

static void instance_arrived(struct win_io *io, DWORD error, DWORD bytes)
{
    struct instance *instance = ph_container_of(io, struct instance, io);
    struct win_listener *w = instance->listener;
    (void)bytes;
    settle(instance, error);
    if (!w->leaving)
        ph_listener_ready(&w->base);
    else if (!w->listening)
        ph_listener_gone(&w->base);
}

/* The instance of the listener that the packet is about, or NULL. */
static struct instance *instance_of(const struct win_listener *w,
                                    const OVERLAPPED_ENTRY *entry)
{
    struct win_io *io;
    struct instance *instance;
    if (!entry->lpOverlapped)
        return NULL;
    io = ph_container_of(entry->lpOverlapped, struct win_io, ov);
    if (io->arrive != instance_arrived)
        return NULL;
    instance = ph_container_of(io, struct instance, io);
    return instance->listener == w ? instance : NULL;
}

/* A client may have come whose packet was not delivered yet. */
static void look_for_client(struct win_listener *w)
{
    struct win_port *port = win_port(w->base.port);
    ph_win_fetch(port);
    for (ULONG i = port->next; i < port->count && !w->arrived; i++) {
        struct instance *instance = instance_of(w, &port->packets[i]);
        if (!instance)
            continue;
        ph_win_take_packet(&port->packets[i]);
        settle(instance, ph_win_error(&instance->io));
    }
}

enum ph_status ph_backend_accept(struct ph_listener *listener,
                                 struct ph_pipe *pipe, enum ph_try when,
                                 long *os)
{
    struct win_listener *w = win_listener(listener);
    struct instance *instance;
    (void)os;
    if (!w->arrived && when == PH_TRY_NOW)
        look_for_client(w);
    instance = arrived_pop(w);
    if (!instance)
        return PH_PENDING;
    ph_win_pipe_take(pipe, instance->handle, instance->skips);
    pipe->mode = listener->options.mode;
    pipe->direction = listener->options.direction;
    instance->handle = NULL; /* of a movable listener: at no port yet */
    instance_free(instance);
    return PH_OK;
}

bool ph_win_listener_reuse(struct ph_listener *listener, HANDLE handle,
                           bool skips)
{
    struct win_listener *w = win_listener(listener);
    struct instance *instance;
    if (w->leaving || w->spares >= listener->options.backlog ||
        listener->options.movable)
        return false;
    instance = calloc(1, sizeof *instance);
    if (!instance)
        return false;
    instance->io.arrive = instance_arrived;
    instance->listener = w;
    instance->handle = handle;
    instance->skips = skips;
    instance->next = w->spare;
    w->spare = instance;
    w->spares++;
    return true;
}

/* ---- The name ------------------------------------------------------- */

/* Refused although nobody serves the name means: not allowed here. */
static bool is_served(const wchar_t *path)
{
    const size_t prefix = wcslen(L"\\\\.\\pipe\\");
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(L"\\\\.\\pipe\\*", &found);
    bool served = false;
    if (search == INVALID_HANDLE_VALUE)
        return true;
    do {
        served = CompareStringOrdinal(found.cFileName, -1, path + prefix, -1,
                                      TRUE) == CSTR_EQUAL;
    } while (!served && FindNextFileW(search, &found));
    FindClose(search);
    return served;
}

/* Wine up to 8 makes a further instance of a name that others serve although
 * the first one was asked for. Only there the count is of use: Windows counts
 * closed instances too whose clients have not gone yet. */
static bool joined_another(const struct instance *instance)
{
    DWORD count = 0;
    HMODULE system = GetModuleHandleW(L"ntdll.dll");
    if (!system || !GetProcAddress(system, "wine_get_version"))
        return false;
    return GetNamedPipeHandleStateW(instance->handle, NULL, &count, NULL, NULL,
                                    NULL, 0) &&
           count > 1;
}

static enum ph_status take_name(struct win_listener *w, long *os)
{
    struct instance *first = NULL;
    DWORD error = make_instance(w, FILE_FLAG_FIRST_PIPE_INSTANCE, &first);
    if (error == ERROR_SUCCESS && joined_another(first)) {
        instance_free(first);
        error = ERROR_PIPE_BUSY;
    } else if (error == ERROR_SUCCESS) {
        error = wait_for_client(first);
        if (error != ERROR_SUCCESS)
            instance_free(first);
    }
    *os = (long)error;
    if (error == ERROR_PIPE_BUSY ||
        (error == ERROR_ACCESS_DENIED && is_served(w->path)))
        return PH_EXISTS;
    return ph_win_status(error);
}

enum ph_status ph_backend_listen(struct ph_listener *listener, long *os,
                                 const char **why)
{
    struct win_listener *w = win_listener(listener);
    enum ph_status status = ph_win_descriptor(
        win_port(listener->port), &listener->options, &w->descriptor, os, why);
    if (status != PH_OK)
        return status;
    w->path = ph_win_wide(listener->path);
    if (!w->path)
        return PH_NOMEM;
    status = take_name(w, os);
    if (status == PH_OK)
        ph_backend_listener_update(listener);
    return status;
}

/* The handles go at once, and with them the name; what was in the system is
 * free when its packets have come. */
void ph_backend_unlisten(struct ph_listener *listener)
{
    struct win_listener *w = win_listener(listener);
    struct instance *instance;
    w->leaving = true;
    ph_timer_stop(listener->port, &w->retry);
    while ((instance = arrived_pop(w)) != NULL)
        instance_free(instance);
    while ((instance = w->spare) != NULL) {
        w->spare = instance->next;
        instance_free(instance);
    }
    for (instance = w->listening; instance; instance = instance->next) {
        CancelIoEx(instance->handle, &instance->io.ov);
        CloseHandle(instance->handle);
        instance->handle = NULL;
    }
    if (!w->listening)
        ph_listener_gone(listener);
}
