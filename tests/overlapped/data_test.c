/* SPDX-License-Identifier: MIT */
/* What is written is what is read: messages, parts of them, and bytes. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

static void ping_pong(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    for (int i = 0; i < 200; i++) {
        expect_status(write_text(bed, pair.client, "ping"), OK);
        expect(reads_text(bed, pair.server, "ping"));
        expect_status(write_text(bed, pair.server, "pong!"), OK);
        expect(reads_text(bed, pair.client, "pong!"));
    }
}

static void ping_pong_bytes(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    for (int i = 0; i < 200; i++) {
        expect_status(write_text(bed, pair.client, "ping"), OK);
        expect(reads_text(bed, pair.server, "ping"));
        expect_status(write_text(bed, pair.server, "pong!"), OK);
        expect(reads_text(bed, pair.client, "pong!"));
    }
}

/* The read waits, and ends in the port's run with one call. */
static void read_before_write(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    for (int i = 1; i <= 50; i++) {
        expect_status(
            ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER), OK);
        expect(op->state == PH_OP_PENDING);
        expect_status(write_text(bed, pair.client, "late"), OK);
        expect_status(await(bed, op), OK);
        expect(is_text(op, "late"));
        expect(bed_calls(op) == i);
    }
}

static void empty_messages(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    expect_status(write_text(bed, pair.client, ""), OK);
    expect_status(write_text(bed, pair.client, "x"), OK);
    expect_status(write_text(bed, pair.client, ""), OK);
    expect(reads_text(bed, pair.server, ""));
    expect(reads_text(bed, pair.server, "x"));
    expect(reads_text(bed, pair.server, ""));
    ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    expect_status(write_text(bed, pair.client, ""), OK);
    expect_status(await(bed, op), OK);
    expect(is_text(op, ""));
    expect_status(write_text(bed, pair.client, ""), OK);
    expect_status(close_pipe(bed, pair.client), OK);
    expect(reads_text(bed, pair.server, ""));
    expect_status(read_outcome(bed, pair.server), CLOSED);
    expect_status(read_outcome(bed, pair.server), CLOSED);
}

static void empty_byte_write(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = bed_op(bed);
    ph_read_start(op, pair.server, PH_READ_SOME, 10, PH_FOREVER);
    expect_status(write_text(bed, pair.client, ""), OK);
    run_ms(bed, 20);
    expect(op->state == PH_OP_PENDING);
    expect_status(write_text(bed, pair.client, "abc"), OK);
    expect_status(await(bed, op), OK);
    expect(is_text(op, "abc"));
}

static void parts_of_a_message(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    expect_status(write_text(bed, pair.client, "0123456789"), OK);
    expect_status(write_text(bed, pair.client, "next"), OK);
    for (int i = 0; i < 4; i++) {
        static const char *const parts[] = {"012", "345", "678", "9"};
        ph_read_start(op, pair.server, PH_READ_SOME, 3, after_ms(bed, 2000));
        expect_status(await(bed, op), OK);
        expect(is_text(op, parts[i]));
        expect(op->more == (i < 3));
    }
    expect(reads_text(bed, pair.server, "next"));
}

/* The rest of a message stays readable when its sender has gone. */
static void rest_survives_close(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    expect_status(write_text(bed, pair.client, "abcdef"), OK);
    ph_read_start(op, pair.server, PH_READ_SOME, 4, after_ms(bed, 2000));
    expect_status(await(bed, op), OK);
    expect_status(close_pipe(bed, pair.client), OK);
    expect(reads_text(bed, pair.server, "ef"));
    expect_status(read_outcome(bed, pair.server), CLOSED);
}

static bool is_pattern(const unsigned char *bytes, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != pattern_at(from + i))
            return false;
    return true;
}

static unsigned char *make_pattern(size_t len)
{
    unsigned char *bytes = malloc(len ? len : 1);
    for (size_t i = 0; bytes && i < len; i++)
        bytes[i] = pattern_at(i);
    return bytes;
}

