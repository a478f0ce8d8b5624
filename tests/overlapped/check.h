/* SPDX-License-Identifier: MIT */
/*
 * A small frame for tests of host/overlapped on both systems. Each test gets a
 * bed: a port and a fresh pipe name. What it takes from the bed is closed,
 * waited for and freed at its end; what then still exists fails the test.
 */
#ifndef CHECK_H
#define CHECK_H

#include "overlapped.h"

#define CHECK_WAIT_US INT64_C(10000000) /* longer is a hang */

struct bed {
    struct ph_port *port;
    char name[80];
    int calls; /* of `done`, of all operations */
    struct bed_op *ops;
    struct bed_pipe *pipes;
    struct bed_process *processes;
};

/* An operation that counts its calls. */
struct bed_op {
    struct ph_op op;
    struct bed *bed;
    int calls;
    bool in_start; /* set by a test around a start: no call is allowed */
    struct bed_op *next;
};

/* Notes a failure of the running test with the place; returns `good`. */
bool check(bool good, const char *what, const char *file, int line);
#define expect(condition) check((condition), #condition, __FILE__, __LINE__)

/* The same for outcomes, named in the report. */
bool check_status(enum ph_status is, enum ph_status want, const char *what,
                  const char *file, int line);
#define expect_status(is, want)                                                \
    check_status((is), PH_##want, #is, __FILE__, __LINE__)

/* The running test can't go on here; it is reported as skipped. The reason
 * lives as long as the test. */
void skip(const char *reason);

/* Runs one test and reports it. */
void run_test(const char *name, void (*test)(struct bed *bed));

/* Prints the closing line; the exit status. */
int tests_end(void);

/* Objects of the bed. A pipe has one reference, the bed's. */
struct ph_op *bed_op(struct bed *bed);
struct ph_pipe *bed_pipe(struct bed *bed);

/* Takes over the one reference. */
void bed_process(struct bed *bed, struct ph_process *process);

/* How often op->done was called. */
int bed_calls(const struct ph_op *op);

/* A deadline so many milliseconds from now. */
int64_t after_ms(struct bed *bed, int64_t ms);

/* Runs the port until the operation is DONE; its outcome. PH_PENDING: it was
 * not within CHECK_WAIT_US, which fails the test. */
enum ph_status await(struct bed *bed, struct ph_op *op);

/* Runs the port for so long, or until nothing more is ready (0). */
void run_ms(struct bed *bed, int64_t ms);

/* Options with the defaults of the contract. */
struct ph_create_options create_options(enum ph_mode mode);
struct ph_open_options open_options(void);

/* Starts and awaits; the outcome. PH_MISUSE also when the start refused. */
enum ph_status create(struct bed *bed, struct ph_pipe *pipe,
                      const struct ph_create_options *options);
enum ph_status open_client(struct bed *bed, struct ph_pipe *pipe);
enum ph_status connect_client(struct bed *bed, struct ph_pipe *pipe);
enum ph_status write_text(struct bed *bed, struct ph_pipe *pipe,
                          const char *text);
enum ph_status write_bytes(struct bed *bed, struct ph_pipe *pipe,
                           const void *bytes, size_t len);
enum ph_status close_pipe(struct bed *bed, struct ph_pipe *pipe);

/* Reads (SOME for bytes, MESSAGE for messages); is it just that? */
bool reads_text(struct bed *bed, struct ph_pipe *pipe, const char *text);
/* Reads and gives the outcome. */
enum ph_status read_outcome(struct bed *bed, struct ph_pipe *pipe);

/* A connected pair. */
struct pair {
    struct ph_pipe *server, *client;
};
struct pair bed_pair(struct bed *bed, enum ph_mode mode);
struct pair bed_pair_with(struct bed *bed,
                          const struct ph_create_options *options);

/* Does an operation's result equal the text? */
bool is_text(const struct ph_op *op, const char *text);

/* A byte of a long pattern, the same for reader and writer. */
unsigned char pattern_at(size_t index);

/* The same numbers in every run. */
uint32_t next_random(uint32_t *state);

/* thread_linux.c, thread_win32.c: runs in a thread of its own; join waits. */
struct thread;
struct thread *thread_start(void (*run)(void *user), void *user);
void thread_join(struct thread *thread);

/* folder_linux.c, folder_win32.c: true when it was done. A move replaces what
 * is there. */
bool folder_make(const char *path);
bool folder_remove(const char *path);
bool file_move(const char *from, const char *to);

/* Is a watch told that its folder was deleted? Wine tells nothing. */
bool tells_deleted_folder(void);

/* Is this the system whose sockets have no message limit of their own, a true
 * disconnect, and many processes for a name? Windows: true. */
extern const bool has_named_pipes;

#endif
