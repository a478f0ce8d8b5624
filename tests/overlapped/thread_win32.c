/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdlib.h>
#include <windows.h>

const bool has_named_pipes = true;

struct thread {
    HANDLE handle;
    void (*run)(void *user);
    void *user;
};

static DWORD WINAPI enter(void *argument)
{
    struct thread *thread = argument;
    thread->run(thread->user);
    return 0;
}

struct thread *thread_start(void (*run)(void *user), void *user)
{
    struct thread *thread = malloc(sizeof *thread);
    if (!thread)
        return NULL;
    thread->run = run;
    thread->user = user;
    thread->handle = CreateThread(NULL, 0, enter, thread, 0, NULL);
    if (thread->handle)
        return thread;
    free(thread);
    return NULL;
}

void thread_join(struct thread *thread)
{
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    free(thread);
}
