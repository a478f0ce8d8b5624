/* SPDX-License-Identifier: MIT */
/*
 * Messages in a stream of bytes: lines, or bodies behind headers.
 *
 * A frame is only a description; what has come and is not complete lies in the
 * pipe (read.c). The length in a header is the peer's word: it is compared with
 * the limit before anything is allocated or waited for, and a body that is too
 * long is told when its header is there, not when it has all come.
 */
#include "frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct ph_frame {
    size_t refs;
    struct ph_frame_header header; /* size 0: lines */
    unsigned char bytes[];         /* the header's, then its mask */
};

struct ph_frame *ph_frame_new(const struct ph_frame_header *header)
{
    size_t size = header ? header->size : 0;
    struct ph_frame *frame = calloc(1, sizeof *frame + 2 * size);
    if (!frame)
        return NULL;
    frame->refs = 1;
    if (!header)
        return frame;
    assert(size && size <= PH_FRAME_HEADER_MAX);
    assert(header->width && header->width <= 8);
    assert(header->offset + header->width <= size);
    frame->header = *header;
    frame->header.bytes = memcpy(frame->bytes, header->bytes, size);
    frame->header.mask = memcpy(frame->bytes + size, header->mask, size);
    return frame;
}

void ph_frame_retain(struct ph_frame *frame)
{
    frame->refs++;
}

void ph_frame_release(struct ph_frame *frame)
{
    if (frame && --frame->refs == 0)
        free(frame);
}

bool ph_frame_is_lines(const struct ph_frame *frame)
{
    return !frame->header.size;
}

/* ---- The length in a header --------------------------------------------- */

static size_t place(const struct ph_frame_header *header, size_t i)
{
    size_t last = header->width - 1;
    return header->offset + (header->big_endian ? last - i : i);
}

static uint64_t get_length(const struct ph_frame_header *header,
                           const unsigned char *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < header->width; i++)
        value |= (uint64_t)bytes[place(header, i)] << 8 * i;
    return value;
}

static void put_length(const struct ph_frame_header *header, uint64_t value,
                       unsigned char *bytes)
{
    for (size_t i = 0; i < header->width; i++)
        bytes[place(header, i)] = (unsigned char)(value >> 8 * i);
}

static uint64_t most(const struct ph_frame_header *header)
{
    return header->width == 8 ? UINT64_MAX
                              : (UINT64_C(1) << 8 * header->width) - 1;
}

/* ---- Receiving ---------------------------------------------------------- */

static bool is_header(const struct ph_frame_header *header,
                      const unsigned char *bytes)
{
    for (size_t i = 0; i < header->size; i++)
        if ((bytes[i] ^ header->bytes[i]) & header->mask[i])
            return false;
    return true;
}

enum ph_status ph_frame_find(const struct ph_frame *frame,
                             const unsigned char *bytes, size_t have,
                             size_t max, struct ph_framed *out)
{
    const struct ph_frame_header *header = &frame->header;
    uint64_t body;
    assert(!ph_frame_is_lines(frame));
    *out = (struct ph_framed){0};
    if (have < header->size)
        return PH_PENDING;
    if (!is_header(header, bytes)) {
        out->why = "the header has other constants than the frame's struct";
        return PH_PROTOCOL;
    }
    body = get_length(header, bytes);
    if (header->counts_header && body < header->size) {
        out->why = "the header's length is less than the header";
        return PH_PROTOCOL;
    }
    if (header->counts_header)
        body -= header->size;
    if (body > max)
        return PH_TOOBIG;
    out->skip = header->keep ? 0 : header->size;
    out->len = (size_t)body + header->size - out->skip;
    return have < out->skip + out->len ? PH_PENDING : PH_OK;
}

/* ---- Sending ------------------------------------------------------------ */

enum ph_status ph_frame_measure(const struct ph_frame *frame, size_t len,
                                size_t max, size_t *total, const char **why)
{
    const struct ph_frame_header *header = &frame->header;
    size_t kept = header->keep ? header->size : 0;
    *why = "a message of this frame begins with its header";
    if (len < kept)
        return PH_MISUSE;
    len -= kept;
    *why = "longer than the pipe's max_message";
    if (len > max)
        return PH_TOOBIG;
    *why = "longer than the frame's length can say";
    *total = len + (ph_frame_is_lines(frame) ? 1 : header->size);
    if (header->size && (header->counts_header ? *total : len) > most(header))
        return PH_TOOBIG;
    *why = NULL;
    return PH_OK;
}

static void put_header(const struct ph_frame_header *header, size_t body,
                       unsigned char *out)
{
    uint64_t value = header->counts_header ? body + header->size : body;
    if (!header->keep)
        memcpy(out, header->bytes, header->size);
    put_length(header, value, out);
}

void ph_frame_put(const struct ph_frame *frame, const void *data, size_t len,
                  unsigned char *out)
{
    const struct ph_frame_header *header = &frame->header;
    size_t before = header->keep ? 0 : header->size;
    if (len)
        memcpy(out + before, data, len);
    if (ph_frame_is_lines(frame))
        out[len] = '\n';
    else
        put_header(header, before + len - header->size, out);
}
