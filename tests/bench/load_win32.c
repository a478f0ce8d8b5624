/* SPDX-License-Identifier: MIT */
/*
 * Load for a server on named pipes: one thread, one completion port, and for
 * each message one WriteFile and one ReadFile: what the floor does itself.
 */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif
#include "load.h"

#include <windows.h>

enum { BATCH = 64, AT_ONCE = 16 };

enum stage { ASKED, ENDED };

/* At most one read and one write are pending. One message in flight at a time
   is timed; probe counts down the echoes up to and including its own. */
struct connection {
    OVERLAPPED read;
    OVERLAPPED write;
    HANDLE pipe;
    int credit; /* messages to send as soon as the write is free */
    int writing;
    int in_flight; /* messages */
    int probe;
    DWORD got; /* bytes of an echo that is not complete */
    enum stage stage;
    uint64_t since;
};

struct load {
    struct load_options options;
    struct load_result result;
    struct connection *connections;
    HANDLE port;
    int status; /* of the whole run: enum load_exit */
    uint64_t frequency;
    uint64_t now;
    uint64_t end;
    char message[LOAD_MOST_BYTES];
    char buffer[LOAD_MOST_BYTES]; /* what is read is counted, not looked at */
};

static uint64_t clock_ns(const struct load *l)
{
    LARGE_INTEGER t;
    uint64_t ticks;

    QueryPerformanceCounter(&t);
    ticks = (uint64_t)t.QuadPart;
    return ticks / l->frequency * 1000000000u +
           ticks % l->frequency * 1000000000u / l->frequency;
}

static void give_up(struct load *l, int status, const char *why)
{
    if (l->status == LOAD_OK)
        fprintf(stderr, "load: %s (%lu)\n", why, GetLastError());
    l->status = status;
}

static int finished(const struct load *l)
{
    return l->status != LOAD_OK || l->now >= l->end ||
           (l->options.count > 0 && l->result.count >= l->options.count);
}

static int prepare(const struct load *l, struct connection *c)
{
    DWORD mode = PIPE_READMODE_MESSAGE;

    if (!l->options.stream &&
        !SetNamedPipeHandleState(c->pipe, &mode, NULL, NULL))
        return 0;
    return CreateIoCompletionPort(c->pipe, l->port, (ULONG_PTR)c, 0) != NULL &&
           SetFileCompletionNotificationModes(
               c->pipe, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS |
                            FILE_SKIP_SET_EVENT_ON_HANDLE);
}

