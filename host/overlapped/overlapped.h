/* SPDX-License-Identifier: MIT */
/*
 * Overlapped pipes: the contract.
 *
 * A completion port runs operations on pipes. An operation is IDLE, PENDING or
 * DONE. A start function leaves it DONE (it could be done at once) or PENDING;
 * a PENDING one becomes DONE exactly once, inside ph_port_run, which then calls
 * op->done. No start and no cancel ever calls back. Time-out and cancel are
 * results of an operation that has ended: the system holds nothing of it any
 * more. Data that came first is the result.
 *
 * Everything belongs to one port and is used by the thread that runs it. Only
 * ph_port_post may be called from other threads.
 *
 * Times are microseconds of ph_port_now; PH_FOREVER is no deadline and PH_NOW
 * means "only what is there now".
 */
#ifndef PH_OVERLAPPED_H
#define PH_OVERLAPPED_H

#include "folder.h"
#include "port.h"
#include "program.h"

/* ---- Operations ----------------------------------------------------- */

enum ph_op_state { PH_OP_IDLE, PH_OP_PENDING, PH_OP_DONE };

enum ph_op_kind {
    PH_OP_CREATE,
    PH_OP_OPEN,
    PH_OP_AVAILABLE,
    PH_OP_CONNECT,
    PH_OP_READ,
    PH_OP_WRITE,
    PH_OP_TRANSACT,
    PH_OP_FLUSH,
    PH_OP_CLOSE,
    PH_OP_WATCH,
    PH_OP_INPUT /* input.h */
};

/* What ends a read. */
enum ph_goal {
    PH_READ_SOME,    /* what is there, at most `want` bytes */
    PH_READ_EXACT,   /* `want` bytes; byte pipes */
    PH_READ_LINE,    /* up to a line feed, which is taken off with a CR before
                        it; byte pipes; at most max_message bytes */
    PH_READ_MESSAGE, /* one whole message */
    PH_READ_FRAME    /* the same of a byte pipe that has a frame: what MESSAGE
                        becomes there */
};

/* One operation. Embedded in a heap object of its owner, zeroed before first
 * use; the owner may free or start it again when it is IDLE or DONE. */
struct ph_op {
    /* set by the owner before a start */
    void (*done)(struct ph_op *op); /* called in the port's run; may be NULL */
    void *user;
    /* read by the owner */
    enum ph_op_kind kind;
    enum ph_op_state state;
    struct ph_pipe *pipe;
    struct ph_signal signal; /* set when DONE */
    enum ph_status status;   /* when DONE; from here to bytes: the result */
    enum ph_status unread;   /* close: why not all was read (TIMEOUT …) */
    long os;                 /* the system's number behind it, or 0 */
    const char *why;         /* static text: detail of a failure, or NULL */
    /* results of reads and transacts. `data` may be the port's scratch buffer:
     * valid until the next call on the port, unless ph_op_keep is called. */
    const unsigned char *data;
    size_t len;
    bool more;     /* a part of a message: the rest is read next; watch: names
                      were lost */
    bool all_read; /* close: the peer has read everything */
    int64_t bytes; /* write: taken by the system as far as it says; -1: not
                      known */
    /* private to host/overlapped */
    struct ph_port *port;
    struct ph_op *next;
    struct ph_op *ready_next, **ready_link;
    struct ph_timer timer; /* the deadline, or the next try before it */
    int64_t deadline;
    bool starting; /* inside its start: do not call back */
    /* from here to system: of one run */
    int64_t pause, flush_deadline;
    enum ph_status ending; /* PH_OK, or why it was asked to end */
    enum ph_goal goal;
    int phase;
    size_t want;
    const unsigned char *out; /* what is written: the caller's, or buf */
    size_t out_len, out_done, out_base; /* base: bytes before `out` */
    unsigned char *buf;                 /* owned */
    size_t cap;
    char *name;    /* owned: create, open, available */
    void *options; /* owned copy of create/open options */
    void *system;  /* while it runs: the back end's own; watch: the folder;
                      input: the input */
};