/* Sizes around every buffer that lies on the way. */
static void message_sizes(struct bed *bed)
{
    static const size_t sizes[] = {1,     255,   256,    257,    511,  512,
                                   513,   4095,  4096,   4097,   8192, 65535,
                                   65536, 65537, 131073, 200000, 3,    0};
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    options.max_message = 200000;
    struct pair pair = bed_pair_with(bed, &options);
    unsigned char *bytes = make_pattern(200000);
    for (size_t i = 0; i < ph_countof(sizes); i++) {
        struct ph_op *op = bed_op(bed), *out = bed_op(bed);
        if (i % 2)
            ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
        ph_write_start(out, pair.client, bytes, sizes[i], PH_FOREVER);
        if (i % 2 == 0)
            ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
        expect_status(await(bed, op), OK);
        expect(op->len == sizes[i] && is_pattern(op->data, 0, op->len));
        expect_status(await(bed, out), OK);
    }
    free(bytes);
}

/* Sending more than max_message sends nothing; an incoming one is served in
 * parts. */
static void too_big(struct bed *bed)
{
    struct pair pair = {bed_pipe(bed), bed_pipe(bed)};
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_open_options open = open_options();
    struct ph_op *op = bed_op(bed);
    unsigned char *bytes = make_pattern(2000);
    size_t got = 0;
    options.max_message = 100;
    expect_status(create(bed, pair.server, &options), OK);
    ph_open_start(op, pair.client, bed->name, &open, PH_NOW);
    expect_status(await(bed, op), OK);
    expect_status(connect_client(bed, pair.server), OK);
    expect_status(write_bytes(bed, pair.server, bytes, 101), TOOBIG);
    expect_status(write_bytes(bed, pair.client, bytes, 2000), OK);
    expect_status(write_text(bed, pair.client, "after"), OK);
    expect_status(read_outcome(bed, pair.server), TOOBIG);
    do {
        ph_read_start(op, pair.server, PH_READ_SOME, 600, after_ms(bed, 2000));
        if (!expect_status(await(bed, op), OK))
            break;
        expect(is_pattern(op->data, got, op->len));
        got += op->len;
    } while (op->more);
    expect(got == 2000);
    expect(reads_text(bed, pair.server, "after"));
    expect_status(write_text(bed, pair.server, "still fine"), OK);
    expect(reads_text(bed, pair.client, "still fine"));
    free(bytes);
}

static void bytes_have_no_boundaries(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = bed_op(bed);
    expect_status(write_text(bed, pair.client, "one"), OK);
    expect_status(write_text(bed, pair.client, "four"), OK);
    expect(reads_text(bed, pair.server, "onefour"));
    expect_status(write_text(bed, pair.client, "abcdefgh"), OK);
    ph_read_start(op, pair.server, PH_READ_EXACT, 3, after_ms(bed, 2000));
    expect_status(await(bed, op), OK);
    expect(is_text(op, "abc"));
    ph_read_start(op, pair.server, PH_READ_EXACT, 7, PH_FOREVER);
    run_ms(bed, 10);
    expect(op->state == PH_OP_PENDING);
    expect_status(write_text(bed, pair.client, "ijk"), OK);
    expect_status(await(bed, op), OK);
    expect(is_text(op, "defghij"));
    expect(reads_text(bed, pair.server, "k"));
}

/* All that is there comes in one go, whatever the buffers had before. */
static void takes_what_is_there(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    unsigned char *bytes = make_pattern(10000);
    struct ph_op *op = bed_op(bed);
    expect_status(write_bytes(bed, pair.client, bytes, 10000), OK);
    ph_read_start(op, pair.server, PH_READ_SOME, 65536, after_ms(bed, 2000));
    expect_status(await(bed, op), OK);
    expect(op->len == 10000 && is_pattern(op->data, 0, op->len));
    ph_read_start(op, pair.server, PH_READ_SOME, 65536, PH_FOREVER);
    expect_status(write_bytes(bed, pair.client, bytes, 10000), OK);
    expect_status(await(bed, op), OK);
    expect(op->len == 10000 && is_pattern(op->data, 0, op->len));
    free(bytes);
}

