/* SPDX-License-Identifier: MIT */
/* Messages on byte pipes: behind headers, and as lines. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

/* 'M' 'G' and a length of two bytes. */
static struct ph_frame_header plain_header(void)
{
    static const unsigned char bytes[] = "MG\0\0", mask[] = "\xff\xff\0\0";
    struct ph_frame_header header = {
        .size = 4, .offset = 2, .width = 2, .bytes = bytes, .mask = mask};
    return header;
}

static void set_frame(struct pair pair, const struct ph_frame_header *header)
{
    struct ph_frame *frame = ph_frame_new(header);
    ph_pipe_set_frame(pair.server, frame);
    ph_pipe_set_frame(pair.client, frame);
    ph_frame_release(frame);
}

static struct pair framed_pair(struct bed *bed,
                               const struct ph_frame_header *header)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    set_frame(pair, header);
    return pair;
}

static enum ph_status send_bytes(struct bed *bed, struct ph_pipe *pipe,
                                 const void *bytes, size_t len)
{
    struct ph_op *op = bed_op(bed);
    enum ph_status status = ph_send_start(op, pipe, bytes, len, PH_FOREVER);
    return status == PH_OK ? await(bed, op) : status;
}

static enum ph_status send_text(struct bed *bed, struct ph_pipe *pipe,
                                const char *text)
{
    return send_bytes(bed, pipe, text, strlen(text));
}

static struct ph_op *receive(struct bed *bed, struct ph_pipe *pipe)
{
    struct ph_op *op = bed_op(bed);
    if (expect_status(
            ph_read_start(op, pipe, PH_READ_MESSAGE, 0, after_ms(bed, 5000)),
            OK))
        await(bed, op);
    return op;
}

/* Its result is valid until the next call on the port. */
static bool receives(struct bed *bed, struct ph_pipe *pipe, const char *text)
{
    struct ph_op *op = receive(bed, pipe);
    return op->status == PH_OK && is_text(op, text);
}

static bool reads_exactly(struct bed *bed, struct ph_pipe *pipe,
                          const void *bytes, size_t len)
{
    struct ph_op *op = bed_op(bed);
    ph_read_start(op, pipe, PH_READ_EXACT, len, after_ms(bed, 5000));
    return await(bed, op) == PH_OK && op->len == len &&
           memcmp(op->data, bytes, len) == 0;
}

static void whole_messages(struct bed *bed)
{
    struct ph_frame_header header = plain_header();
    struct pair pair = framed_pair(bed, &header);
    expect_status(send_text(bed, pair.client, "one"), OK);
    expect_status(send_text(bed, pair.client, ""), OK);
    expect_status(send_text(bed, pair.client, "three"), OK);
    expect(receives(bed, pair.server, "one"));
    expect(receives(bed, pair.server, ""));
    expect(receives(bed, pair.server, "three"));
    expect_status(send_text(bed, pair.server, "back"), OK);
    expect(reads_exactly(bed, pair.client, "MG\4\0back", 8));
}

static void cut_anywhere(struct bed *bed)
{
    static const char stream[] = "MG\3\0abcMG\0\0MG\5\0hello";
    const size_t size = sizeof stream - 1;
    struct ph_frame_header header = plain_header();
    struct pair pair = framed_pair(bed, &header);
    for (size_t cut = 0; cut <= size; cut++) {
        struct ph_op *op = bed_op(bed);
        ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
        expect_status(write_bytes(bed, pair.client, stream, cut), OK);
        run_ms(bed, 0);
        expect_status(write_bytes(bed, pair.client, stream + cut, size - cut),
                      OK);
        expect_status(await(bed, op), OK);
        expect(is_text(op, "abc"));
        expect(receives(bed, pair.server, ""));
        expect(receives(bed, pair.server, "hello"));
    }
}

static void partial_stays(struct bed *bed)
{
    struct ph_frame_header header = plain_header();
    struct pair pair = framed_pair(bed, &header);
    struct ph_op *op = bed_op(bed);
    expect_status(write_bytes(bed, pair.client, "MG\6\0abc", 7), OK);
    ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, after_ms(bed, 20));
    expect_status(await(bed, op), TIMEOUT);
    expect_status(write_text(bed, pair.client, "def"), OK);
    expect(receives(bed, pair.server, "abcdef"));
    expect_status(write_bytes(bed, pair.client, "MG\6\0xyz", 7), OK);
    ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, after_ms(bed, 20));
    expect_status(await(bed, op), TIMEOUT);
    expect(reads_exactly(bed, pair.server, "MG\6\0xyz", 7));
}

static void ends_midway(struct bed *bed)
{
    struct ph_frame_header header = plain_header();
    struct pair pair = framed_pair(bed, &header);
    expect_status(write_bytes(bed, pair.client, "MG\1\0aMG\2\0b", 10), OK);
    expect_status(close_pipe(bed, pair.client), OK);
    expect(receives(bed, pair.server, "a"));
    expect_status(receive(bed, pair.server)->status, CLOSED);
    expect(reads_exactly(bed, pair.server, "MG\2\0b", 5));
}

static void too_big(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_BYTE);
    struct ph_frame_header header = plain_header();
    struct pair pair;
    options.max_message = 10;
    pair = bed_pair_with(bed, &options);
    set_frame(pair, &header);
    expect_status(send_text(bed, pair.server, "0123456789"), OK);
    expect_status(send_text(bed, pair.server, "0123456789a"), TOOBIG);
    expect(receives(bed, pair.client, "0123456789"));
    expect_status(write_bytes(bed, pair.client, "MG\13\0rest", 8), OK);
    expect_status(receive(bed, pair.server)->status, TOOBIG);
    expect_status(receive(bed, pair.server)->status, TOOBIG);
    expect(reads_exactly(bed, pair.server, "MG\13\0rest", 8));
}

