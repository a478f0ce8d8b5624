/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlapped.h"

#define SLEEP_MS 60000 /* what is not killed fails its test, and ends */

/* Each argument in brackets, so that the empty ones are seen. */
static int say_arguments(int argc, char **argv)
{
    char **arguments = child_arguments(argc, argv);
    for (int i = 2; i < argc; i++)
        printf("[%s]", arguments[i]);
    return 0;
}

static int copy(int argc, char **argv)
{
    int byte;
    (void)argc;
    (void)argv;
    while ((byte = getchar()) != EOF)
        putchar(byte);
    return 0;
}

static int say_both(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("out", stdout);
    fflush(stdout);
    fputs("err", stderr);
    return 0;
}

static int leave(int argc, char **argv)
{
    return argc > 2 ? atoi(argv[2]) : 0;
}

static int say_variable(int argc, char **argv)
{
    const char *value = argc > 2 ? child_variable(argv[2]) : NULL;
    printf("%s", value ? value : "(none)");
    return 0;
}

/* A file of that name is in the folder where this runs. */
static int find_file(int argc, char **argv)
{
    FILE *file = argc > 2 ? fopen(argv[2], "rb") : NULL;
    fputs(file ? "found" : "absent", stdout);
    return 0;
}

static int crash(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    child_crash();
    return 0;
}

static int wait_long(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("up ", stdout);
    fflush(stdout);
    child_sleep_ms(SLEEP_MS);
    return 0;
}

/* Ends itself, or goes on with "stay". */
static int leave_orphan(int argc, char **argv)
{
    bool left = child_leave_orphan(argv[0]);
    if (left && argc > 2)
        child_sleep_ms(SLEEP_MS);
    return left ? 0 : 1;
}

/* Starts a sleeper of its own by the contract, and ends without a word. */
static int desert(int argc, char **argv)
{
    const char *sleeper[] = {argv[0], "sleep", NULL};
    struct ph_process_options options = {
        .argv = sleeper,
        .stdio = {PH_STDIO_NULL, PH_STDIO_INHERIT, PH_STDIO_NULL}};
    struct ph_process *process;
    struct ph_port *port;
    const char *why;
    long os;
    (void)argc;
    if (ph_port_create(&port, &os) != PH_OK ||
        ph_process_start(port, &options, &process, &os, &why) != PH_OK)
        return 1;
    child_sleep_ms(200);
    _Exit(0);
}

static int kill_watcher(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return child_kill_watcher() ? 0 : 3;
}

int child_main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*play)(int argc, char **argv);
    } roles[] = {
        {"args", say_arguments},   {"copy", copy},
        {"both", say_both},        {"exit", leave},
        {"env", say_variable},     {"file", find_file},
        {"crash", crash},          {"sleep", wait_long},
        {"orphan", leave_orphan},  {"desert", desert},
        {"unwatch", kill_watcher},
    };
    child_streams_binary();
    for (size_t i = 0; argc > 1 && i < ph_countof(roles); i++)
        if (strcmp(roles[i].name, argv[1]) == 0)
            return roles[i].play(argc, argv);
    return -1;
}