static void lines(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = bed_op(bed);
    static const char *const want[] = {"one", "", "three", "last"};
    expect_status(write_text(bed, pair.client, "one\r\n\nth"), OK);
    for (int i = 0; i < 4; i++) {
        ph_read_start(op, pair.server, PH_READ_LINE, 0, after_ms(bed, 2000));
        if (i == 2) {
            run_ms(bed, 10);
            expect_status(write_text(bed, pair.client, "ree\nlast"), OK);
            expect_status(close_pipe(bed, pair.client), OK);
        }
        expect_status(await(bed, op), OK);
        expect(is_text(op, want[i]));
    }
    expect_status(read_outcome(bed, pair.server), CLOSED);
}

#define BIG (20u << 20)

/* One write of 20 MiB against a reader that takes it bit by bit. */
static void big_byte_write(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    unsigned char *bytes = make_pattern(BIG);
    struct ph_op *out = bed_op(bed), *op = bed_op(bed);
    size_t got = 0;
    ph_write_start(out, pair.client, bytes, BIG, PH_FOREVER);
    free(bytes); /* it is the operation's own by now */
    expect(out->state == PH_OP_PENDING);
    while (got < BIG) {
        ph_read_start(op, pair.server, PH_READ_SOME, 1u << 20,
                      after_ms(bed, 5000));
        if (!expect_status(await(bed, op), OK) || !expect(op->len > 0))
            break;
        if (!expect(is_pattern(op->data, got, op->len)))
            break;
        got += op->len;
    }
    expect(got == BIG);
    expect_status(await(bed, out), OK);
    expect(out->bytes == BIG);
}

/* Writes beyond what the system holds wait; a reader lets them go on. */
static void writes_wait(struct bed *bed)
{
    enum { COUNT = 40, SIZE = 60000 };
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    unsigned char *bytes = make_pattern(SIZE);
    struct ph_op *out[COUNT], *op = bed_op(bed);
    for (int i = 0; i < COUNT; i++) {
        out[i] = bed_op(bed);
        bytes[0] = (unsigned char)i;
        expect_status(
            ph_write_start(out[i], pair.client, bytes, SIZE, PH_FOREVER), OK);
    }
    expect(out[COUNT - 1]->state == PH_OP_PENDING);
    for (int i = 0; i < COUNT; i++) {
        ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, after_ms(bed, 5000));
        expect_status(await(bed, op), OK);
        expect(op->len == SIZE && op->data[0] == i);
    }
    for (int i = 0; i < COUNT; i++)
        expect_status(await(bed, out[i]), OK);
    free(bytes);
}

