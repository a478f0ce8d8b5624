/* SPDX-License-Identifier: MIT */
/*
 * The floor: the least that a server on named pipes has to do for each
 * message, in plain C. One completion port, ReadFile, WriteFile; one thread,
 * several instances, and no packet for what succeeded at once.
 */
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif
#include <windows.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_ASK = 1, FLAG_END = 2, FAGE = 3 };
enum { INSTANCES = 72, BATCH = 64, BUFFER_SIZE = 65536, AT_ONCE = 64 };
enum { LIFE_MS = 900000 };

enum stage { CONNECTING, READING, WRITING };

/* One operation at a time; op is its OVERLAPPED. */
struct instance {
    OVERLAPPED op;
    HANDLE pipe;
    enum stage stage;
    char buffer[BUFFER_SIZE];
};

struct server {
    HANDLE port;
    const char *name;
    int stream;
    int exchange;
    int close; /* hang up so that nothing is lost, as pipehost does */
    struct instance *instances;
};

static int fail(const char *what)
{
    fprintf(stderr, "%s: error %lu\n", what, GetLastError());
    return 1;
}

/* The three starts return ERROR_SUCCESS when no packet will follow. */
static DWORD start_connect(struct instance *c)
{
    DWORD error;

    c->stage = CONNECTING;
    error = ConnectNamedPipe(c->pipe, &c->op) ? 0 : GetLastError();
    /* 232: came and went; the read that follows will tell. */
    return error == ERROR_PIPE_CONNECTED || error == ERROR_NO_DATA ? 0 : error;
}

static DWORD start_read(struct instance *c, DWORD *bytes)
{
    c->stage = READING;
    return ReadFile(c->pipe, c->buffer, BUFFER_SIZE, bytes, &c->op)
               ? 0
               : GetLastError();
}

static DWORD start_write(struct instance *c, DWORD size, DWORD *bytes)
{
    c->stage = WRITING;
    return WriteFile(c->pipe, c->buffer, size, bytes, &c->op) ? 0
                                                              : GetLastError();
}

static int create_instance(const struct server *s, struct instance *c)
{
    DWORD type = s->stream ? PIPE_TYPE_BYTE | PIPE_READMODE_BYTE
                           : PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE;

    c->pipe = CreateNamedPipeA(
        s->name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, type,
        PIPE_UNLIMITED_INSTANCES, BUFFER_SIZE, BUFFER_SIZE, 0, NULL);
    if (c->pipe == INVALID_HANDLE_VALUE)
        return 0;
    return CreateIoCompletionPort(c->pipe, s->port, (ULONG_PTR)c, 0) != NULL &&
           SetFileCompletionNotificationModes(
               c->pipe, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS |
                            FILE_SKIP_SET_EVENT_ON_HANDLE);
}

/* A disconnect takes back what the client has not read yet; only a handle that
   is closed does not, and a closed one serves nobody else. */
static DWORD hang_up(const struct server *s, struct instance *c)
{
    if (!s->close)
        DisconnectNamedPipe(c->pipe);
    else if (!CloseHandle(c->pipe) || !create_instance(s, c))
        exit(fail("close"));
    return start_connect(c);
}

static DWORD answer(const struct server *s, struct instance *c, DWORD size,
                    DWORD *bytes)
{
    static const int32_t info = FAGE;
    uint32_t flag = 0;

    if (size == sizeof flag)
        memcpy(&flag, c->buffer, sizeof flag);
    if (flag != FLAG_ASK)
        return hang_up(s, c);
    memcpy(c->buffer, &info, sizeof info);
    return start_write(c, sizeof info, bytes);
}

/* Starts what comes after an operation that ended with these. */
static DWORD next(const struct server *s, struct instance *c, DWORD error,
                  DWORD *bytes)
{
    if (error != ERROR_SUCCESS)
        return hang_up(s, c);
    if (c->stage != READING)
        return start_read(c, bytes);
    if (s->exchange)
        return answer(s, c, *bytes, bytes);
    return start_write(c, *bytes, bytes);
}

/* After AT_ONCE immediate results the others have their turn: the rest of
   this one comes back through the port. */
static void drive(const struct server *s, struct instance *c, DWORD error,
                  DWORD bytes)
{
    int i;

    for (i = 0; i < AT_ONCE; i++) {
        error = next(s, c, error, &bytes);
        if (error == ERROR_IO_PENDING)
            return;
    }
    PostQueuedCompletionStatus(s->port, error == 0 ? bytes : 0, (ULONG_PTR)c,
                               NULL);
}

static void completed(const struct server *s, const OVERLAPPED_ENTRY *entry)
{
    struct instance *c = (struct instance *)entry->lpCompletionKey;
    DWORD bytes = entry->dwNumberOfBytesTransferred;
    DWORD error = ERROR_SUCCESS;

    if (entry->lpOverlapped != NULL &&
        !GetOverlappedResult(c->pipe, &c->op, &bytes, FALSE))
        error = GetLastError();
    drive(s, c, error, bytes);
}

static int serve(const struct server *s)
{
    ULONGLONG end = GetTickCount64() + LIFE_MS;
    OVERLAPPED_ENTRY entries[BATCH];
    ULONG i, n;

    while (GetTickCount64() < end) {
        if (!GetQueuedCompletionStatusEx(s->port, entries, BATCH, &n, 1000,
                                         FALSE)) {
            if (GetLastError() == WAIT_TIMEOUT)
                continue;
            return fail("port");
        }
        for (i = 0; i < n; i++)
            completed(s, &entries[i]);
    }
    return 0;
}

static int listen_all(struct server *s)
{
    DWORD error;
    int i;

    s->instances = calloc(INSTANCES, sizeof *s->instances);
    s->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (s->instances == NULL || s->port == NULL)
        return 0;
    for (i = 0; i < INSTANCES; i++) {
        if (!create_instance(s, &s->instances[i]))
            return 0;
        error = start_connect(&s->instances[i]);
        if (error != ERROR_IO_PENDING)
            drive(s, &s->instances[i], error, 0);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct server s;
    int i;

    memset(&s, 0, sizeof s);
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--stream") == 0)
            s.stream = 1;
        else if (strcmp(argv[i], "--exchange") == 0)
            s.exchange = 1;
        else if (strcmp(argv[i], "--close") == 0)
            s.close = 1;
        else
            s.name = argv[i];
    }
    if (s.name == NULL) {
        fprintf(stderr, "usage: %s [--stream] [--exchange] [--close] PIPE\n",
                argv[0]);
        return 2;
    }
    if (!listen_all(&s))
        return fail(s.name);
    puts("listening");
    fflush(stdout);
    return serve(&s);
}
