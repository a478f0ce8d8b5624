/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD, by malloc_linux_test.py: the n-th allocation that the program
 * itself makes fails, once. What libraries allocate for themselves does not
 * count. The file that MALLOC_FAILING names is shared with who says n, and with
 * who asks whether it has failed. The allocator behind this one, a sanitizer's
 * too, goes on as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct shared {
    int64_t left; /* counted down; 0: none fails */
    int64_t failed;
} *shared;

static char *from, *to; /* the program's code */


static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);

static void find_next(void)
{
    next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
}

/* The part of this process's map that is the program's code. */
static void find_program(void)
{
    char path[4096], line[4200];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    FILE *maps = fopen("/proc/self/maps", "re");
    path[len > 0 ? len : 0] = '\0';
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long first, last;
        char rights[5];
        if (!strstr(line, path) ||
            sscanf(line, "%lx-%lx %4s", &first, &last, rights) != 3 ||
            rights[2] != 'x')
            continue;
        from = (char *)first;
        to = (char *)last;
    }
    if (maps)
        fclose(maps);
}

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("MALLOC_FAILING");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    void *map = MAP_FAILED;
    find_program();
    if (fd >= 0)
        map = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED,
                   fd, 0);
    if (fd >= 0)
        close(fd);
    unsetenv("LD_PRELOAD"); /* children are others */
    if (map != MAP_FAILED)
        shared = map;
}

static bool fails(const char *caller)
{
    if (!shared || caller < from || caller >= to ||
        !__atomic_load_n(&shared->left, __ATOMIC_SEQ_CST) ||
        __atomic_sub_fetch(&shared->left, 1, __ATOMIC_SEQ_CST))
        return false;
    __atomic_store_n(&shared->failed, 1, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return true;
}

#define CALLER ((const char *)__builtin_return_address(0))

void *malloc(size_t size)
{
    if (!next_malloc)
        find_next();
    return fails(CALLER) ? NULL : next_malloc(size);
}

void *realloc(void *memory, size_t size)
{
    if (!next_realloc)
        find_next();
    return fails(CALLER) ? NULL : next_realloc(memory, size);
}

void *calloc(size_t count, size_t size)
{
    /* glibc's dlsym may ask for memory, and takes none for an answer. */
    if (!next_calloc) {
        static bool finding;
        if (finding)
            return NULL;
        finding = true;
        find_next();
    }
    return fails(CALLER) ? NULL : next_calloc(count, size);
}
