/* SPDX-License-Identifier: MIT */
/*
 * What lies between the portable half (port.c, operation.c, pipe.c …) and a
 * back end (*_linux.c, *_win32.c): the structures that both see, what a back
 * end implements, and what it calls.
 *
 * A back end extends the three structures by embedding them. For each pipe the
 * portable half keeps at most one read and one write in the system at a time,
 * and never closes a handle while one of them is in flight.
 */
#ifndef PH_BACKEND_H
#define PH_BACKEND_H

#include <stdatomic.h>

#include "overlapped.h"

/* A FIFO of operations linked by op->next; zeroed is empty. */
struct ph_queue {
    struct ph_op *head, *tail;
};

/* Bytes that were received but not yet served. */
struct ph_buffer {
    unsigned char *bytes;
    size_t start, end, cap;
    size_t scanned; /* no line feed in so many from `start` */
};

struct ph_port {
    int64_t now;
    struct ph_timer *timers; /* root of the pairing heap */
    uint64_t timer_order;
    struct ph_op *ready, **ready_tail;   /* to be stepped in the next run */
    struct ph_op *stepping;              /* of them: in this one */
    /* Replies that are to be sent when this poll's events have been handled, and
     * their bytes. `crowd`: there are several, so that it pays. */
    struct ph_op *parked, **parked_tail;
    unsigned char *parked_bytes;
    size_t parked_used;
    bool crowd;
    struct ph_wait *ended, **ended_tail; /* waits to be called back */
    struct ph_wait *ending;              /* of them: in this turn */
    struct ph_listener *listeners;
    struct ph_plan *plans; /* of faults: fault.h */
    struct ph_op *spare;   /* IDLE operations, linked by next */
    size_t spares;
    /* Freed at the end of the turn: a batch of events may still name them. */
    struct ph_pipe *dead;
    struct ph_listener *dead_listeners;
    struct ph_process *dead_processes;
    _Atomic(struct ph_post *) posts; /* newest first */
    struct ph_counts counts;
    void (*log)(void *user, enum ph_level level, const char *text);
    void *log_user;
    void (*on_signal)(void *user, enum ph_signal_kind kind);
    void *on_signal_user;
    bool stopping; /* a stop has arrived */
};

/* What a back end may leave out that has a choice between asking the system at
 * once and waiting for its notice. */
enum ph_try {
    PH_TRY_NOW,   /* nothing */
    PH_TRY_FIRST, /* the question, where a notice will come anyhow */
    PH_TRY_LATER  /* the question */
};

/* Where a read or write waits. */
enum ph_flight {
    PH_NO_FLIGHT, /* nowhere */
    PH_IN_SYSTEM, /* the back end has it */
    PH_HELD       /* a fault delays it: nothing of it is in the back end */
};

/* Of each idle connection there is one, so its size counts: small fields share
 * words, and what is rarely there is a pointer. */
struct ph_pipe {
    struct ph_port *port;
    uint32_t owners;      /* references from outside */
    uint32_t live;        /* PENDING operations, close included */
    uint32_t child;       /* a stream of the process with this id, or 0 */
    uint32_t max_message; /* bytes */
    uint8_t state;        /* enum ph_pipe_state */
    uint8_t mode;         /* enum ph_mode; set by the back end on open */
    uint8_t direction;    /* enum ph_direction, as the server named it */
    uint8_t reading, writing; /* enum ph_flight */
    bool server;
    bool attached;      /* the back end has a handle */
    bool taken;         /* counts in listener->taken */
    bool read_stops;    /* nothing comes any more, or faults may hinder it */
    bool write_ended;   /* the peer takes nothing any more */
    bool write_torn;    /* a write was cancelled midway */
    bool transact_torn; /* a late reply may come: only close */
    bool in_ends;       /* `in` holds the end of its message */
    bool orphaned; /* `live` counts a read in the system without an operation */
    struct ph_listener *listener; /* server */
    char *name;                   /* the listener's; without one: owned */
    char *path; /* owned; set by the back end; NULL: the listener's */
    struct ph_queue reads, writes;
    struct ph_op *flushes;   /* linked by next, in no order */
    struct ph_rest *rest; /* of a read without an operation, or NULL */
    struct ph_op *connecting; /* also create and open */
    struct ph_op *transacting, *closing;
    struct ph_buffer *in;     /* NULL: nothing was held yet */
    struct ph_faulty *faulty; /* its faults: faulty.h; NULL: none */
    union {
        struct ph_frame *frame; /* of a byte pipe with messages; a reference */
        struct ph_pipe *next_dead;
    };
};

