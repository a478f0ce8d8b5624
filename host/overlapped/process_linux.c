/* SPDX-License-Identifier: MIT */
/* Our side of a child process; supervisor_linux.c is the other. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operation.h"
#include "system_linux.h"

static struct linux_process *linux_process_of(struct ph_process *process)
{
    return ph_container_of(process, struct linux_process, base);
}

struct ph_process *ph_backend_process_alloc(void)
{
    struct linux_process *process = calloc(1, sizeof *process);
    return process ? &process->base : NULL;
}

void ph_backend_process_free(struct ph_process *process)
{
    assert(!linux_process_of(process)->control.armed);
    free(linux_process_of(process));
}

/* ---- Descriptors ------------------------------------------------------- */

/* All those of one start; what is -1 is not open. */
struct ends {
    int ours[3], theirs[3]; /* theirs also where ours is -1 */
    int control[2], report[2];
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_ends(struct ends *ends)
{
    int *all[] = {&ends->ours[0],    &ends->ours[1],    &ends->ours[2],
                  &ends->theirs[0],  &ends->theirs[1],  &ends->theirs[2],
                  &ends->control[0], &ends->control[1], &ends->report[0],
                  &ends->report[1]};
    for (size_t i = 0; i < ph_countof(all); i++)
        close_end(all[i]);
}

/* A pipe of the kernel, not a socket: a program may open /dev/stdout anew. */
static bool open_pipe(struct ends *ends, int stream)
{
    int both[2];
    bool input = stream == 0;
    if (pipe2(both, O_CLOEXEC) != 0)
        return false;
    ends->ours[stream] = both[input];
    ends->theirs[stream] = both[!input];
    return fcntl(ends->ours[stream], F_SETFL, O_NONBLOCK) == 0;
}

static bool open_stream(struct ends *ends, int stream, enum ph_stdio kind)
{
    switch (kind) {
    case PH_STDIO_PIPE:
        return open_pipe(ends, stream);
    case PH_STDIO_NULL:
        ends->theirs[stream] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return ends->theirs[stream] >= 0;
    default:
        return true;
    }
}

static bool open_ends(struct ends *ends,
                      const struct ph_process_options *options)
{
    for (int i = 0; i < 3; i++)
        if (!open_stream(ends, i, options->stdio[i]))
            return false;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
                      ends->control) == 0 &&
           pipe2(ends->report, O_CLOEXEC) == 0;
}

/* ---- Start ------------------------------------------------------------- */

static void nothing(int number)
{
    (void)number;
}

/* Writes to a program that is gone: send has a flag for that, write has not. */
static void survive_sigpipe(void)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(SIGPIPE, &action, NULL);
}

/* A relative path counts from our folder, not from the program's. False: too
 * long. */
static bool find_program(const char *name, const char *cwd, char *path)
{
    size_t used = 0;
    int size;
    if (cwd && name[0] != '/' && strchr(name, '/')) {
        if (!getcwd(path, PATH_MAX - 1))
            return false;
        used = strlen(path);
        path[used++] = '/';
    }
    size = snprintf(path + used, PATH_MAX - used, "%s", name);
    return size >= 0 && (size_t)size < PATH_MAX - used;
}

static void fill_launch(struct ph_launch *launch, const struct ends *ends,
                        const struct ph_process_options *options)
{
    launch->options = options;
    launch->control = ends->control[1];
    launch->report = ends->report[1];
    for (int i = 0; i < 3; i++)
        launch->streams[i] =
            options->stdio[i] == PH_STDIO_INHERIT ? i : ends->theirs[i];
    if (options->stdio[2] == PH_STDIO_STDOUT)
        launch->streams[2] = launch->streams[1];
}

/* No signal meanwhile: its handler is ours, and would run in the child. */
static pid_t fork_supervisor(struct ph_launch *launch)
{
    sigset_t all;
    pid_t pid;
    int error;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &launch->mask);
    pid = fork();
    if (pid == 0)
        ph_supervise(launch);
    error = errno;
    sigprocmask(SIG_SETMASK, &launch->mask, NULL);
    errno = error;
    return pid;
}

/* Reads until the program runs, when its copy of the descriptor is closed. The
 * two who write there do so in any order. */
