/* SPDX-License-Identifier: MIT */
/* The tick on Linux: a timer on the thread's CPU clock, whose signal comes to
 * that thread. An idle one has no ticks. */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "limit.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

struct system {
    timer_t timer;
    unsigned slice; /* that the last tick saw */
    int ticks;      /* since the first one in that slice */
};

static void on_tick(int number, siginfo_t *info, void *context)
{
    struct ph_ticker *ticker = info->si_value.sival_ptr;
    (void)number;
    (void)context;
    if (info->si_code != SI_TIMER)
        return;
    struct system *system = ticker->system;
    if (system->slice == ticker->slice) {
        system->ticks += 1 + info->si_overrun;
    } else {
        system->slice = ticker->slice;
        system->ticks = 0;
    }
    ph_ticker_tick(ticker, system->ticks * PH_TICK_MS);
}

/* Only for the calling thread: others have ticks of their own. */
static void block_ticks(int how)
{
    sigset_t ticks;
    sigemptyset(&ticks);
    sigaddset(&ticks, SIGVTALRM);
    pthread_sigmask(how, &ticks, NULL);
}

static bool make_timer(struct ph_ticker *ticker, struct system *system)
{
    struct sigaction action = {.sa_sigaction = on_tick,
                               .sa_flags = SA_RESTART | SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = SIGVTALRM};
    event.sigev_value.sival_ptr = ticker;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    return sigaction(SIGVTALRM, &action, NULL) == 0 &&
           timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &system->timer) == 0;
}

bool ph_ticker_start(struct ph_ticker *ticker)
{
    static const struct timespec tick = {.tv_nsec = PH_TICK_MS * 1000000L};
    const struct itimerspec times = {tick, tick};
    struct system *system;
    if (ticker->system)
        return true;
    system = calloc(1, sizeof *system);
    if (!system)
        return false;
    if (!make_timer(ticker, system)) {
        free(system);
        return false;
    }
    ticker->system = system;
    block_ticks(SIG_UNBLOCK);
    timer_settime(system->timer, 0, &times, NULL);
    return true;
}

void ph_ticker_stop(struct ph_ticker *ticker)
{
    struct system *system = ticker->system;
    if (!system)
        return;
    timer_delete(system->timer);
    block_ticks(SIG_BLOCK); /* one may be on its way: it never arrives */
    ticker->system = NULL;
    free(system);
}

void ph_ticker_slice(struct ph_ticker *ticker)
{
    ticker->slice++;
}

int64_t ph_ticker_clock(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}