/* A name that this process serves; shared by its instances. */
struct ph_listener {
    struct ph_port *port;
    struct ph_listener *next;
    char *name, *path, *key;          /* owned; key: folded for comparison */
    struct ph_create_options options; /* its pointers: into `block` */
    void *block;                      /* owned */
    uint32_t instances;               /* pipe objects that refer to it */
    uint32_t taken;                   /* of them: with a client */
    struct ph_queue waiting;          /* connects */
    bool closed;                      /* ph_backend_unlisten was called */
    bool gone; /* … and is finished; its instances remain */
};

/* A watched folder. `names` are the changes for the next watch, in the form of
 * its data. */
struct ph_folder {
    struct ph_port *port;
    struct ph_op *op; /* PENDING, or NULL */
    unsigned char *names;
    size_t len, cap;
    bool lost;   /* there were too many */
    bool gone;   /* deleted or moved */
    bool closed; /* by its owner: freed when the back end is finished with it */
};

/* A program that this process has started, with its tree. */
struct ph_process {
    struct ph_port *port;
    struct ph_process *next_dead;
    uint32_t pid;
    bool owned; /* not released yet */
    struct ph_exit exit;
    struct ph_signal ended, gone;
    struct ph_pipe *stdio[3]; /* while owned; or NULL */
};

/* What a read brought. */
struct ph_chunk {
    const unsigned char *data; /* valid until the next call of the back end */
    size_t len;
    bool ends; /* message mode: the message ends here */
    long os;
};

/* ---- Implemented by the back end ------------------------------------ */

/* Makes the system's port, zeroed and with the back end's part filled in.
 * PH_OK, PH_NOMEM, PH_SYSTEM with *os. */
enum ph_status ph_backend_port_open(struct ph_port **out, long *os);

/* Frees it, helper threads included. Nothing is in flight. */
void ph_backend_port_close(struct ph_port *port);

/* Waits at most wait_us (PH_FOREVER: until something comes; 0: not at all),
 * sets port->now, and makes the calls below for all that has come. A signal or
 * a wake ends it. */
enum ph_status ph_backend_poll(struct ph_port *port, int64_t wait_us);

/* Ends a running or the next ph_backend_poll; any thread. */
void ph_backend_wake(struct ph_port *port);

/* The monotonic clock in microseconds. */
int64_t ph_backend_clock(void);

/* A stop that has come and has not been delivered yet. */
bool ph_backend_stop_asked(struct ph_port *port);

/* See ph_port_watch_signals; calls ph_port_signalled inside ph_backend_poll. */
enum ph_status ph_backend_watch_signals(struct ph_port *port, long *os);

/* A zeroed pipe of the back end's size. NULL: no memory. */
struct ph_pipe *ph_backend_pipe_alloc(void);

/* Frees it: not attached, nothing in flight. */
void ph_backend_pipe_free(struct ph_pipe *pipe);

/* A zeroed listener of the back end's size. NULL: no memory. */
struct ph_listener *ph_backend_listener_alloc(void);

/* Frees it: never listened, or ph_listener_gone was called. */
void ph_backend_listener_free(struct ph_listener *listener);

/* The full name of the system for `name`, allocated; *folded: the name in the
 * form in which two equal names are equal bytes, allocated. PH_OK, PH_NOMEM,
 * PH_SYSTEM, PH_DENIED (no usable folder). */
enum ph_status ph_backend_server_path(const char *name, char **path,
                                      char **folded, long *os,
                                      const char **why);

/* Takes the name for this process and begins to listen, listener->path,
 * ->options filled in. PH_OK; PH_EXISTS; PH_DENIED; PH_TOOBIG; PH_NOMEM;
 * PH_MISUSE (this system can't do what the options ask; *why); PH_SYSTEM. */
enum ph_status ph_backend_listen(struct ph_listener *listener, long *os,
                                 const char **why);

/* max_instances, backlog and max_message of these options are to hold for the
 * listener, which has its old ones still. PH_OK: they can; the caller sets them
 * and calls ph_backend_listener_update. PH_TOOBIG with *why: nothing changed.
 */