static struct ph_launched hear(int report)
{
    struct ph_launched heard, all = {.error = ECHILD};
    bool failed = false;
    for (;;) {
        ssize_t got = read(report, &heard, sizeof heard);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof heard)
            return all;
        if (heard.step == PH_LAUNCH_FORK)
            all.pid = heard.pid;
        if (heard.error || !failed) {
            all.step = heard.step;
            all.error = heard.error;
        }
        failed |= heard.error != 0;
    }
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static enum ph_status failed(const struct ph_launched *launched, long *os,
                             const char **why)
{
    static const char *const steps[] = {
        [PH_LAUNCH_FORK] = NULL,
        [PH_LAUNCH_FOLDER] = "its folder can't be entered",
        [PH_LAUNCH_EXEC] = NULL,
    };
    *os = launched->error;
    *why = steps[launched->step];
    if (launched->error == EAGAIN)
        return PH_SYSTEM; /* the limit of processes; no pipe is busy */
    return ph_status_of_errno(launched->error);
}

static void control_ready(struct watch *watch, uint32_t events);

static enum ph_status attach(struct linux_process *process, struct ends *ends,
                             long *os)
{
    process->control =
        (struct watch){.fd = ends->control[0], .ready = control_ready};
    if (ph_watch_arm(process->base.port, &process->control, EPOLLIN) != PH_OK) {
        *os = errno;
        return PH_SYSTEM;
    }
    ends->control[0] = -1;
    for (int i = 0; i < 3; i++) {
        if (ends->ours[i] < 0)
            continue;
        ph_pipe_attach(process->base.stdio[i], ends->ours[i]);
        ends->ours[i] = -1;
    }
    return PH_OK;
}

static enum ph_status launch_program(struct linux_process *process,
                                     const struct ph_process_options *options,
                                     struct ends *ends, long *os,
                                     const char **why)
{
    char program[PATH_MAX];
    struct ph_launch launch = {.program = program};
    struct ph_launched launched;
    enum ph_status status;
    if (!find_program(options->argv[0], options->cwd, program)) {
        *os = ENAMETOOLONG;
        return PH_ABSENT;
    }
    fill_launch(&launch, ends, options);
    process->supervisor = fork_supervisor(&launch);
    if (process->supervisor < 0) {
        *os = errno;
        return *os == ENOMEM ? PH_NOMEM : PH_SYSTEM;
    }
    close_end(&ends->report[1]);
    close_end(&ends->control[1]);
    launched = hear(ends->report[0]);
    process->base.pid = (uint32_t)launched.pid;
    status =
        launched.error ? failed(&launched, os, why) : attach(process, ends, os);
    if (status == PH_OK)
        return PH_OK;
    close_end(&ends->control[0]); /* ends what may run */
    wait_for(process->supervisor);
    return status;
}

enum ph_status
ph_backend_process_start(struct ph_process *base,
                         const struct ph_process_options *options, long *os,
                         const char **why)
{
    struct ends ends = {{-1, -1, -1}, {-1, -1, -1}, {-1, -1}, {-1, -1}};
    enum ph_status status;
    survive_sigpipe();
    if (open_ends(&ends, options)) {
        status =
            launch_program(linux_process_of(base), options, &ends, os, why);
    } else {
        *os = errno;
        status = PH_SYSTEM;
    }
    close_ends(&ends);
    return status;
}

/* ---- Environment ------------------------------------------------------- */

char **ph_backend_environment(void)
{
    size_t count = 0;
    char **copy;
    while (environ && environ[count])
        count++;
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = ph_strdup(environ[i]);
        if (!copy[i]) {
            ph_environment_free(copy);
            return NULL;
        }
    }
    return copy;
}

bool ph_backend_same_variable(const char *a, const char *b)
{
    size_t len = strcspn(a, "=");
    return len == strcspn(b, "=") && memcmp(a, b, len) == 0;
}

/* ---- Life -------------------------------------------------------------- */

static void control_ended(struct linux_process *process)
{
    struct ph_process *base = &process->base;
    const struct ph_exit unknown = {.code = -1};
    ph_watch_arm(base->port, &process->control, 0);
    close(process->control.fd);
    /* It is on its way out: its descriptors go shortly before itself. */
    wait_for(process->supervisor);
    if (!base->ended.set)
        ph_process_has_ended(base, unknown);
    ph_process_has_gone(base);
}

static void control_ready(struct watch *watch, uint32_t events)
{
    struct linux_process *process =
        ph_container_of(watch, struct linux_process, control);
    struct ph_exit how;
    ssize_t got;
    (void)events;
    /* Whoever closes with a kill unread resets us, which a packet socket tells
     * before its last packet, once. */
    do {
        got = recv(watch->fd, &how, sizeof how, MSG_DONTWAIT);
    } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got == (ssize_t)sizeof how)
        ph_process_has_ended(&process->base, how);
    else if (got == 0 || errno != EAGAIN)
        control_ended(process);
}

void ph_backend_process_kill(struct ph_process *base)
{
    send(linux_process_of(base)->control.fd, "k", 1,
         MSG_NOSIGNAL | MSG_DONTWAIT);
}