/* Asks a PENDING operation to end; nothing happens to another. Only DONE tells
 * what came of it: PH_CANCELLED, or its ordinary result. */
void ph_op_cancel(struct ph_op *op);

/* Calls `done` of an operation that was DONE when its start returned, in the
 * port's next turn and in line with those that end there; ph_op_clear before
 * that takes it back. Its data is to be kept (ph_op_keep). */
void ph_op_announce(struct ph_op *op);

/* Copies a result that lies in the port's scratch buffer into memory of the
 * operation. PH_OK or PH_NOMEM (the data is lost then). */
enum ph_status ph_op_keep(struct ph_op *op);

/* Frees what a DONE or IDLE operation owns and makes it IDLE. */
void ph_op_clear(struct ph_op *op);

/* ---- Pipes ---------------------------------------------------------- */

enum ph_mode { PH_MODE_ANY, PH_MODE_MESSAGE, PH_MODE_BYTE };
enum ph_direction { PH_DUPLEX, PH_INBOUND, PH_OUTBOUND }; /* seen by server */
enum ph_access_kind {
    PH_ACCESS_ME,
    PH_ACCESS_ADMINS,
    PH_ACCESS_USERS,
    PH_ACCESS_UIDS, /* Linux: these uids besides me */
    PH_ACCESS_SDDL  /* Windows: this descriptor */
};
enum ph_open_wait { PH_OPEN_EXISTS, PH_OPEN_FREE, PH_OPEN_NO };

struct ph_create_options {
    enum ph_mode mode; /* MESSAGE or BYTE */
    enum ph_direction direction;
    uint32_t max_instances; /* 1…; PH_INSTANCES_MAX: no limit */
    uint32_t backlog;       /* 1…: clients that may wait for a connect */
    bool first;             /* this process must not have the name yet either */
    bool movable;           /* every client goes through ph_pipe_give */
    size_t max_message;     /* bytes */
    enum ph_access_kind access;
    const uint32_t *uids; /* PH_ACCESS_UIDS */
    size_t uid_count;
    const char *sddl; /* PH_ACCESS_SDDL */
};

struct ph_open_options {
    enum ph_mode mode; /* ANY takes what the server has */
    enum ph_open_wait wait;
    size_t max_message;
    bool any_peer; /* do not ask who the server is */
    bool own_peer; /* ask also where names are not of this user alone */
};

/* Which side of a pipe, and how far it has come. */
enum ph_pipe_state {
    PH_PIPE_NEW,          /* nothing opened yet */
    PH_PIPE_LISTENING,    /* a server instance without a client */
    PH_PIPE_CONNECTED,    /* has, or had, a peer */
    PH_PIPE_DISCONNECTED, /* a server instance after disconnect */
    PH_PIPE_CLOSED
};

struct ph_info {
    const char *name; /* as given; valid while the pipe lives */
    const char *path; /* the system's full name */
    bool server, framed; /* framed: it has a frame, so bytes are messages */
    enum ph_mode mode;
    enum ph_direction direction;
    enum ph_pipe_state state;
    uint32_t instances, max_instances; /* 0: not known (client) */
    size_t max_message;
};

struct ph_peer {
    uint32_t pid; /* 0: not known */
    bool has_uid;
    uint32_t uid;
    char sid[192]; /* Windows, else "" */
};

struct ph_peek {
    size_t available; /* bytes that a read could take now, all messages */
    size_t left;      /* message mode: of the first message; byte mode 0 */
};

/* Checks a pipe name by the rules of this system without touching it. PH_OK,
 * or PH_MISUSE with *why: a static sentence that states the rule. */
enum ph_status ph_name_check(const char *name, const char **why);

/* What can be known of a pipe without connecting to it. */
struct ph_listed {
    const char *name;     /* valid during the call */
    enum ph_mode mode;    /* ANY: not known */
    int64_t instances;    /* Linux: those with a client; Windows: all of them;
                             -1: not known */
    struct ph_peer owner; /* pid 0, has_uid false, sid "": not known */
};