enum ph_status ph_backend_adjust(struct ph_listener *listener,
                                 const struct ph_create_options *options,
                                 const char **why);

/* `taken` or the queue of waiting connects changed: adjusts how many clients
 * may come in (backlog, none while taken == max_instances). */
void ph_backend_listener_update(struct ph_listener *listener);

/* Gives the next client that has come to `pipe` (attached, mode set).
 * PH_PENDING: none now; ph_listener_ready will be called. PH_SYSTEM and others
 * are failures of this connect alone. */
enum ph_status ph_backend_accept(struct ph_listener *listener,
                                 struct ph_pipe *pipe, enum ph_try when,
                                 long *os);

/* Stops listening and gives the name back; clients not yet accepted are
 * dropped. Calls ph_listener_gone, now or in a later poll. */
void ph_backend_unlisten(struct ph_listener *listener);

/* One try to open the client end. PH_OK: attached, mode, direction and path
 * set. PH_ABSENT, PH_BUSY: may be tried again. PH_DENIED, PH_MODE, PH_TOOBIG,
 * PH_NOMEM, PH_SYSTEM. Never blocks. */
enum ph_status ph_backend_open(struct ph_pipe *pipe, const char *name,
                               const struct ph_open_options *options, long *os,
                               const char **why);

/* Could the name be opened now? PH_OK; PH_ABSENT; PH_BUSY: not now, ask again;
 * PH_PENDING: ph_op_system_done will tell; PH_SYSTEM. Never connects. */
enum ph_status ph_backend_available(struct ph_op *op, const char *name,
                                    long *os);

/* Reads what is there: at most `want` bytes of a byte pipe; of a message pipe
 * one whole message, or its first part (then ends is false) when the system
 * can serve the rest later. PH_OK: *chunk. PH_PENDING: ph_pipe_read_done will
 * be called. PH_CLOSED: the end. Only called when nothing of a read is in flight. */
enum ph_status ph_backend_read(struct ph_pipe *pipe, size_t want, enum ph_try when,
                               struct ph_chunk *chunk);

/* Asks the read in flight to end. PH_OK: it has ended, nothing is in flight
 * and nothing was taken. PH_PENDING: ph_pipe_read_done will be called, with
 * PH_CANCELLED or with the data that came first. */
enum ph_status ph_backend_cancel_read(struct ph_pipe *pipe);

/* Writes op->out from out_done up to out_len, advancing out_done (byte pipe:
 * may be called again for the rest). PH_OK: all accepted. PH_PENDING:
 * ph_pipe_write_done will be called; the back end made op->out its own by
 * ph_op_own_output before it returned. PH_CLOSED, PH_TOOBIG, PH_NOMEM,
 * PH_SYSTEM. */
enum ph_status ph_backend_write(struct ph_pipe *pipe, struct ph_op *op,
                                long *os);

/* Sends without an operation what the system takes at once: how many bytes, of a
 * message all of them. -1: nothing, whatever the reason, which ph_backend_write
 * will meet again. Only called on an attached pipe with no write in flight. */
int64_t ph_backend_send_now(struct ph_pipe *pipe, const void *data,
                            size_t len);

/* As ph_backend_cancel_read, for the write in flight. */
enum ph_status ph_backend_cancel_write(struct ph_pipe *pipe);

/* Has the peer read everything? PH_OK; PH_BUSY: not yet, ask again;
 * PH_PENDING: ph_op_system_done will tell; PH_CLOSED: it went before. */
enum ph_status ph_backend_flush(struct ph_pipe *pipe, struct ph_op *op,
                                long *os);

/* Asks a flush or available that is PENDING to end; ph_op_system_done tells. */
void ph_backend_cancel_system(struct ph_op *op);

/* What could be read; PH_OK or PH_CLOSED or PH_SYSTEM. */
enum ph_status ph_backend_peek(struct ph_pipe *pipe, struct ph_peek *out,
                               long *os);

/* The peer of an attached pipe; may be remembered from the accept. */
enum ph_status ph_backend_peer(struct ph_pipe *pipe, struct ph_peer *out,
                               long *os);

/* Drops the client: what is in flight ends soon as PH_CLOSED through
 * ph_pipe_read_done and ph_pipe_write_done. The handle stays until detach. */
void ph_backend_disconnect(struct ph_pipe *pipe);

/* Takes the handle out of an attached pipe with nothing in flight, which is
 * not attached any more. Its listener is a movable one. */
