/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <assert.h>
#include <stdlib.h>

#include "operation.h"

static bool has_news(const struct ph_input *input)
{
    return !input->asked && (input->len || input->ended);
}

static void end(struct ph_op *op, struct ph_input *input, enum ph_status status)
{
    op->system = NULL;
    input->op = NULL;
    ph_op_end(op, status);
}

/* The bytes go to the operation without a copy. */
static void serve(struct ph_op *op, struct ph_input *input)
{
    if (!input->len) {
        op->os = input->os;
        end(op, input, input->os ? PH_SYSTEM : PH_CLOSED);
        return;
    }
    op->buf = input->bytes;
    op->cap = PH_INPUT_MOST;
    op->data = op->buf;
    op->len = input->len;
    input->bytes = NULL;
    input->len = 0;
    end(op, input, PH_OK);
}

void ph_input_step(struct ph_op *op)
{
    struct ph_input *input = op->system;
    if (!input) /* closed */
        ph_op_end(op, op->ending);
    else if (has_news(input))
        serve(op, input);
    else if (op->ending != PH_OK)
        end(op, input, op->ending);
}

void ph_input_arrived(struct ph_input *input)
{
    assert(input->asked);
    input->asked = false;
    if (input->op)
        ph_op_poke(input->op);
}

/* Only for an operation: nothing is read that nobody wants. */
static enum ph_status ask(struct ph_input *input)
{
    if (input->asked || has_news(input))
        return PH_OK;
    if (!input->bytes)
        input->bytes = malloc(PH_INPUT_MOST);
    if (!input->bytes)
        return PH_NOMEM;
    input->asked = true;
    ph_backend_input_ask(input);
    return PH_OK;
}

enum ph_status ph_input_start(struct ph_op *op, struct ph_input *input,
                              int64_t deadline)
{
    if (input->op)
        return ph_op_misuse(op, "a read of the input is pending");
    if (ask(input) != PH_OK)
        return PH_NOMEM;
    ph_op_begin(op, PH_OP_INPUT, input->port, NULL, deadline);
    op->system = input;
    input->op = op;
    if (has_news(input))
        serve(op, input);
    ph_op_started(op);
    return PH_OK;
}

enum ph_status ph_input_open(struct ph_port *port, struct ph_input **out,
                             long *os)
{
    *os = 0;
    return ph_backend_input_open(port, out, os);
}

void ph_input_close(struct ph_input *input)
{
    if (input->op) {
        input->op->system = NULL;
        ph_op_cancel(input->op);
        input->op = NULL;
    }
    ph_backend_input_close(input);
}