/* Calls `each` for every pipe by a plain name that somebody serves now, in no
 * order. `each` may not use the port. PH_OK or PH_SYSTEM. */
enum ph_status ph_pipe_list(void (*each)(void *user,
                                         const struct ph_listed *one),
                            void *user);

/* Makes a pipe object in state NEW, with one reference. NULL: no memory. */
struct ph_pipe *ph_pipe_new(struct ph_port *port);
/* Another instance, LISTENING, of the name that a created pipe (not closed)
 * serves: create without its questions to the system. NULL: no memory. */
struct ph_pipe *ph_pipe_new_instance(const struct ph_pipe *of);

/* Another reference, which its taker gives up by ph_pipe_release. */
void ph_pipe_retain(struct ph_pipe *pipe);

/* Gives a reference up. The last one closes the pipe, as ph_pipe_close does,
 * and frees it when all of its operations are DONE. */
void ph_pipe_release(struct ph_pipe *pipe);

/* How a byte pipe is cut into messages: a header of a fixed size, with the
 * length of what follows in it. */
struct ph_frame_header {
    size_t size;               /* bytes of the header, 1…PH_FRAME_HEADER_MAX */
    size_t offset, width;      /* of the length, an unsigned integer of 1…8 */
    bool big_endian;           /* the length's order of bytes */
    bool counts_header;        /* the length is that of header and body */
    bool keep;                 /* messages come and go with their headers */
    const unsigned char *bytes; /* the header that is sent (the length aside) */
    const unsigned char *mask; /* bits that are to come as they are in bytes */
};
#define PH_FRAME_HEADER_MAX 4096

/* A frame with one reference; the bytes are copied. NULL header: lines, their
 * ends as for PH_READ_LINE, and a line feed is sent behind each. NULL: no
 * memory. */
struct ph_frame *ph_frame_new(const struct ph_frame_header *header);

/* Another reference. */
void ph_frame_retain(struct ph_frame *frame);

/* Gives a reference up; the last one frees it. NULL is allowed. */
void ph_frame_release(struct ph_frame *frame);

/* From now on the pipe, if it is a byte pipe, has messages, by this frame, to
 * which it takes a reference; NULL: none any more, when no read is pending. */
void ph_pipe_set_frame(struct ph_pipe *pipe, struct ph_frame *frame);

/* How far it has come. CONNECTED says nothing of the peer, who may have gone:
 * only reads and writes tell that. */
enum ph_pipe_state ph_pipe_state(const struct ph_pipe *pipe);

/* The port that it was made on. */
struct ph_port *ph_pipe_port(const struct ph_pipe *pipe);

/* Fills in what is known of it, in any state; its texts live as the pipe does,
 * those of an instance until it is closed. */
void ph_pipe_info(const struct ph_pipe *pipe, struct ph_info *out);

/* The peer of a CONNECTED pipe, also after it has gone. PH_OK, PH_MISUSE
 * (never connected), PH_SYSTEM with *os. */
enum ph_status ph_pipe_peer(struct ph_pipe *pipe, struct ph_peer *out,
                            long *os);

/* What could be read now. PH_OK; PH_CLOSED: the peer has gone and nothing is
 * left; PH_MISUSE in other states (230). An empty message is not seen. */
enum ph_status ph_pipe_peek(struct ph_pipe *pipe, struct ph_peek *out,
                            long *os);

/* Server: drops the client, discards what is unread (Linux cannot take back
 * what was sent); pending operations end as PH_CLOSED. The instance may then
 * connect again. PH_OK; PH_MISUSE: a client end, or never connected. */
enum ph_status ph_pipe_disconnect(struct ph_pipe *pipe, const char **why);

/* ---- Clients that go to another port --------------------------------- */

/* A client on its way from one port to another: any thread may have it. */
struct ph_gift {
    intptr_t handle; /* the system's */
    enum ph_mode mode;
    enum ph_direction direction;
    size_t max_message;
};