/* Waits as long as there are pipes and all are busy; 0 when there is none. */
static int open_connection(struct load *l, struct connection *c)
{
    uint64_t end = clock_ns(l) + LOAD_STALL_MS * 1000000ull;

    memset(c, 0, sizeof *c);
    do {
        c->pipe =
            CreateFileA(l->options.address, GENERIC_READ | GENERIC_WRITE, 0,
                        NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
        if (c->pipe != INVALID_HANDLE_VALUE)
            return prepare(l, c);
        if (GetLastError() != ERROR_PIPE_BUSY)
            return 0;
        WaitNamedPipeA(l->options.address, LOAD_STALL_MS);
    } while (clock_ns(l) < end);
    return 0;
}

/* The first connection waits until there is a server. */
static void open_first(struct load *l)
{
    uint64_t end = clock_ns(l) + (uint64_t)l->options.wait_ms * 1000000u;

    while (!open_connection(l, &l->connections[0])) {
        if (clock_ns(l) >= end) {
            give_up(l, LOAD_ABSENT, "no server");
            return;
        }
        Sleep(1);
    }
}

/* Nonzero: the write has ended, and no packet will follow. */
static int write_bytes(struct load *l, struct connection *c, const void *data,
                       int size)
{
    DWORD sent;

    if (WriteFile(c->pipe, data, (DWORD)size, &sent, &c->write))
        return 1;
    c->writing = GetLastError() == ERROR_IO_PENDING;
    if (!c->writing)
        give_up(l, LOAD_FAILED, "a message was not taken");
    return 0;
}

static void send_messages(struct load *l, struct connection *c)
{
    while (c->credit > 0 && !c->writing && l->status == LOAD_OK) {
        c->credit--;
        c->in_flight++;
        if (c->probe == 0) {
            c->probe = c->in_flight;
            c->since = l->now;
        }
        write_bytes(l, c, l->message, l->options.size);
    }
}

static void echo_arrived(struct load *l, struct connection *c)
{
    assert(c->in_flight > 0);
    c->in_flight--;
    l->result.count++;
    if (c->probe > 0 && --c->probe == 0)
        load_record(&l->result, l->now - c->since);
    if (finished(l))
        return;
    c->credit++;
    send_messages(l, c);
}

static void on_echo(struct load *l, struct connection *c, DWORD error,
                    DWORD bytes)
{
    DWORD size = (DWORD)l->options.size;

    if (error != 0 || bytes == 0 || (!l->options.stream && bytes != size)) {
        SetLastError(error);
        give_up(l, LOAD_FAILED, "no echo, or one of another size");
        return;
    }
    c->got += bytes;
    while (c->got >= size && l->status == LOAD_OK) {
        c->got -= size;
        echo_arrived(l, c);
    }
}

static void ask(struct load *l, struct connection *c)
{
    static const uint32_t flag = LOAD_FLAG_ASK;

    c->stage = ASKED;
    write_bytes(l, c, &flag, sizeof flag);
}

static void exchange_ended(struct load *l, struct connection *c)
{
    CloseHandle(c->pipe);
    l->result.count++;
    load_record(&l->result, l->now - c->since);
    if (finished(l))
        return;
    l->now = clock_ns(l);
    if (open_connection(l, c)) {
        c->since = l->now;
        ask(l, c);
    } else {
        give_up(l, LOAD_FAILED, "no connection");
    }
}

static int is_end(DWORD error)
{
    return error == ERROR_BROKEN_PIPE || error == ERROR_PIPE_NOT_CONNECTED;
}

static void on_exchange(struct load *l, struct connection *c, DWORD error,
                        DWORD bytes)
{
    static const uint32_t flag = LOAD_FLAG_END;

    if (c->stage == ASKED && error == 0 && bytes == LOAD_INFO_SIZE) {
        c->stage = ENDED;
        write_bytes(l, c, &flag, sizeof flag);
    } else if (c->stage == ENDED && is_end(error)) {
        exchange_ended(l, c);
    } else {
        SetLastError(error);
        give_up(l, LOAD_FAILED, "not the exchange");
    }
}

static void on_read(struct load *l, struct connection *c, DWORD error,
                    DWORD bytes)
{
    l->now = clock_ns(l);
    if (l->options.mode == LOAD_EXCHANGE)
        on_exchange(l, c, error, bytes);
    else
        on_echo(l, c, error, bytes);
}

/* Reads until a read pends. After AT_ONCE immediate results the others have
   their turn: this one goes on with an empty packet of its own. */
static void read_on(struct load *l, struct connection *c)
{
    DWORD bytes, error;
    int i;

    for (i = 0; i < AT_ONCE && !finished(l); i++) {
        error = ReadFile(c->pipe, l->buffer, sizeof l->buffer, &bytes, &c->read)
                    ? 0
                    : GetLastError();
        if (error == ERROR_IO_PENDING)
            return;
        on_read(l, c, error, bytes);
    }
    if (!finished(l))
        PostQueuedCompletionStatus(l->port, 0, (ULONG_PTR)c, NULL);
}

static void completed(struct load *l, const OVERLAPPED_ENTRY *entry)
{
    struct connection *c = (struct connection *)entry->lpCompletionKey;
    DWORD bytes = 0, error = 0;

    if (entry->lpOverlapped == &c->write) {
        c->writing = 0;
        send_messages(l, c);
        return;
    }
    if (entry->lpOverlapped != NULL) {
        if (!GetOverlappedResult(c->pipe, &c->read, &bytes, FALSE))
            error = GetLastError();
        on_read(l, c, error, bytes);
    }
    read_on(l, c);
}

static void start(struct load *l)
{
    struct connection *c = l->connections;
    int i;

    open_first(l);
    for (i = 1; i < l->options.connections && l->status == LOAD_OK; i++) {
        if (!open_connection(l, &c[i]))
            give_up(l, LOAD_FAILED, "no connection");
    }
    l->now = clock_ns(l);
    l->end = l->now + l->options.time_ns;
    for (i = 0; i < l->options.connections && l->status == LOAD_OK; i++) {
        c[i].since = l->now;
        c[i].credit = l->options.depth;
        if (l->options.mode == LOAD_EXCHANGE)
            ask(l, &c[i]);
        else
            send_messages(l, &c[i]);
        read_on(l, &c[i]);
    }
}

static void run(struct load *l)
{
    OVERLAPPED_ENTRY entries[BATCH];
    uint64_t begin = l->end - l->options.time_ns;
    ULONG i, n;

    while (!finished(l)) {
        if (!GetQueuedCompletionStatusEx(l->port, entries, BATCH, &n,
                                         LOAD_STALL_MS, FALSE)) {
            give_up(l, LOAD_STALLED, "no answer");
            return;
        }
        for (i = 0; i < n && l->status == LOAD_OK; i++)
            completed(l, &entries[i]);
    }
    l->result.elapsed_ns = clock_ns(l) - begin;
}

/* What is still pending ends with the process, and so does its memory: none
   of it is freed before. */
int main(int argc, char **argv)
{
    static struct load l;
    LARGE_INTEGER frequency;
    int status = load_parse(&l.options, argc, argv);

    if (status != LOAD_OK)
        return status;
    if (l.options.rate > 0 || l.options.idle > 0) {
        fprintf(stderr, "--rate and --idle are for Linux\n");
        return LOAD_USAGE;
    }
    QueryPerformanceFrequency(&frequency);
    l.frequency = (uint64_t)frequency.QuadPart;
    memset(l.message, 'm', sizeof l.message);
    l.connections =
        calloc((size_t)l.options.connections, sizeof *l.connections);
    l.port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (l.connections == NULL || l.port == NULL) {
        fprintf(stderr, "load: error %lu\n", GetLastError());
        return LOAD_FAILED;
    }
    start(&l);
    if (l.status == LOAD_OK)
        run(&l);
    if (l.status == LOAD_OK)
        load_print(&l.result, &l.options);
    return l.status;
}
