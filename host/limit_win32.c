/* SPDX-License-Identifier: MIT */
/* The tick on Windows: a helper thread, which suspends the loop's thread while
 * it sets the hook. It takes no lock meanwhile: the suspended one may hold any
 * of the heap's or the loader's. It sleeps when no Lua has run for a while, and
 * not after each message: to wake it again is a system call in the path of the
 * next one, and gives it a processor just then. */
#include <stdlib.h>
#include <windows.h>

#include "limit.h"

#define AWAKE_TICKS 100 /* without any Lua before it sleeps */

struct system {
    HANDLE loop, helper;
    HANDLE wake, end; /* events */
    volatile LONG asleep;
};

static ULONGLONG number_of(FILETIME time)
{
    return (ULONGLONG)time.dwHighDateTime << 32 | time.dwLowDateTime;
}

/* In ms. */
static int64_t cpu_time(HANDLE thread)
{
    FILETIME created, ended, kernel, user;
    if (!GetThreadTimes(thread, &created, &ended, &kernel, &user))
        return 0;
    return (int64_t)(number_of(kernel) + number_of(user)) / 10000;
}

int64_t ph_ticker_clock(void)
{
    return cpu_time(GetCurrentThread());
}

static void tick(struct ph_ticker *ticker, unsigned slice, int used_ms)
{
    struct system *system = ticker->system;
    CONTEXT context = {.ContextFlags = CONTEXT_CONTROL};
    if (ticker->slice == slice)
        ticker->used_ms = used_ms;
    if (used_ms < ticker->due_ms)
        return;
    if (SuspendThread(system->loop) == (DWORD)-1)
        return;
    /* Only this waits until the thread really stands still. */
    if (GetThreadContext(system->loop, &context) && ticker->slice == slice)
        ph_ticker_tick(ticker, used_ms);
    ResumeThread(system->loop);
}

/* Until Lua runs. False: the end. */
static bool sleep_until_needed(struct ph_ticker *ticker, unsigned slice)
{
    struct system *system = ticker->system;
    HANDLE events[] = {system->end, system->wake};
    InterlockedExchange(&system->asleep, 1);
    /* A slice that began before the flag was seen sets no event. */
    if (ticker->slice == slice &&
        WaitForMultipleObjects(2, events, FALSE, INFINITE) == WAIT_OBJECT_0)
        return false;
    InterlockedExchange(&system->asleep, 0);
    return true;
}

/* How many ticks no Lua has run for. `running` is read first: what begins after
 * that changes the slice. */
static int idle_ticks(const struct ph_ticker *ticker, unsigned *seen, int idle)
{
    bool runs = ticker->running != NULL;
    MemoryBarrier();
    unsigned slice = ticker->slice;
    idle = runs || slice != *seen ? 0 : idle + 1;
    *seen = slice;
    return idle;
}

static DWORD WINAPI run(void *parameter)
{
    struct ph_ticker *ticker = parameter;
    struct system *system = ticker->system;
    unsigned slice = ticker->slice; /* whose `start` is known */
    unsigned seen = slice;
    int64_t start = 0;
    int idle = AWAKE_TICKS;
    for (;;) {
        idle = idle_ticks(ticker, &seen, idle);
        if (idle > AWAKE_TICKS && !sleep_until_needed(ticker, seen))
            return 0;
        if (WaitForSingleObject(system->end, PH_TICK_MS) == WAIT_OBJECT_0)
            return 0;
        if (!ticker->running)
            continue;
        if (slice == ticker->slice) {
            tick(ticker, slice, (int)(cpu_time(system->loop) - start));
        } else {
            slice = ticker->slice;
            start = cpu_time(system->loop);
        }
    }
}

static void free_system(struct system *system)
{
    HANDLE handles[] = {system->helper, system->loop, system->wake,
                        system->end};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
        if (handles[i])
            CloseHandle(handles[i]);
    free(system);
}

bool ph_ticker_start(struct ph_ticker *ticker)
{
    struct system *system;
    HANDLE process = GetCurrentProcess();
    if (ticker->system)
        return true;
    system = calloc(1, sizeof *system);
    if (!system)
        return false;
    ticker->system = system;
    system->wake = CreateEvent(NULL, FALSE, FALSE, NULL);
    system->end = CreateEvent(NULL, TRUE, FALSE, NULL);
    if (system->wake && system->end &&
        DuplicateHandle(process, GetCurrentThread(), process, &system->loop, 0,
                        FALSE, DUPLICATE_SAME_ACCESS))
        system->helper = CreateThread(NULL, 0, run, ticker, 0, NULL);
    if (system->helper)
        return true;
    ticker->system = NULL;
    free_system(system);
    return false;
}

void ph_ticker_stop(struct ph_ticker *ticker)
{
    struct system *system = ticker->system;
    if (!system)
        return;
    SetEvent(system->end);
    WaitForSingleObject(system->helper, INFINITE);
    ticker->system = NULL;
    free_system(system);
}

void ph_ticker_slice(struct ph_ticker *ticker)
{
    struct system *system = ticker->system;
    MemoryBarrier();
    ticker->slice++;
    MemoryBarrier();
    if (system && system->asleep)
        SetEvent(system->wake);
}