/* Takes the client out of a server's pipe that has just connected, with nothing
 * started on it; its listener was created with `movable`. The pipe keeps its
 * place among max_instances until it is closed. */
void ph_pipe_give(struct ph_pipe *pipe, struct ph_gift *out);

/* Gives the pipe its client again. PH_OK, or PH_SYSTEM: drop the gift. */
enum ph_status ph_pipe_take_back(struct ph_pipe *pipe,
                                 const struct ph_gift *gift);

/* A CONNECTED pipe of this port with that client, and copies of the texts for
 * ph_pipe_info. NULL: no memory, or the system refused; drop the gift. */
struct ph_pipe *ph_pipe_take(struct ph_port *port, const struct ph_gift *gift,
                             const char *name, const char *path);

/* Nobody wants the client: closes its handle. */
void ph_gift_drop(const struct ph_gift *gift);

/*
 * The starts. Each returns PH_OK when the operation was started (its state is
 * then PENDING or DONE), or PH_MISUSE with op->why when the pipe's state
 * forbids it (the operation stays as it was), or PH_NOMEM (likewise).
 * `deadline`: absolute; the operation then ends as PH_TIMEOUT.
 */

/* Takes the name (as the first instance in this process) or adds an instance.
 * pipe is NEW and becomes LISTENING: clients may open it from now on. Ends as
 * PH_EXISTS (another process serves the name: retried until the deadline),
 * PH_BUSY (max_instances reached), PH_DENIED, PH_MODE (differs from the
 * instances that there are), PH_TOOBIG (the system can't carry max_message),
 * PH_SYSTEM. Options are copied. */
enum ph_status ph_create_start(struct ph_op *op, struct ph_pipe *pipe,
                               const char *name,
                               const struct ph_create_options *options,
                               int64_t deadline);

/* Opens the client end; pipe is NEW and becomes CONNECTED. PH_ABSENT, PH_BUSY
 * (retried until the deadline as options.wait says; then PH_TIMEOUT with the
 * reason in op->why), PH_DENIED, PH_MODE, PH_TOOBIG, PH_SYSTEM. */
enum ph_status ph_open_start(struct ph_op *op, struct ph_pipe *pipe,
                             const char *name,
                             const struct ph_open_options *options,
                             int64_t deadline);

/* Waits until the pipe could be opened; never connects. PH_OK, PH_ABSENT (at
 * once), PH_TIMEOUT. A reservation it is not. */
enum ph_status ph_available_start(struct ph_op *op, struct ph_port *port,
                                  const char *name, int64_t deadline);

/* Waits for a client. PH_OK also for one that has gone again: the next read
 * tells. pipe is LISTENING or DISCONNECTED and becomes CONNECTED. */
enum ph_status ph_connect_start(struct ph_op *op, struct ph_pipe *pipe,
                                int64_t deadline);

/* Reads; reads of one pipe are served in the order of their starts. PH_OK with
 * data, len, more; "" is a message. PH_CLOSED: nothing will come any more.
 * PH_TOOBIG (MESSAGE, LINE): longer than max_message (of a frame: its body),
 * what came stays readable in parts. PH_PROTOCOL: not the frame's header. What
 * came before a time-out stays readable too. MESSAGE on a byte pipe needs a
 * frame. */
enum ph_status ph_read_start(struct ph_op *op, struct ph_pipe *pipe,
                             enum ph_goal goal, size_t want, int64_t deadline);

/*
 * A read that waits for long can do without its operation, which is several
 * times as large as what else an idle pipe needs. It rests: the system, or the
 * back end, still waits for what comes, and then asks the owner for another
 * operation to go on with.
 */
struct ph_rest {
    /* Gives an operation, IDLE, with its `done` set, which is PENDING from then
     * on, until *deadline. NULL: no memory; what has come is lost, and the owner
     * ends the pipe, but not before this returns. */
    struct ph_op *(*wake)(struct ph_rest *rest, int64_t *deadline);
};

