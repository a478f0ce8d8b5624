/* SPDX-License-Identifier: MIT */
/*
 * A child process in a job of its own. The job takes in all that the program
 * starts, and ends it when its last handle is closed, which is ours: however we
 * end, the tree ends. Messages of the job to the port may be lost, so the end
 * of the program is waited for, and that of the rest of its tree looked for.
 */
#include "system_win32.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define KILLED          137 /* the exit status of what was killed: as on Linux */
#define LOOK_US         1000
#define LOOK_LONGEST_US 50000
#define STREAM_BUFFER   65536

struct win_process {
    struct ph_process base;
    HANDLE job, process, wait;
    struct ph_post post;  /* the program's end, from the system's thread */
    struct ph_timer look; /* for the end of its tree */
    int64_t pause;
};

static struct win_process *win_process(struct ph_process *process)
{
    return ph_container_of(process, struct win_process, base);
}

static void arrived(struct ph_post *post);
static void look(struct ph_timer *timer);

struct ph_process *ph_backend_process_alloc(void)
{
    struct win_process *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->post.arrive = arrived;
    w->look.fire = look;
    return &w->base;
}

void ph_backend_process_free(struct ph_process *process)
{
    struct win_process *w = win_process(process);
    assert(!w->look.link);
    if (w->wait)
        UnregisterWaitEx(w->wait, INVALID_HANDLE_VALUE);
    if (w->process)
        CloseHandle(w->process);
    if (w->job)
        CloseHandle(w->job);
    free(w);
}

/* ---- Life --------------------------------------------------------------- */

/* In a thread of the system. */
static void CALLBACK program_ended(PVOID user, BOOLEAN timed_out)
{
    struct win_process *w = user;
    (void)timed_out;
    ph_port_post(w->base.port, &w->post);
}

static void arrived(struct ph_post *post)
{
    struct win_process *w = ph_container_of(post, struct win_process, post);
    struct ph_exit how = {.code = -1};
    DWORD code;
    if (GetExitCodeProcess(w->process, &code))
        how.code = (int64_t)code;
    ph_process_has_ended(&w->base, how);
    look(&w->look);
}

static bool tree_runs(const struct win_process *w)
{
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION counts;
    return QueryInformationJobObject(w->job,
                                     JobObjectBasicAccountingInformation,
                                     &counts, sizeof counts, NULL) &&
           counts.ActiveProcesses > 0;
}

static void look_later(struct win_process *w)
{
    struct ph_port *port = w->base.port;
    w->pause = w->pause ? w->pause * 2 : LOOK_US;
    if (w->pause > LOOK_LONGEST_US)
        w->pause = LOOK_LONGEST_US;
    ph_timer_start(port, &w->look, port->now + w->pause);
}

static void look(struct ph_timer *timer)
{
    struct win_process *w = ph_container_of(timer, struct win_process, look);
    if (!w->base.ended.set)
        return;                         /* its end will look again */
    ph_timer_stop(w->base.port, timer); /* this look may come before it */
    if (tree_runs(w))
        look_later(w);
    else
        ph_process_has_gone(&w->base);
}

void ph_backend_process_kill(struct ph_process *process)
{
    struct win_process *w = win_process(process);
    TerminateJobObject(w->job, KILLED);
    w->pause = 0;
    look_later(w);
}

/* ---- Streams ------------------------------------------------------------ */

/* What the program gets; each may be there twice. */
struct streams {
    HANDLE theirs[3];
    HANDLE list[3]; /* the same, each once */
    DWORD count;
};

static void close_streams(struct streams *streams)
{
    for (DWORD i = 0; i < streams->count; i++)
        CloseHandle(streams->list[i]);
}

static void add_stream(struct streams *streams, int stream, HANDLE handle)
{
    streams->theirs[stream] = handle;
    streams->list[streams->count++] = handle;
}

static SECURITY_ATTRIBUTES inherited(void)
{
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes,
                                      .bInheritHandle = TRUE};
    return attributes;
}

static HANDLE open_null(void)
{
    SECURITY_ATTRIBUTES attributes = inherited();
    return CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE,
                       FILE_SHARE_READ | FILE_SHARE_WRITE, &attributes,
                       OPEN_EXISTING, 0, NULL);
}

/* Ours, or NUL when we have none. */
static HANDLE own_stream(int stream)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
                                  STD_ERROR_HANDLE};
    HANDLE self = GetCurrentProcess(), own = GetStdHandle(names[stream]), copy;
    if (own && own != INVALID_HANDLE_VALUE &&
        DuplicateHandle(self, own, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS))
        return copy;
    return open_null();
}