/* What the length's field cannot say is refused. */
static void narrow_length(struct bed *bed)
{
    static char text[300];
    struct ph_frame_header header = plain_header();
    struct pair pair;
    header.width = 1;
    header.counts_header = true;
    pair = framed_pair(bed, &header);
    memset(text, 'x', 299);
    expect_status(send_bytes(bed, pair.client, text, 252), TOOBIG);
    expect_status(send_bytes(bed, pair.client, text, 251), OK);
    text[251] = '\0';
    expect(receives(bed, pair.server, text));
}

static void big_endian_with_header(struct bed *bed)
{
    struct ph_frame_header header = plain_header();
    struct pair pair;
    header.big_endian = header.counts_header = header.keep = true;
    pair = framed_pair(bed, &header);
    /* The length is the frame's to fill in, the rest is the sender's. */
    expect_status(send_bytes(bed, pair.client, "MG??abc", 7), OK);
    expect(reads_exactly(bed, pair.server, "MG\0\7abc", 7));
    expect_status(send_bytes(bed, pair.client, "MG??", 4), OK);
    struct ph_op *op = receive(bed, pair.server);
    expect(op->status == PH_OK && op->len == 4);
    expect(memcmp(op->data, "MG\0\4", 4) == 0);
    expect_status(send_bytes(bed, pair.client, "MG?", 3), MISUSE);
}

static void no_header(struct bed *bed)
{
    struct ph_frame_header header = plain_header();
    struct pair pair = framed_pair(bed, &header);
    struct ph_op *op;
    expect_status(write_bytes(bed, pair.client, "MH\0\0", 4), OK);
    op = receive(bed, pair.server);
    expect_status(op->status, PROTOCOL);
    expect(op->why && strstr(op->why, "constants"));
    expect(reads_exactly(bed, pair.server, "MH\0\0", 4));
    header.counts_header = true;
    set_frame(pair, &header);
    expect_status(write_bytes(bed, pair.client, "MG\3\0", 4), OK);
    op = receive(bed, pair.server);
    expect_status(op->status, PROTOCOL);
    expect(op->why && strstr(op->why, "less than the header"));
}

static void wide_length(struct bed *bed)
{
    static const unsigned char bytes[8], mask[8];
    struct ph_frame_header header = {
        .size = 8, .width = 8, .bytes = bytes, .mask = mask};
    struct pair pair = framed_pair(bed, &header);
    expect_status(send_text(bed, pair.client, "eight"), OK);
    expect(receives(bed, pair.server, "eight"));
    expect_status(
        write_bytes(bed, pair.client, "\xff\xff\xff\xff\xff\xff\xff\xff", 8),
        OK);
    expect_status(receive(bed, pair.server)->status, TOOBIG);
}

static void lines(struct bed *bed)
{
    struct pair pair = framed_pair(bed, NULL);
    expect_status(send_text(bed, pair.client, "one"), OK);
    expect_status(write_text(bed, pair.client, "\r\ntwo\r\nlast"), OK);
    expect(receives(bed, pair.server, "one"));
    expect(receives(bed, pair.server, ""));
    expect(receives(bed, pair.server, "two"));
    expect_status(close_pipe(bed, pair.client), OK);
    expect(receives(bed, pair.server, "last"));
    expect_status(receive(bed, pair.server)->status, CLOSED);
}

/* Longer than any buffer on the way, and many small ones in one write. */
static void sizes(struct bed *bed)
{
    struct ph_frame_header header = plain_header();
    struct pair pair = framed_pair(bed, &header);
    size_t most = 65535;
    unsigned char *bytes = malloc(most);
    struct ph_op *op, *write = bed_op(bed);
    for (size_t i = 0; i < most; i++)
        bytes[i] = pattern_at(i);
    ph_send_start(write, pair.client, bytes, most, PH_FOREVER);
    op = receive(bed, pair.server);
    expect(op->status == PH_OK && op->len == most &&
           memcmp(op->data, bytes, most) == 0);
    expect_status(await(bed, write), OK);
    for (size_t i = 0; i < most / 5; i++)
        memcpy(bytes + 5 * i, "MG\1\0", 4);
    ph_write_start(write, pair.client, bytes, most, PH_FOREVER);
    for (size_t i = 0; i < most / 5; i++) {
        op = receive(bed, pair.server);
        if (op->status != PH_OK || op->len != 1 ||
            op->data[0] != pattern_at(5 * i + 4)) {
            expect_status(op->status, OK);
            break;
        }
        ph_op_clear(op);
    }
    expect_status(await(bed, write), OK);
    free(bytes);
}

static void without_a_frame(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = bed_op(bed);
    expect_status(ph_send_start(op, pair.client, "x", 1, PH_FOREVER), MISUSE);
    expect_status(
        ph_read_start(op, pair.client, PH_READ_MESSAGE, 0, PH_FOREVER), MISUSE);
}

static void on_a_message_pipe(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    set_frame(pair, NULL); /* says nothing there */
    expect_status(send_text(bed, pair.client, "a\nb"), OK);
    expect(receives(bed, pair.server, "a\nb"));
}

int main(void)
{
    run_test("whole messages", whole_messages);
    run_test("cut anywhere", cut_anywhere);
    run_test("partial stays", partial_stays);
    run_test("ends midway", ends_midway);
    run_test("too big", too_big);
    run_test("narrow length", narrow_length);
    run_test("big endian with header", big_endian_with_header);
    run_test("no header", no_header);
    run_test("wide length", wide_length);
    run_test("lines", lines);
    run_test("sizes", sizes);
    run_test("without a frame", without_a_frame);
    run_test("on a message pipe", on_a_message_pipe);
    return tests_end();
}