/* Waits for a message without an operation, as ph_read_start would with one. One
 * that is there already, or the end, is in the operation that `wake` was asked
 * for, DONE, without a call. False: nothing was done, only ph_read_start can. */
bool ph_read_rest(struct ph_pipe *pipe, struct ph_rest *rest);

/* A read that rests goes on in an operation. */
void ph_read_wake(struct ph_pipe *pipe);

/* It ends, and nobody is told. */
void ph_read_forget(struct ph_pipe *pipe);

/* Does the pipe's read rest? */
bool ph_read_rests(const struct ph_pipe *pipe);

/* An operation of this port, IDLE, for ph_op_give; NULL: no memory. The port
 * keeps some that were given back. */
struct ph_op *ph_op_take(struct ph_port *port);

/* Takes back one that is DONE or IDLE; can be its `done`. */
void ph_op_give(struct ph_op *op);

/* Writes all of `data`, which must live until this returns; done when the
 * system has accepted it. A message pipe: one message. PH_TOOBIG: longer than
 * max_message, nothing sent. After a time-out or cancel that may have torn
 * the stream the pipe takes no more writes (PH_CLOSED). */
enum ph_status ph_write_start(struct ph_op *op, struct ph_pipe *pipe,
                              const void *data, size_t len, int64_t deadline);

/* Writes one whole message as ph_write_start does; on a byte pipe with its
 * frame around it. PH_MISUSE also: the byte pipe has no frame, or the message
 * is to come with its header and is shorter. PH_TOOBIG also: longer than
 * max_message or than the header's length can say. */
enum ph_status ph_send_start(struct ph_op *op, struct ph_pipe *pipe,
                             const void *data, size_t len, int64_t deadline);

/* Sends a message as ph_send_start does, but the operation stays IDLE where the
 * system takes the message at once, as it does most; and in a turn that brings
 * many messages it may be PENDING until the turn's end, so that they are sent
 * together. */
enum ph_status ph_reply_start(struct ph_op *op, struct ph_pipe *pipe,
                              const void *data, size_t len, int64_t deadline);

/* Message mode, duplex: writes a message and reads the reply. PH_BUSY: unread
 * data is there, or a read or transact is pending; nothing sent. After a
 * time-out or cancel the pipe takes only close. */
enum ph_status ph_transact_start(struct ph_op *op, struct ph_pipe *pipe,
                                 const void *data, size_t len,
                                 int64_t deadline);

/* Done when the peer has read all that was written; PH_CLOSED when it went
 * before. */
enum ph_status ph_flush_start(struct ph_op *op, struct ph_pipe *pipe,
                              int64_t deadline);

#define PH_CLOSE_DRAIN_US 1000000

/* Closes for good: cancels reads and connects, waits for own writes at most
 * PH_CLOSE_DRAIN_US, then closes; what the system has accepted stays readable
 * for the peer. With `flush_deadline` other than PH_NOW it first waits until
 * the peer has read all, and tells in op->all_read. Always ends as PH_OK: a
 * cancel only cuts the waiting short. A second close of the same pipe is
 * PH_MISUSE. */
enum ph_status ph_close_start(struct ph_op *op, struct ph_pipe *pipe,
                              int64_t flush_deadline);

/* From now on max_instances, backlog and max_message of the options hold for
 * the name of a created pipe; clients that are there keep their max_message.
 * PH_OK; PH_TOOBIG: the system carries no messages that long (*why), and
 * nothing has changed. */
enum ph_status ph_pipe_adjust(struct ph_pipe *pipe,
                              const struct ph_create_options *options,
                              const char **why);

/* The name of a created pipe takes no new clients: it is given back at once,
 * the clients there are stay connected, pending connects end as PH_CANCELLED.
 */
void ph_pipe_refuse(struct ph_pipe *pipe);

/* The same with PH_NOW, for those who don't wait for its end. Nothing happens
 * to a closed pipe. */
void ph_pipe_close(struct ph_pipe *pipe);

#endif
