/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Not SIG_IGN, which the programs that a script starts would inherit. */
static void nothing(int number)
{
    (void)number;
}

/*
 * glibc gives the heap's end back to the system when 128 KiB of it are free,
 * which is two messages of 64 KiB, and the next round of the collector finds
 * more: the same pages were taken, zeroed and given back for ever. A threshold
 * that is set no longer adapts, so the other one, from which a block has pages
 * of its own, is set too.
 */
#define KEPT_BYTES  (4 << 20)
#define OWN_MAPPING (2 << 20)

static void keep_memory(void)
{
#ifdef M_TRIM_THRESHOLD
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING);
#endif
}

void ph_platform_start(void)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGPIPE, &action, NULL);
    keep_memory();
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}

uint32_t ph_process_id(void)
{
    return (uint32_t)getpid();
}

size_t ph_process_ids(uint32_t *out, size_t most)
{
    (void)out;
    (void)most;
    return 0;
}

bool ph_program_path(char *out, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", out, size);
    if (len <= 0 || (size_t)len >= size)
        return false;
    out[len] = '\0';
    return true;
}

bool ph_temporary_folder(char *out, size_t size)
{
    const char *parent = getenv("TMPDIR");
    int len = snprintf(out, size, "%s/ph-XXXXXX",
                       parent && *parent ? parent : "/tmp");
    return len > 0 && (size_t)len < size && mkdtemp(out) != NULL;
}

unsigned ph_processor_count(void)
{
    cpu_set_t set;
    int count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

int64_t ph_wall_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void *ph_slab_take(void)
{
    return aligned_alloc(PH_SLAB, PH_SLAB);
}

void ph_slab_give(void *slab)
{
    free(slab);
}

void ph_utc(time_t seconds, struct tm *out)
{
    gmtime_r(&seconds, out);
}

bool ph_is_terminal(int descriptor)
{
    return isatty(descriptor);
}