/* Two pipes of one name cannot be: the first instance flag sees to it. */
static void name_stream(const struct win_process *w, int stream, wchar_t *name,
                        size_t size)
{
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    swprintf(name, size, L"\\\\.\\pipe\\pipehost-stdio-%lu-%llx-%llx-%d",
             GetCurrentProcessId(), (unsigned long long)(uintptr_t)w,
             (unsigned long long)ticks.QuadPart, stream);
}

static HANDLE create_ours(struct win_process *w, int stream,
                          const wchar_t *name, DWORD *error)
{
    const struct ph_create_options options = {.access = PH_ACCESS_ME};
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes};
    DWORD way = stream == 0 ? PIPE_ACCESS_OUTBOUND : PIPE_ACCESS_INBOUND;
    long os = ERROR_NOT_ENOUGH_MEMORY;
    const char *why;
    HANDLE handle;
    *error = ERROR_SUCCESS;
    if (ph_win_descriptor(win_port(w->base.port), &options,
                          &attributes.lpSecurityDescriptor, &os,
                          &why) != PH_OK) {
        *error = (DWORD)os;
        return INVALID_HANDLE_VALUE;
    }
    handle = CreateNamedPipeW(
        name, way | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
        PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, STREAM_BUFFER,
        STREAM_BUFFER, 0, &attributes);
    if (handle == INVALID_HANDLE_VALUE)
        *error = GetLastError();
    LocalFree(attributes.lpSecurityDescriptor);
    return handle;
}

/* Programs read and write their streams without overlapping. */
static HANDLE open_theirs(int stream, const wchar_t *name, DWORD *error)
{
    SECURITY_ATTRIBUTES attributes = inherited();
    DWORD way = stream == 0 ? GENERIC_READ | FILE_WRITE_ATTRIBUTES
                            : GENERIC_WRITE | FILE_READ_ATTRIBUTES;
    HANDLE handle =
        CreateFileW(name, way, 0, &attributes, OPEN_EXISTING, 0, NULL);
    *error = handle == INVALID_HANDLE_VALUE ? GetLastError() : ERROR_SUCCESS;
    return handle;
}

static DWORD open_pipe(struct win_process *w, int stream,
                       struct streams *streams)
{
    wchar_t name[128];
    HANDLE ours, theirs = INVALID_HANDLE_VALUE;
    bool skips = false;
    DWORD error;
    name_stream(w, stream, name, ph_countof(name));
    ours = create_ours(w, stream, name, &error);
    if (error == ERROR_SUCCESS)
        theirs = open_theirs(stream, name, &error);
    if (error == ERROR_SUCCESS)
        error = ph_win_attach(w->base.port, ours, &skips);
    if (error == ERROR_SUCCESS) {
        ph_win_pipe_take(w->base.stdio[stream], ours, skips);
        add_stream(streams, stream, theirs);
        return ERROR_SUCCESS;
    }
    if (theirs != INVALID_HANDLE_VALUE)
        CloseHandle(theirs);
    if (ours != INVALID_HANDLE_VALUE)
        CloseHandle(ours);
    return error;
}

static DWORD open_stream(struct win_process *w, int stream, enum ph_stdio kind,
                         struct streams *streams)
{
    HANDLE handle;
    if (kind == PH_STDIO_PIPE)
        return open_pipe(w, stream, streams);
    if (kind == PH_STDIO_STDOUT) {
        streams->theirs[stream] = streams->theirs[1];
        return ERROR_SUCCESS;
    }
    handle = kind == PH_STDIO_NULL ? open_null() : own_stream(stream);
    if (handle == INVALID_HANDLE_VALUE)
        return GetLastError();
    add_stream(streams, stream, handle);
    return ERROR_SUCCESS;
}

/* ---- Start -------------------------------------------------------------- */

/* The rest of a start, each part NULL until it is there. */
struct start {
    wchar_t *line, *env, *cwd;
    LPPROC_THREAD_ATTRIBUTE_LIST attributes;
    bool listed; /* attributes is initialised */
    struct streams streams;
    PROCESS_INFORMATION made;
};

static void end_start(struct start *start)
{
    if (start->listed)
        DeleteProcThreadAttributeList(start->attributes);
    free(start->attributes);
    free(start->line);
    free(start->env);
    free(start->cwd);
    close_streams(&start->streams);
    if (start->made.hThread)
        CloseHandle(start->made.hThread);
}

/* Only these handles go to the program, whatever else of ours is inheritable.
 */
