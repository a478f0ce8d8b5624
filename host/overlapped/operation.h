/* SPDX-License-Identifier: MIT */
/* What the files of the portable half share about operations and pipes. */
#ifndef PH_OPERATION_H
#define PH_OPERATION_H

#include "backend.h"

/* Makes the operation PENDING on `pipe` (may be NULL) and counts it; its
 * timer runs to the deadline. */
void ph_op_begin(struct ph_op *op, enum ph_op_kind kind, struct ph_port *port,
                 struct ph_pipe *pipe, int64_t deadline);

/* PENDING to DONE: the only place. Calls op->done unless inside the start. The
 * operation may be gone afterwards; so may its pipe, at the end of the turn. */
void ph_op_end(struct ph_op *op, enum ph_status status);

/* Has ph_op_step called in the next run, once. */
void ph_op_poke(struct ph_op *op);

/* Ends the start: what was found now is the result (no callback), or with the
 * deadline PH_NOW the operation is asked to end. */
void ph_op_started(struct ph_op *op);

/* Frees what ph_op_give has kept. */
void ph_spares_free(struct ph_port *port);

/* Refuses a start: PH_MISUSE with the reason. */
enum ph_status ph_op_misuse(struct ph_op *op, const char *why);

/* Tries again in 1, 2, 4 … `longest` ms, but not after the deadline. */
void ph_op_retry_later(struct ph_op *op, int64_t longest_us);

/* Has a part of the turn that began at this time taken long enough? The rest
 * follows in the next turns, after what has come from the system. */
bool ph_port_late(int64_t begin);

/* Steps what was poked before this call, as long as that is not late. What is
 * poked meanwhile waits for the next turn. */
void ph_ops_run(struct ph_port *port);

/* Takes it off the list it was put on by ph_op_poke or ph_op_park. */
void ph_op_unpoke(struct ph_op *op);

/* A write that ph_parked_run is to send. */
void ph_op_park(struct ph_op *op);

/* Sends all that is parked; what the system does not take at once waits as any
 * write does. */
void ph_parked_run(struct ph_port *port);

/* Calls back the waits that have ended, each with its lowest index, as long as
 * that is not late. */
void ph_waits_run(struct ph_port *port);

/* Appends the operation; it is in no queue yet. */
void ph_queue_push(struct ph_queue *queue, struct ph_op *op);

/* Takes it out, wherever it stands; nothing when it is not in there. */
void ph_queue_remove(struct ph_queue *queue, struct ph_op *op);

/*
 * The step of each kind. It is made in the port's run when the operation was
 * poked or its timer is due: op->ending says whether it was asked to end, else
 * it is to try again. A step may end the operation, which may then be gone.
 */
void ph_read_step(struct ph_op *op);     /* read; a transact's reply */
void ph_write_step(struct ph_op *op);    /* write; a transact's request */
void ph_transact_step(struct ph_op *op); /* one of the two, as far as it is */
void ph_try_step(struct ph_op *op);      /* create, open, available */
void ph_connect_step(struct ph_op *op);  /* connect */
void ph_flush_step(struct ph_op *op);    /* flush */
void ph_close_step(struct ph_op *op);    /* close: its drain, then its flush */
void ph_watch_step(struct ph_op *op);    /* watch of a folder */
void ph_input_step(struct ph_op *op);    /* read of the input */

/* Bytes that were received and not yet served. */
static inline size_t ph_pipe_held(const struct ph_pipe *pipe)
{
    return pipe->in ? pipe->in->end - pipe->in->start : 0;
}

/* Forgets them. */
void ph_pipe_drop_held(struct ph_pipe *pipe);

/* How many bytes a read of a message asks the back end for. */
size_t ph_read_most(const struct ph_pipe *pipe);

/* What a read that was to rest has found at once: it is the operation's that
 * the owner gives, which may be DONE then. */
void ph_read_found(struct ph_pipe *pipe, struct ph_rest *rest,
                   enum ph_status status, const struct ph_chunk *chunk);

/* ph_read_wake of a read that rests. False: no memory; it is over, but still in
 * the system if it was. */
bool ph_read_awake(struct ph_pipe *pipe);

/* The heads of the queue go on as far as nothing waits for the system. Settles
 * the pipe: it may be gone afterwards, at the end of the turn. */
void ph_reads_run(struct ph_pipe *pipe);
void ph_writes_run(struct ph_pipe *pipe); /* likewise */

/* An operation of the pipe has ended: closes a dropped handle, lets a close go
 * on, frees the pipe when nobody has it. */
void ph_pipe_settle(struct ph_pipe *pipe);

/* Closes the handle and leaves the listener; nothing is in flight. */
void ph_pipe_detach(struct ph_pipe *pipe);

/* Asks these operations, linked by next, to end as `status`. */
void ph_ops_end(struct ph_op *first, enum ph_status status);

/* One try to create: joins this process's instances of the name, or takes the
 * name. The outcomes of ph_create_start; PH_EXISTS may be tried again. */
enum ph_status ph_create_try(struct ph_op *op);

/* ph_backend_available has ended in the system, and so does the operation. */
void ph_available_done(struct ph_op *op, enum ph_status status);

/* The instance gives its client's place back to its listener. */
void ph_listener_untake(struct ph_pipe *pipe);
/* The instance leaves its listener; the last one gives the name back. */
void ph_listener_leave(struct ph_pipe *pipe);
/* Frees the listeners that have gone. */
void ph_listeners_free(struct ph_port *port);

/* Our environment with the changes; ends with NULL. NULL: no memory. */
char **ph_environment_with(const char *const *changes);
/* NULL is allowed. */
void ph_environment_free(char **environment);

/* Frees the processes that have gone. */
void ph_processes_free(struct ph_port *port);

/* NULL, or why the pipe can't read (write) at all now, with *status PH_OK for
 * misuse, or the outcome. */
const char *ph_pipe_refuses(const struct ph_pipe *pipe, bool write,
                            enum ph_status *status);

/* A copy, to be freed by the caller. NULL: no memory. */
char *ph_strdup(const char *text);

#endif
