/* SPDX-License-Identifier: MIT */
/* Frames as read.c and write.c see them. */
#ifndef PH_FRAME_H
#define PH_FRAME_H

#include "overlapped.h"

/* A message within the bytes of a stream. */
struct ph_framed {
    size_t skip; /* bytes before it */
    size_t len;
    const char *why; /* static: what is wrong with the header, or NULL */
};

/* Has it line ends instead of headers? Then read.c finds its messages. */
bool ph_frame_is_lines(const struct ph_frame *frame);

/* Of a frame with headers: where the message is in a stream that begins with
 * these bytes. PH_PENDING: more are needed to tell, or to have all of it (then
 * out->len is set, else 0). PH_TOOBIG: its body is longer than `max`.
 * PH_PROTOCOL, with out->why: this is no header of the frame. */
enum ph_status ph_frame_find(const struct ph_frame *frame,
                             const unsigned char *bytes, size_t have,
                             size_t max, struct ph_framed *out);

/* Bytes of a message of `len` bytes in the stream. PH_MISUSE (*why), PH_TOOBIG:
 * see ph_send_start; `max` is that of the pipe. */
enum ph_status ph_frame_measure(const struct ph_frame *frame, size_t len,
                                size_t max, size_t *total, const char **why);

/* Writes the message as it goes into the stream, ph_frame_measure's total. */
void ph_frame_put(const struct ph_frame *frame, const void *data, size_t len,
                  unsigned char *out);

#endif