static DWORD list_handles(struct start *start)
{
    struct streams *streams = &start->streams;
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(NULL, 1, 0, &size);
    start->attributes = malloc(size);
    if (!start->attributes)
        return ERROR_NOT_ENOUGH_MEMORY;
    if (!InitializeProcThreadAttributeList(start->attributes, 1, 0, &size))
        return GetLastError();
    start->listed = true;
    if (!UpdateProcThreadAttribute(
            start->attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
            streams->list, streams->count * sizeof *streams->list, NULL, NULL))
        return GetLastError();
    return ERROR_SUCCESS;
}

static DWORD prepare(struct win_process *w, struct start *start,
                     const struct ph_process_options *options)
{
    DWORD error = ERROR_SUCCESS;
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    start->line = ph_win_command_line(options->argv);
    if (options->env)
        start->env = ph_win_environment(options->env);
    if (options->cwd)
        start->cwd = ph_win_wide(options->cwd);
    if (!start->line || (options->env && !start->env) ||
        (options->cwd && !start->cwd))
        return GetLastError();
    for (int i = 0; i < 3 && error == ERROR_SUCCESS; i++)
        error = open_stream(w, i, options->stdio[i], &start->streams);
    return error == ERROR_SUCCESS ? list_handles(start) : error;
}

static DWORD make_job(struct win_process *w)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE};
    w->job = CreateJobObjectW(NULL, NULL);
    if (!w->job ||
        !SetInformationJobObject(w->job, JobObjectExtendedLimitInformation,
                                 &limits, sizeof limits))
        return GetLastError();
    return ERROR_SUCCESS;
}

static DWORD create(struct start *start)
{
    STARTUPINFOEXW info = {
        .StartupInfo = {.cb = sizeof info,
                        .dwFlags = STARTF_USESTDHANDLES,
                        .hStdInput = start->streams.theirs[0],
                        .hStdOutput = start->streams.theirs[1],
                        .hStdError = start->streams.theirs[2]},
        .lpAttributeList = start->attributes};
    DWORD flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT |
                  CREATE_NEW_PROCESS_GROUP | EXTENDED_STARTUPINFO_PRESENT;
    if (!CreateProcessW(NULL, start->line, NULL, NULL, TRUE, flags, start->env,
                        start->cwd, &info.StartupInfo, &start->made))
        return GetLastError();
    return ERROR_SUCCESS;
}

/* It has not run yet: nothing of it is outside of the job. Its end is watched
 * last: what follows a failure must not find a note of it on its way. */
static DWORD let_run(struct win_process *w, struct start *start)
{
    DWORD error = ERROR_SUCCESS;
    w->process = start->made.hProcess;
    if (!AssignProcessToJobObject(w->job, w->process) ||
        ResumeThread(start->made.hThread) == (DWORD)-1 ||
        !RegisterWaitForSingleObject(&w->wait, w->process, program_ended, w,
                                     INFINITE, WT_EXECUTEONLYONCE))
        error = GetLastError();
    if (error != ERROR_SUCCESS)
        TerminateProcess(w->process, KILLED);
    return error;
}

static enum ph_status failed(DWORD error, long *os, const char **why)
{
    *os = (long)error;
    if (error == ERROR_DIRECTORY) {
        *why = "its folder can't be entered";
        return PH_ABSENT;
    }
    if (error == ERROR_NO_UNICODE_TRANSLATION) {
        *why = "its arguments, environment and folder are UTF-8";
        return PH_MISUSE;
    }
    if (error == ERROR_BAD_PATHNAME || error == ERROR_INVALID_NAME)
        return PH_ABSENT;
    return ph_win_status(error);
}

static void give_streams_back(struct win_process *w)
{
    for (int i = 0; i < 3; i++)
        if (w->base.stdio[i] && w->base.stdio[i]->attached)
            ph_backend_close(w->base.stdio[i]);
}

enum ph_status
ph_backend_process_start(struct ph_process *process,
                         const struct ph_process_options *options, long *os,
                         const char **why)
{
    struct win_process *w = win_process(process);
    struct start start = {0};
    DWORD error;
    *why = ph_win_refuses_program(options->argv[0]);
    if (*why)
        return PH_MISUSE;
    error = prepare(w, &start, options);
    if (error == ERROR_SUCCESS)
        error = make_job(w);
    if (error == ERROR_SUCCESS)
        error = create(&start);
    if (error == ERROR_SUCCESS)
        error = let_run(w, &start);
    process->pid = start.made.dwProcessId;
    end_start(&start);
    if (error == ERROR_SUCCESS)
        return PH_OK;
    give_streams_back(w);
    return failed(error, os, why);
}