static void reads_in_order(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *ops[5];
    for (int i = 0; i < 5; i++) {
        ops[i] = bed_op(bed);
        ph_read_start(ops[i], pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    }
    ph_op_cancel(ops[1]);
    expect_status(await(bed, ops[1]), CANCELLED);
    for (int i = 0; i < 4; i++) {
        char text[2] = {(char)('a' + i), 0};
        expect_status(write_text(bed, pair.client, text), OK);
    }
    expect_status(await(bed, ops[4]), OK);
    for (int i = 0, n = 0; i < 5; i++) {
        char text[2] = {(char)('a' + n), 0};
        if (i == 1)
            continue;
        /* What earlier ones hold was not kept: only the last is looked at. */
        expect(ops[i]->state == PH_OP_DONE && ops[i]->len == 1);
        n++;
        if (i == 4)
            expect(is_text(ops[i], text));
    }
}

static void peek(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_peek seen;
    struct ph_op *op = bed_op(bed);
    long os;
    expect_status(ph_pipe_peek(pair.server, &seen, &os), OK);
    expect(seen.available == 0 && seen.left == 0);
    expect_status(write_text(bed, pair.client, "0123456789"), OK);
    expect_status(write_text(bed, pair.client, "abc"), OK);
    expect_status(ph_pipe_peek(pair.server, &seen, &os), OK);
    expect(seen.available == 13 && seen.left == 10);
    ph_read_start(op, pair.server, PH_READ_SOME, 4, after_ms(bed, 2000));
    expect_status(await(bed, op), OK);
    expect_status(ph_pipe_peek(pair.server, &seen, &os), OK);
    expect(seen.available == 9 && seen.left == 6);
    expect_status(close_pipe(bed, pair.client), OK);
    expect(reads_text(bed, pair.server, "456789"));
    expect_status(ph_pipe_peek(pair.server, &seen, &os), OK);
    expect(seen.available == 3 && seen.left == 3);
    expect(reads_text(bed, pair.server, "abc"));
    expect_status(ph_pipe_peek(pair.server, &seen, &os), CLOSED);
}

static void peek_bytes(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_peek seen;
    long os;
    expect_status(write_text(bed, pair.client, "01234567"), OK);
    expect_status(ph_pipe_peek(pair.server, &seen, &os), OK);
    expect(seen.available == 8 && seen.left == 0);
    expect_status(ph_pipe_peek(pair.client, &seen, &os), OK);
    expect(seen.available == 0 && seen.left == 0);
}

static void transact(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed), *second = bed_op(bed);
    for (int i = 0; i < 20; i++) {
        expect_status(ph_transact_start(op, pair.client, "ask", 3, PH_FOREVER),
                      OK);
        expect(op->state == PH_OP_PENDING);
        ph_transact_start(second, pair.client, "ask2", 4, PH_FOREVER);
        expect(second->state == PH_OP_DONE);
        expect_status(second->status, BUSY);
        expect(reads_text(bed, pair.server, "ask"));
        expect_status(write_text(bed, pair.server, "answer"), OK);
        expect_status(await(bed, op), OK);
        expect(is_text(op, "answer"));
    }
    expect_status(write_text(bed, pair.server, "unasked"), OK);
    run_ms(bed, 5);
    ph_transact_start(op, pair.client, "ask", 3, PH_FOREVER);
    expect_status(await(bed, op), BUSY);
    expect(reads_text(bed, pair.client, "unasked"));
}

/* A late reply would be taken for the next one's. */
static void transact_timeout(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    ph_transact_start(op, pair.client, "ask", 3, after_ms(bed, 20));
    expect_status(await(bed, op), TIMEOUT);
    expect(reads_text(bed, pair.server, "ask"));
    expect_status(write_text(bed, pair.server, "late"), OK);
    ph_transact_start(op, pair.client, "again", 5, after_ms(bed, 20));
    expect_status(await(bed, op), CLOSED);
    expect_status(read_outcome(bed, pair.client), CLOSED);
    expect_status(close_pipe(bed, pair.client), OK);
}

int main(void)
{
    run_test("ping-pong", ping_pong);
    run_test("ping-pong of bytes", ping_pong_bytes);
    run_test("read before write", read_before_write);
    run_test("empty messages", empty_messages);
    run_test("empty byte write", empty_byte_write);
    run_test("parts of a message", parts_of_a_message);
    run_test("rest survives close", rest_survives_close);
    run_test("message sizes", message_sizes);
    run_test("too big", too_big);
    run_test("bytes have no boundaries", bytes_have_no_boundaries);
    run_test("takes what is there", takes_what_is_there);
    run_test("lines", lines);
    run_test("big byte write", big_byte_write);
    run_test("writes wait", writes_wait);
    run_test("reads in order", reads_in_order);
    run_test("peek", peek);
    run_test("peek at bytes", peek_bytes);
    run_test("transact", transact);
    run_test("transact timeout", transact_timeout);
    return tests_end();
}
