/* SPDX-License-Identifier: MIT */
/*
 * The server's part of the ServerInfo exchange on the Win32 API alone, in the
 * manner of the programs that pipehost has to get on with: one instance, one
 * client after the other, each operation started overlapped and waited for.
 *
 * Prints "listening" and then a line for each event, all on stdout.
 */
#include <windows.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_ASK = 1, FLAG_END = 2 };
enum { OPERATION_MS = 3000, CONNECT_MS = 30000, BUFFER_SIZE = 4096 };
enum { MOST_CLIENTS = 100000, MOST_ASKS = 1000000 };

/* The exit status. */
enum outcome {
    DONE = 0,
    FAILED = 1, /* the system refused something */
    USAGE = 2,
    CLOSED = 4,    /* inside only: the client has gone */
    TIMED_OUT = 5, /* no client came */
    VANISHED = 9   /* --vanish: ended in the middle, as asked */
};

enum behaviour { GOOD, BAD_SIZE, SILENT, VANISH };

struct client_server_info {
    int32_t iFage;
};

struct options {
    const char *name;
    int clients;
    int32_t value;
    enum behaviour behaviour;
};

/* One operation at a time; op is its OVERLAPPED. */
struct instance {
    HANDLE pipe;
    OVERLAPPED op;
};

static void say(const char *event)
{
    printf("%s\n", event);
    fflush(stdout);
}

static enum outcome report(const char *what, DWORD error)
{
    if (error == ERROR_BROKEN_PIPE || error == ERROR_NO_DATA ||
        error == ERROR_PIPE_NOT_CONNECTED) {
        say("closed by the client");
        return CLOSED;
    }
    printf("%s: error %lu\n", what, error);
    fflush(stdout);
    return FAILED;
}

/* Ends an operation that was started with this result, within ms. */
static enum outcome finish(struct instance *in, BOOL started, const char *what,
                           DWORD ms, DWORD *bytes)
{
    DWORD error = started ? ERROR_SUCCESS : GetLastError();
    DWORD waited = WAIT_OBJECT_0;

    /* After an immediate failure nothing sets the event. */
    if (error != ERROR_SUCCESS && error != ERROR_IO_PENDING)
        return report(what, error);
    if (error == ERROR_IO_PENDING)
        waited = WaitForSingleObject(in->op.hEvent, ms);
    if (waited != WAIT_OBJECT_0)
        CancelIo(in->pipe);
    if (GetOverlappedResult(in->pipe, &in->op, bytes, TRUE))
        return DONE;
    error = GetLastError();
    if (waited == WAIT_OBJECT_0)
        return report(what, error);
    printf("%s: no end within %lu ms\n", what, ms);
    fflush(stdout);
    return TIMED_OUT;
}

static enum outcome accept_client(struct instance *in)
{
    DWORD none = 0;
    BOOL started = ConnectNamedPipe(in->pipe, &in->op);
    DWORD error = started ? ERROR_SUCCESS : GetLastError();
    enum outcome out = DONE;

    /* A client that came first, or came and went, is a client. */
    if (error != ERROR_PIPE_CONNECTED && error != ERROR_NO_DATA) {
        SetLastError(error);
        out = finish(in, started, "connect", CONNECT_MS, &none);
    }
    if (out == DONE)
        say("connected");
    return out;
}

static enum outcome answer(struct instance *in, const struct options *opt)
{
    struct client_server_info info;
    DWORD size = sizeof info, sent = 0;
    enum outcome out;
    BOOL started;

    if (opt->behaviour == VANISH)
        TerminateProcess(GetCurrentProcess(), VANISHED);
    if (opt->behaviour == SILENT)
        return DONE;
    if (opt->behaviour == BAD_SIZE)
        size--;
    info.iFage = opt->value;
    started = WriteFile(in->pipe, &info, size, NULL, &in->op);
    out = finish(in, started, "write", OPERATION_MS, &sent);
    if (out == DONE)
        say("answered");
    return out;
}

/* Until END, the end of the connection, or something that is no flag. */
static enum outcome serve(struct instance *in, const struct options *opt)
{
    enum outcome out = DONE;
    uint32_t flag;
    DWORD got;
    BOOL started;
    int i;

    for (i = 0; i < MOST_ASKS && out == DONE; i++) {
        flag = 0;
        got = 0;
        started = ReadFile(in->pipe, &flag, sizeof flag, NULL, &in->op);
        out = finish(in, started, "read", OPERATION_MS, &got);
        if (out != DONE)
            return out;
        if (got == sizeof flag && flag == FLAG_END) {
            say("end");
            return DONE;
        }
        if (got != sizeof flag || flag != FLAG_ASK) {
            say("no flag of ours");
            return FAILED;
        }
        say("asked");
        out = answer(in, opt);
    }
    return out;
}

static enum outcome serve_clients(struct instance *in,
                                  const struct options *opt)
{
    enum outcome out;
    int i;

    for (i = 0; i < opt->clients; i++) {
        out = accept_client(in);
        if (out != DONE)
            return out;
        serve(in, opt);
        DisconnectNamedPipe(in->pipe);
        say("disconnected");
    }
    return DONE;
}

static HANDLE create_pipe(const char *name)
{
    return CreateNamedPipeA(
        name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
        PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT,
        PIPE_UNLIMITED_INSTANCES, BUFFER_SIZE, BUFFER_SIZE, OPERATION_MS, NULL);
}

static enum outcome run(const struct options *opt)
{
    struct instance in;
    enum outcome out;

    memset(&in, 0, sizeof in);
    in.pipe = create_pipe(opt->name);
    if (in.pipe == INVALID_HANDLE_VALUE)
        return report("create", GetLastError());
    in.op.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    if (in.op.hEvent == NULL) {
        out = report("event", GetLastError());
    } else {
        say("listening");
        out = serve_clients(&in, opt);
        CloseHandle(in.op.hEvent);
    }
    CloseHandle(in.pipe);
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
    if (strcmp(word, "--silent") == 0) {
        opt->behaviour = SILENT;
        return 1;
    }
    if (strcmp(word, "--vanish") == 0) {
        opt->behaviour = VANISH;
        return 1;
    }
    if (strcmp(word, "--value") != 0 || value == NULL ||
        !number(value, INT32_MAX, &n))
        return 0;
    opt->value = (int32_t)n;
    return 2;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--value N] [--bad-size | --silent | --vanish]\n"
            "       [PIPE [CLIENTS]]\n",
            program);
    return USAGE;
}

int main(int argc, char **argv)
{
    struct options opt = {"\\\\.\\pipe\\ServerInfo", 1, 3, GOOD};
    int i, used, place = 0;
    long n = 0;

    for (i = 1; i < argc; i += used) {
        used = 1;
        if (argv[i][0] == '-')
            used = take_option(&opt, argv[i], i + 1 < argc ? argv[i + 1] : 0);
        else if (place == 0)
            opt.name = argv[i];
        else if (place == 1 && number(argv[i], MOST_CLIENTS, &n))
            opt.clients = (int)n;
        else
            used = 0;
        if (used == 0)
            return usage(argv[0]);
        place += argv[i][0] != '-';
    }
    return (int)run(&opt);
}
