/* SPDX-License-Identifier: MIT */
/*
 * The client's part of the ServerInfo exchange on the Win32 API alone, in the
 * manner of the programs that pipehost has to get on with: wait for the pipe,
 * open it, start each operation, wait on its event, take its result.
 *
 * Answers go to stdout as "iFage = N", what happens on the way to stderr.
 */
#include <windows.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_ASK = 1, FLAG_END = 2, FLAG_UNKNOWN = 99 };
enum { OPERATION_MS = 3000, LONGEST_WAIT_MS = 60000, MOST_ASKS = 100000 };

/* The exit status. */
enum outcome {
    DONE = 0,
    FAILED = 1, /* the system refused something */
    USAGE = 2,
    ABSENT = 3,    /* no such pipe, or no instance became free */
    CLOSED = 4,    /* the server ended the connection */
    TIMED_OUT = 5, /* no answer within 3000 ms */
    BAD_REPLY = 6, /* an answer that is not the structure */
    VANISHED = 9   /* --vanish: ended in the middle, as asked */
};

enum behaviour { GOOD, BAD_SIZE, BAD_FLAG, VANISH };

struct client_server_info {
    int32_t iFage;
};

struct options {
    const char *name;
    int asks;
    enum behaviour behaviour;
    DWORD wait_ms;  /* for the pipe to appear */
    DWORD pause_ms; /* between one answer and the next question */
};

struct connection {
    HANDLE pipe;
    OVERLAPPED read;
    OVERLAPPED write;
};

static enum outcome report(const char *what, DWORD error)
{
    switch (error) {
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED:
        fprintf(stderr, "%s: closed (%lu)\n", what, error);
        return CLOSED;
    case ERROR_MORE_DATA:
        fprintf(stderr, "%s: longer than the structure\n", what);
        return BAD_REPLY;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PIPE_BUSY:
    case ERROR_SEM_TIMEOUT:
        fprintf(stderr, "%s: no pipe to be had (%lu)\n", what, error);
        return ABSENT;
    default:
        fprintf(stderr, "%s: error %lu\n", what, error);
        return FAILED;
    }
}

/* Ends an operation that a Read- or WriteFile with this result started. */
static enum outcome finish(HANDLE pipe, OVERLAPPED *op, BOOL started,
                           const char *what, DWORD *bytes)
{
    DWORD error = started ? ERROR_SUCCESS : GetLastError();
    DWORD waited = WAIT_OBJECT_0;

    /* After an immediate failure nothing sets the event. */
    if (error != ERROR_SUCCESS && error != ERROR_IO_PENDING)
        return report(what, error);
    if (error == ERROR_IO_PENDING)
        waited = WaitForSingleObject(op->hEvent, OPERATION_MS);
    if (waited != WAIT_OBJECT_0)
        CancelIo(pipe);
    if (GetOverlappedResult(pipe, op, bytes, TRUE))
        return DONE;
    error = GetLastError();
    if (waited == WAIT_OBJECT_0)
        return report(what, error);
    fprintf(stderr, "%s: no end within %d ms\n", what, OPERATION_MS);
    return TIMED_OUT;
}

static enum outcome send_bytes(struct connection *c, const void *data,
                               DWORD size)
{
    DWORD sent = 0;
    BOOL started = WriteFile(c->pipe, data, size, NULL, &c->write);
    enum outcome out = finish(c->pipe, &c->write, started, "write", &sent);

    return out == DONE && sent != size ? FAILED : out;
}

static enum outcome send_flag(struct connection *c, uint32_t flag)
{
    fprintf(stderr, "flag %lu\n", (unsigned long)flag);
    return send_bytes(c, &flag, sizeof flag);
}

static enum outcome receive_info(struct connection *c,
                                 struct client_server_info *info)
{
    DWORD got = 0;
    BOOL started = ReadFile(c->pipe, info, sizeof *info, NULL, &c->read);
    enum outcome out = finish(c->pipe, &c->read, started, "read", &got);

    if (out == DONE && got != sizeof *info) {
        fprintf(stderr, "read: %lu bytes\n", got);
        return BAD_REPLY;
    }
    return out;
}

static enum outcome ask(struct connection *c)
{
    struct client_server_info info;
    enum outcome out = send_flag(c, FLAG_ASK);

    if (out == DONE)
        out = receive_info(c, &info);
    if (out == DONE) {
        printf("iFage = %d\n", (int)info.iFage);
        fflush(stdout);
    }
    return out;
}

