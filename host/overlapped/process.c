/* SPDX-License-Identifier: MIT */
/* Child processes: the program, its streams as pipes, and its tree. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operation.h"

/* ---- Streams ----------------------------------------------------------- */

static const char *file_name(const char *path)
{
    const char *name = path;
    for (const char *at = path; *at; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    return name;
}

/* "cat stdin", for messages. */
static char *stream_name(const char *program, int stream)
{
    static const char *const streams[] = {"stdin", "stdout", "stderr"};
    const char *name = file_name(program);
    size_t size = strlen(name) + sizeof " stdout";
    char *text = malloc(size);
    if (text)
        snprintf(text, size, "%s %s", name, streams[stream]);
    return text;
}

/* The client end of a one-way pipe, as far as its rules go. */
static struct ph_pipe *new_stream(struct ph_port *port, const char *program,
                                  int stream)
{
    struct ph_pipe *pipe = ph_pipe_new(port);
    if (!pipe)
        return NULL;
    pipe->mode = PH_MODE_BYTE;
    pipe->direction = stream == 0 ? PH_INBOUND : PH_OUTBOUND;
    pipe->max_message = PH_MESSAGE_MAX;
    pipe->name = stream_name(program, stream);
    if (pipe->name)
        return pipe;
    ph_pipe_release(pipe);
    return NULL;
}

static void release_streams(struct ph_process *process)
{
    for (int i = 0; i < 3; i++) {
        if (process->stdio[i])
            ph_pipe_release(process->stdio[i]);
        process->stdio[i] = NULL;
    }
}

static bool make_streams(struct ph_process *process,
                         const struct ph_process_options *options)
{
    for (int i = 0; i < 3; i++) {
        if (options->stdio[i] != PH_STDIO_PIPE)
            continue;
        process->stdio[i] = new_stream(process->port, options->argv[0], i);
        if (!process->stdio[i])
            return false;
    }
    return true;
}

static void connect_streams(struct ph_process *process)
{
    for (int i = 0; i < 3; i++) {
        struct ph_pipe *pipe = process->stdio[i];
        if (!pipe)
            continue;
        assert(pipe->attached);
        pipe->state = PH_PIPE_CONNECTED;
        pipe->child = process->pid;
    }
}

/* ---- Start ------------------------------------------------------------- */

static const char *misuse(const struct ph_process_options *options)
{
    if (!options->argv[0] || !*options->argv[0])
        return "the program's name is empty";
    for (int i = 0; i < 2; i++)
        if (options->stdio[i] == PH_STDIO_STDOUT)
            return "only stderr can go where stdout goes";
    for (const char *const *at = options->env; at && *at; at++)
        if (**at == '=' || !**at)
            return "a variable of the environment has a name";
    return NULL;
}

static enum ph_status begin(struct ph_process *process,
                            const struct ph_process_options *options, long *os,
                            const char **why)
{
    enum ph_status status = PH_NOMEM;
    struct ph_process_options whole = *options;
    char **env = options->env ? ph_environment_with(options->env) : NULL;
    whole.env = (const char *const *)env;
    if (make_streams(process, options) && (env || !options->env))
        status = ph_backend_process_start(process, &whole, os, why);
    ph_environment_free(env);
    if (status == PH_OK)
        connect_streams(process);
    else
        release_streams(process);
    return status;
}

enum ph_status ph_process_start(struct ph_port *port,
                                const struct ph_process_options *options,
                                struct ph_process **out, long *os,
                                const char **why)
{
    struct ph_process *process;
    enum ph_status status;
    *os = 0;
    *why = misuse(options);
    if (*why)
        return PH_MISUSE;
    process = ph_backend_process_alloc();
    if (!process)
        return PH_NOMEM;
    process->port = port;
    status = begin(process, options, os, why);
    if (status != PH_OK) {
        ph_backend_process_free(process);
        return status;
    }
    process->owned = true;
    port->counts.processes++;
    *out = process;
    return PH_OK;
}

/* ---- Life -------------------------------------------------------------- */

uint32_t ph_process_pid(const struct ph_process *process)
{
    return process->pid;
}

struct ph_pipe *ph_process_stdio(const struct ph_process *process, int stream)
{
    assert(stream >= 0 && stream < 3);
    return process->stdio[stream];
}

struct ph_signal *ph_process_ended(struct ph_process *process)
{
    return &process->ended;
}

struct ph_signal *ph_process_gone(struct ph_process *process)
{
    return &process->gone;
}

struct ph_exit ph_process_exit(const struct ph_process *process)
{
    assert(process->ended.set);
    return process->exit;
}

void ph_process_kill(struct ph_process *process)
{
    if (!process->gone.set)
        ph_backend_process_kill(process);
}

/* Freed at the end of the turn: a batch of events may still name it. */
static void settle(struct ph_process *process)
{
    if (process->owned || !process->gone.set)
        return;
    process->next_dead = process->port->dead_processes;
    process->port->dead_processes = process;
}

void ph_process_release(struct ph_process *process)
{
    assert(process->owned);
    release_streams(process);
    ph_process_kill(process);
    process->owned = false;
    settle(process);
}

void ph_processes_free(struct ph_port *port)
{
    while (port->dead_processes) {
        struct ph_process *process = port->dead_processes;
        port->dead_processes = process->next_dead;
        assert(!process->ended.waiters && !process->gone.waiters);
        ph_backend_process_free(process);
        port->counts.processes--;
    }
}

void ph_process_has_ended(struct ph_process *process, struct ph_exit how)
{
    assert(!process->ended.set);
    process->exit = how;
    ph_signal_set(&process->ended);
}

void ph_process_has_gone(struct ph_process *process)
{
    assert(process->ended.set && !process->gone.set);
    ph_signal_set(&process->gone);
    settle(process);
}
