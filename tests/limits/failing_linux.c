/* SPDX-License-Identifier: MIT */
/*
 * Preloaded by nomem_host_test.py, which compiles it. The n-th allocation that
 * the program itself asks the C library for fails: not those of libraries. The
 * file FAILING_FILE holds n and whether it has failed; who writes there arms
 * it. At the end it also holds how many blocks were never freed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

struct plan {
    _Atomic int64_t left, failed, kept;
};

static struct plan none, *plan = &none;
static _Atomic int64_t live;
static uintptr_t begin, end; /* the program's code */

/* Its lines in the table of mappings bear the program's path. */
__attribute__((constructor)) static void find(void)
{
    const char *path = getenv("FAILING_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    char maps[4096], exe[512];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    void *memory;
    int table;
    if (fd < 0 || len <= 0)
        return;
    exe[len] = 0;
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    table = open("/proc/self/maps", O_RDONLY);
    len = read(table, maps, sizeof maps - 1);
    close(table);
    if (memory == MAP_FAILED || len <= 0)
        return;
    maps[len] = 0;
    /* The program's own are the first ones, one after the other. */
    for (char *line = maps, *next; line && *line; line = next) {
        char *dash;
        uintptr_t from = (uintptr_t)strtoull(line, &dash, 16);
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (!strstr(line, exe))
            break;
        begin = begin ? begin : from;
        end = (uintptr_t)strtoull(dash + 1, NULL, 16);
    }
    plan = memory;
}

__attribute__((destructor)) static void tell(void)
{
    plan->kept = live;
}

static bool fails(void *caller)
{
    int64_t left;
    if ((uintptr_t)caller < begin || (uintptr_t)caller >= end)
        return false;
    left = plan->left;
    if (left <= 0)
        return false;
    plan->left = left - 1;
    if (left > 1)
        return false;
    plan->failed = 1;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    live += memory != NULL;
    return memory;
}

void *malloc(size_t size)
{
    bool fail = fails(__builtin_return_address(0));
    return fail ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    bool fail = fails(__builtin_return_address(0));
    return fail ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (fails(__builtin_return_address(0)))
        return NULL;
    if (memory)
        return __libc_realloc(memory, size);
    return counted(__libc_malloc(size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    bool fail = fails(__builtin_return_address(0));
    return fail ? NULL : counted(__libc_memalign(alignment, size));
}

void free(void *memory)
{
    live -= memory != NULL;
    __libc_free(memory);
}
