/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const long long child_crash_code = 128 + SIGABRT;

void child_crash(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL);
    abort();
}

bool child_leave_orphan(const char *program)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (fork() == 0) {
            execl(program, program, "sleep", (char *)NULL);
            _exit(1);
        }
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool child_kill_watcher(void)
{
    return kill(getppid(), SIGKILL) == 0;
}

void child_sleep_ms(int ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

void child_streams_binary(void)
{
}

char **child_arguments(int argc, char **argv)
{
    (void)argc;
    return argv;
}

const char *child_variable(const char *name)
{
    return getenv(name);
}
