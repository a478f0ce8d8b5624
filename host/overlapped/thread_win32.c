/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <stdlib.h>
#include <windows.h>

struct ph_thread {
    HANDLE handle;
    void (*run)(void *user);
    void *user;
};

struct ph_lock {
    CRITICAL_SECTION section; /* its thread may enter it again */
};

static DWORD WINAPI begin(void *argument)
{
    struct ph_thread *thread = argument;
    thread->run(thread->user);
    return 0;
}

enum ph_status ph_thread_start(struct ph_thread **out, void (*run)(void *user),
                               void *user)
{
    struct ph_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return PH_NOMEM;
    thread->run = run;
    thread->user = user;
    thread->handle = CreateThread(NULL, 0, begin, thread, 0, NULL);
    if (!thread->handle) {
        free(thread);
        return PH_SYSTEM;
    }
    *out = thread;
    return PH_OK;
}

void ph_thread_join(struct ph_thread *thread)
{
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    free(thread);
}

struct ph_lock *ph_lock_new(void)
{
    struct ph_lock *lock = malloc(sizeof *lock);
    if (lock)
        InitializeCriticalSection(&lock->section);
    return lock;
}

void ph_lock_free(struct ph_lock *lock)
{
    if (lock)
        DeleteCriticalSection(&lock->section);
    free(lock);
}

void ph_lock_enter(struct ph_lock *lock)
{
    EnterCriticalSection(&lock->section);
}

void ph_lock_leave(struct ph_lock *lock)
{
    LeaveCriticalSection(&lock->section);
}
