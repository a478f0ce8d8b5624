/* SPDX-License-Identifier: MIT */
/* The part of overlapped.h that starts programs. */
#ifndef PH_PROGRAM_H
#define PH_PROGRAM_H

#include "port.h"

/*
 * A program, and all that it starts in turn: its tree. The tree goes with the
 * process that started it, however that ends, and with the last reference.
 * Windows: a job object. Linux: a process of ours above the program, to which
 * the kernel gives every orphan of the tree; it needs Linux 5.11, and in /proc
 * the files `children` (CONFIG_PROC_CHILDREN), to find orphans that have left
 * the program's process group.
 *
 * The program gets a process group of its own (no Ctrl-C of ours), an empty
 * signal mask, and no handle of ours but its three streams.
 */

enum ph_stdio {
    PH_STDIO_NULL,    /* reads end at once, what is written goes nowhere */
    PH_STDIO_PIPE,    /* the other end is ph_process_stdio */
    PH_STDIO_INHERIT, /* our own */
    PH_STDIO_STDOUT   /* of stderr only: where stdout goes */
};

/* All texts are UTF-8, and lists end with NULL. */
struct ph_process_options {
    const char *const *argv; /* argv[0]: the program, looked for in our PATH
                                when it has no separator */
    const char *const *env;  /* ours with these changes: "NAME=value" sets,
                                "NAME" removes; NULL: none */
    const char *cwd;         /* NULL: ours */
    enum ph_stdio stdio[3];  /* stdin, stdout, stderr */
};

struct ph_exit {
    int64_t code; /* exit status; 128 + signal; -1: not known, the process that
                     watched it has been killed (Linux) */
    int signal;   /* that ended it (Linux), or 0 */
};

/* Starts the program; *out has one reference. Returns when it runs or could not
 * be started, which takes about a millisecond. PH_OK; PH_ABSENT: there is no
 * such program or folder; PH_DENIED: it may not be run; PH_MISUSE with *why;
 * PH_NOMEM; PH_SYSTEM. *os, where the system gave a number. A SIGPIPE that
 * would end us gets a handler that does nothing. */
enum ph_status ph_process_start(struct ph_port *port,
                                const struct ph_process_options *options,
                                struct ph_process **out, long *os,
                                const char **why);

/* Its number in the system; it may be another's once the tree has gone. */
uint32_t ph_process_pid(const struct ph_process *process);

/* Our end of stream 0, 1 or 2, an ordinary byte pipe that is CONNECTED; NULL
 * when it is no PH_STDIO_PIPE. The process holds a reference until it is
 * released. Closing that of stdin ends the program's input. */
struct ph_pipe *ph_process_stdio(const struct ph_process *process, int stream);

/* Set once the program has ended; ph_process_exit tells how. Its tree may go
 * on. */
struct ph_signal *ph_process_ended(struct ph_process *process);

/* How it ended, once ph_process_ended is set. */
struct ph_exit ph_process_exit(const struct ph_process *process);

/* Set once nothing of the tree runs any more. */
struct ph_signal *ph_process_gone(struct ph_process *process);

/* Asks for the end of the whole tree, at once; the signals tell. */
void ph_process_kill(struct ph_process *process);

/* Gives the reference up: the tree is killed, and the object freed when it has
 * gone. Nobody may wait for its signals any more. */
void ph_process_release(struct ph_process *process);

#endif