intptr_t ph_backend_give(struct ph_pipe *pipe);

/* Attaches what ph_backend_give gave, of any port. PH_OK, PH_SYSTEM. */
enum ph_status ph_backend_take(struct ph_pipe *pipe, intptr_t handle);

/* Closes it instead. */
void ph_backend_drop(intptr_t handle);

/* Closes the handle so that what was written stays readable for the peer, also
 * when there is unread input. Nothing is in flight. Clears pipe->attached. */
void ph_backend_close(struct ph_pipe *pipe);

/* A zeroed folder of the back end's size. NULL: no memory. */
struct ph_folder *ph_backend_folder_alloc(void);

/* Frees it: never opened, or ph_folder_closed was called. */
void ph_backend_folder_free(struct ph_folder *folder);

/* See ph_folder_open; calls ph_folder_changed, _lost and _gone for it in
 * polls. On failure nothing of it is left but the memory. */
enum ph_status ph_backend_folder_open(struct ph_folder *folder,
                                      const char *path, bool names_only,
                                      long *os);

/* Ends an opened one. Calls ph_folder_closed, now or in a later poll. */
void ph_backend_folder_close(struct ph_folder *folder);

/* A zeroed process of the back end's size. NULL: no memory. */
struct ph_process *ph_backend_process_alloc(void);

/* Frees it: never started, or ph_process_has_gone was called. */
void ph_backend_process_free(struct ph_process *process);

/* Starts the program: pid set, each pipe in ->stdio (NEW) attached. Here
 * options->env is NULL or the whole environment. Failures as of
 * ph_process_start; nothing is left then. */
enum ph_status
ph_backend_process_start(struct ph_process *process,
                         const struct ph_process_options *options, long *os,
                         const char **why);

/* Our environment, each entry "NAME=value" in UTF-8, allocated, the list too,
 * which ends with NULL. NULL: no memory. */
char **ph_backend_environment(void);

/* Do the entries, each a name or "NAME=value", name the same variable? */
bool ph_backend_same_variable(const char *a, const char *b);

/* Ends the whole tree; nothing when it has gone. */
void ph_backend_process_kill(struct ph_process *process);

/* ---- Called by the back end, inside ph_backend_poll --------------------- */

/* The read in flight has ended; chunk may be NULL unless status is PH_OK. */
void ph_pipe_read_done(struct ph_pipe *pipe, enum ph_status status,
                       const struct ph_chunk *chunk);

/* The write in flight has ended or has advanced (byte pipe, out_done less than
 * out_len: the portable half calls ph_backend_write again). */
void ph_pipe_write_done(struct ph_pipe *pipe, enum ph_status status, long os);

/* A flush or available that was PENDING in the system has ended. */
void ph_op_system_done(struct ph_op *op, enum ph_status status, long os);

/* A signal has come: calls back. */
void ph_port_signalled(struct ph_port *port, enum ph_signal_kind kind);

/* A client may be there to accept. */
void ph_listener_ready(struct ph_listener *listener);

/* ph_backend_unlisten is finished: the portable half frees the listener. */
void ph_listener_gone(struct ph_listener *listener);

/* An entry has changed; the name is UTF-8, `len` bytes without a zero. */
void ph_folder_changed(struct ph_folder *folder, char mark, const char *name,
                       size_t len);

/* Changes were lost. */
void ph_folder_lost(struct ph_folder *folder);

/* The folder is not there any more. ph_backend_folder_close is still called. */
void ph_folder_gone(struct ph_folder *folder);

/* ph_backend_folder_close is finished: the portable half frees the folder. */
void ph_folder_closed(struct ph_folder *folder);

/* The program has ended. Called once. */
void ph_process_has_ended(struct ph_process *process, struct ph_exit how);

/* … and after that, once: nothing of its tree runs any more. */
void ph_process_has_gone(struct ph_process *process);

/* Between two events of one poll, which take their time: what is parked is sent
 * when it has waited long enough. */
void ph_port_breathe(struct ph_port *port);

/* ---- Helpers of the portable half --------------------------------------- */

/* Copies op->out into op->buf if it is not there yet. PH_OK or PH_NOMEM. */
enum ph_status ph_op_own_output(struct ph_op *op);

/* One line to the port's log. */
void ph_port_log(struct ph_port *port, enum ph_level level, const char *format,
                 ...);

#endif
