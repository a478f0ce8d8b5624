/* SPDX-License-Identifier: MIT */
/*
 * The process between us and a program that we started. The kernel gives it
 * every orphan of the tree (PR_SET_CHILD_SUBREAPER), so what the tree is, is
 * known for sure, whatever sessions and groups its members have made; and when
 * we are killed, it sees the end of its socket and takes the tree along.
 *
 * It comes from a fork without exec, maybe of a program with threads: no
 * malloc, no stdio, and every descriptor of ours but its own is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system_linux.h"

#define KILL_AGAIN_MS 10 /* a tree that is being killed may still fork */
#define ABOVE_STREAMS 10

struct supervisor {
    int control, children; /* children: descriptor of the signals */
    pid_t program;
    bool ended; /* the program was waited for: its id is not its own any more */
    bool kills;
};

/* ---- The program ------------------------------------------------------- */

/* Out of the way of 0, 1 and 2. */
static int above_streams(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_STREAMS);
}

static void say(int report, enum ph_launch_step step, int error, pid_t pid)
{
    struct ph_launched launched = {.step = step, .error = error, .pid = pid};
    ssize_t put = write(report, &launched, sizeof launched);
    (void)put;
}

/* One that we did not have is not there in the program either. */
static void set_streams(const struct ph_launch *launch)
{
    int high[3];
    for (int i = 0; i < 3; i++)
        high[i] = above_streams(launch->streams[i]);
    for (int i = 0; i < 3; i++)
        if (high[i] >= 0)
            dup2(high[i], i);
}

static void run_program(const struct ph_launch *launch)
{
    const struct ph_process_options *options = launch->options;
    char *const *argv = (char *const *)(uintptr_t)options->argv;
    char *const *env = (char *const *)(uintptr_t)options->env;
    execvpe(launch->program, argv, env ? env : environ);
}

static _Noreturn void become_program(const struct ph_launch *launch, int report)
{
    const char *cwd = launch->options->cwd;
    enum ph_launch_step step = PH_LAUNCH_FOLDER;
    setpgid(0, 0);
    set_streams(launch);
    /* Files that a script has open are not marked by themselves. */
    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
    if (!cwd || chdir(cwd) == 0) {
        step = PH_LAUNCH_EXEC;
        sigprocmask(SIG_SETMASK, &launch->mask, NULL);
        run_program(launch);
    }
    say(report, step, errno, 0);
    _exit(127);
}

/* ---- The supervisor ---------------------------------------------------- */

/* Our descriptors, the report among them, would keep others waiting. */
static void close_others(int control)
{
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    if (control > 3)
        syscall(SYS_close_range, 3u, (unsigned)control - 1, 0);
    syscall(SYS_close_range, (unsigned)control + 1, ~0u, 0);
}

/* Kills the direct children. Those of theirs become ours when they are dead. */
static void kill_children(void)
{
    char text[4096];
    int file = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, text, sizeof text) : 0;
    pid_t pid = 0;
    for (ssize_t i = 0; i < got; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
            continue;
        }
        if (pid > 0) /* each number is followed by a space */
            kill(pid, SIGKILL);
        pid = 0;
    }
    if (file >= 0)
        close(file);
}

static void kill_tree(struct supervisor *s)
{
    if (!s->ended) {
        kill(-s->program, SIGKILL);
        kill(s->program, SIGKILL);
    }
    kill_children();
}

static void tell_end(struct supervisor *s, int status)
{
    bool killed = WIFSIGNALED(status);
    struct ph_exit how = {
        .code = killed ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
        .signal = killed ? WTERMSIG(status) : 0,
    };
    s->ended = true;
    send(s->control, &how, sizeof how, MSG_NOSIGNAL);
}

/* Takes in all that has ended. Nothing is left: neither are we. */
static void reap(struct supervisor *s)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == s->program && !s->ended)
            tell_end(s, status);
        if (pid < 0 && errno == ECHILD)
            _exit(0);
        if (pid <= 0)
            return;
    }
}

static void drop_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->children, &info, sizeof info) > 0)
        continue;
}

static _Noreturn void watch_tree(struct supervisor *s)
{
    struct pollfd events[] = {{.fd = s->children, .events = POLLIN},
                              {.fd = s->control, .events = POLLIN}};
    for (;;) {
        poll(events, s->kills ? 1 : 2, s->kills ? KILL_AGAIN_MS : -1);
        drop_signals(s);
        if (!s->kills && events[1].revents)
            s->kills = true;
        if (s->kills)
            kill_tree(s);
        reap(s);
    }
}

static int child_signals(void)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

_Noreturn void ph_supervise(const struct ph_launch *launch)
{
    struct supervisor s = {.control = above_streams(launch->control)};
    int report = above_streams(launch->report);
    int error;
    /* No terminal: a Ctrl-C is ours, and what stops us does not stop it. */
    setsid();
    prctl(PR_SET_NAME, "pipehost-tree");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGCHLD, SIG_DFL); /* ignored, no child can be waited for */
    s.program = s.control >= 0 ? fork() : -1;
    error = errno;
    if (s.program == 0)
        become_program(launch, report);
    say(report, PH_LAUNCH_FORK, s.program < 0 ? error : 0, s.program);
    if (s.program < 0)
        _exit(1);
    close_others(s.control);
    s.children = child_signals();
    watch_tree(&s);
}
