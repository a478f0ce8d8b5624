/* SPDX-License-Identifier: MIT */
/*
 * The process's standard input as operations: a terminal, a pipe or a file is
 * read without holding the port. One for a process; what was read for an
 * operation that was ended before is kept for the next one.
 */
#ifndef PH_INPUT_H
#define PH_INPUT_H

#include "overlapped.h"

struct ph_input;

/* Begins to read for the port. PH_OK: *out is the caller's until
 * ph_input_close. PH_NOMEM, or PH_SYSTEM with *os. */
enum ph_status ph_input_open(struct ph_port *port, struct ph_input **out,
                             long *os);

/* Ends it; a pending read ends as PH_CANCELLED in the port's run. */
void ph_input_close(struct ph_input *input);

#define PH_INPUT_MOST 65536

/* Reads what there is, at most PH_INPUT_MOST bytes; of a terminal that is a
 * line. One at a time, else PH_MISUSE. PH_OK with op->data; PH_CLOSED: the
 * end; PH_SYSTEM with op->os. */
enum ph_status ph_input_start(struct ph_op *op, struct ph_input *input,
                              int64_t deadline);

/* ---- Between input.c and the back end -------------------------------- */

struct ph_input {
    struct ph_port *port;
    struct ph_op *op;     /* PENDING, or NULL */
    unsigned char *bytes; /* PH_INPUT_MOST; NULL: to be allocated */
    size_t len;           /* of them: read and not served */
    bool asked;           /* the back end reads */
    bool ended;
    long os; /* why it ended, or 0 */
};

/* An input of the back end's size, with what it needs of the system. */
enum ph_status ph_backend_input_open(struct ph_port *port,
                                     struct ph_input **out, long *os);

/* Reads once into input->bytes, sets len, or ended and os, and calls
 * ph_input_arrived, now or in a later poll. */
void ph_backend_input_ask(struct ph_input *input);

/* Frees the input and its bytes, at once or when the system is finished with
 * them; calls nothing any more. */
void ph_backend_input_close(struct ph_input *input);

/* Called by the back end: what was asked for is there. */
void ph_input_arrived(struct ph_input *input);

#endif