static enum outcome misbehave(struct connection *c, enum behaviour how)
{
    static const char three_bytes[3] = {FLAG_ASK, 0, 0};
    struct client_server_info info;
    enum outcome out;

    if (how == BAD_SIZE)
        out = send_bytes(c, three_bytes, sizeof three_bytes);
    else
        out = send_flag(c, how == BAD_FLAG ? FLAG_UNKNOWN : FLAG_ASK);
    if (out != DONE)
        return out;
    if (how == VANISH)
        TerminateProcess(GetCurrentProcess(), VANISHED);
    return receive_info(c, &info);
}

static enum outcome exchange(struct connection *c, const struct options *opt)
{
    enum outcome out = DONE;
    int i;

    for (i = 0; i < opt->asks && out == DONE; i++) {
        if (i > 0 && opt->pause_ms > 0)
            Sleep(opt->pause_ms);
        out = ask(c);
    }
    if (out == DONE && opt->behaviour != GOOD)
        return misbehave(c, opt->behaviour);
    return out == DONE ? send_flag(c, FLAG_END) : out;
}

static HANDLE open_existing(const char *name)
{
    return CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL,
                       OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
}

/* WaitNamedPipe says at once that a pipe is absent, and promises nothing: an
   instance that was free may be taken before it is opened. */
static enum outcome open_pipe(const struct options *opt, HANDLE *pipe)
{
    ULONGLONG end = GetTickCount64() + opt->wait_ms;
    DWORD error = ERROR_SUCCESS;

    do {
        if (error != ERROR_SUCCESS)
            Sleep(10);
        if (WaitNamedPipeA(opt->name, OPERATION_MS)) {
            *pipe = open_existing(opt->name);
            if (*pipe != INVALID_HANDLE_VALUE)
                return DONE;
        }
        error = GetLastError();
    } while (GetTickCount64() < end);
    return report("open", error);
}

static enum outcome talk(const struct options *opt)
{
    struct connection c;
    DWORD mode = PIPE_READMODE_MESSAGE;
    enum outcome out;

    memset(&c, 0, sizeof c);
    out = open_pipe(opt, &c.pipe);
    if (out != DONE)
        return out;
    c.read.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    c.write.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    if (c.read.hEvent == NULL || c.write.hEvent == NULL)
        out = report("event", GetLastError());
    else if (!SetNamedPipeHandleState(c.pipe, &mode, NULL, NULL))
        out = report("message mode", GetLastError());
    else
        out = exchange(&c, opt);
    if (c.read.hEvent != NULL)
        CloseHandle(c.read.hEvent);
    if (c.write.hEvent != NULL)
        CloseHandle(c.write.hEvent);
    CloseHandle(c.pipe);
    return out;
}

static int number(const char *text, long most, long *value)
{
    char *end;

    *value = strtol(text, &end, 10);
    return end != text && *end == '\0' && *value >= 0 && *value <= most;
}

/* How many words it took; 0 for what is no option. */
static int take_option(struct options *opt, const char *word, const char *value)
{
    long n;

    if (strcmp(word, "--bad-size") == 0) {
        opt->behaviour = BAD_SIZE;
        return 1;
    }
    if (strcmp(word, "--bad-flag") == 0) {
        opt->behaviour = BAD_FLAG;
        return 1;
    }
    if (strcmp(word, "--vanish") == 0) {
        opt->behaviour = VANISH;
        return 1;
    }
    if (value == NULL || !number(value, LONGEST_WAIT_MS, &n))
        return 0;
    if (strcmp(word, "--wait") == 0)
        opt->wait_ms = (DWORD)n;
    else if (strcmp(word, "--pause") == 0)
        opt->pause_ms = (DWORD)n;
    else
        return 0;
    return 2;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--wait MS] [--pause MS]\n"
            "       [--bad-size | --bad-flag | --vanish] [PIPE [ASKS]]\n",
            program);
    return USAGE;
}

int main(int argc, char **argv)
{
    struct options opt = {"\\\\.\\pipe\\ServerInfo", 1, GOOD, 0, 0};
    int i, used, place = 0;
    long n = 0;

    for (i = 1; i < argc; i += used) {
        used = 1;
        if (argv[i][0] == '-')
            used = take_option(&opt, argv[i], i + 1 < argc ? argv[i + 1] : 0);
        else if (place == 0)
            opt.name = argv[i];
        else if (place == 1 && number(argv[i], MOST_ASKS, &n))
            opt.asks = (int)n;
        else
            used = 0;
        if (used == 0)
            return usage(argv[0]);
        place += argv[i][0] != '-';
    }
    return (int)talk(&opt);
}
