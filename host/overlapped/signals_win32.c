/* SPDX-License-Identifier: MIT */
#include "system_win32.h"

#include <assert.h>

/* How long the system is kept from ending the process, so that the port can
 * drain; it gives 5 s. */
#define DRAIN_MS 4000
#define STOPS_MAX 3

/* The console's handler gets no argument and runs in a thread of its own. */
static struct {
    SRWLOCK lock;
    struct win_port *port;
} console = {SRWLOCK_INIT, NULL};

static BOOL WINAPI on_event(DWORD event)
{
    BOOL taken;
    int before = 0;
    AcquireSRWLockShared(&console.lock);
    taken = console.port != NULL;
    if (taken) {
        before = atomic_fetch_add(&console.port->stops, 1);
        ph_backend_wake(&console.port->base);
    }
    ReleaseSRWLockShared(&console.lock);
    /* The port does not come to take them: something in C goes on for ever. */
    if (before + 1 >= STOPS_MAX)
        return FALSE;
    /* After the return of these the process is ended; leaving main ends this
     * thread as well. */
    if (taken && event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(DRAIN_MS);
    return taken;
}

/* False: it was another port's. */
static bool change_port(struct win_port *from, struct win_port *to)
{
    bool changed;
    AcquireSRWLockExclusive(&console.lock);
    changed = console.port == from;
    if (changed)
        console.port = to;
    ReleaseSRWLockExclusive(&console.lock);
    return changed;
}

enum ph_status ph_backend_watch_signals(struct ph_port *port, long *os)
{
    DWORD error = ERROR_SUCCESS;
    if (!change_port(NULL, win_port(port)))
        error = ERROR_ALREADY_ASSIGNED;
    else if (!SetConsoleCtrlHandler(on_event, TRUE))
        error = GetLastError();
    *os = (long)error;
    return error == ERROR_SUCCESS ? PH_OK : PH_SYSTEM;
}

bool ph_backend_stop_asked(struct ph_port *port)
{
    return atomic_load(&win_port(port)->stops) > 0;
}

void ph_win_signals_deliver(struct win_port *port)
{
    struct ph_port *base = &port->base;
    assert(base->on_signal || !atomic_load(&port->stops));
    for (int stops = atomic_exchange(&port->stops, 0); stops > 0; stops--)
        ph_port_signalled(base, PH_SIGNAL_STOP);
}

void ph_win_signals_close(struct win_port *port)
{
    if (change_port(port, NULL))
        SetConsoleCtrlHandler(on_event, FALSE);
}
