/* SPDX-License-Identifier: MIT */
/* Log lines on stderr: text for people, or one JSON object a line. */
#ifndef PH_LOG_H
#define PH_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "overlapped.h"

struct ph_log {
    FILE *to;
    enum ph_level least; /* lines below it are dropped */
    bool json;
    bool colour;
    bool traces; /* tracebacks are printed in full */
};

/* Where a line comes from; script NULL: the host itself. */
struct ph_log_origin {
    const char *script;
    unsigned generation;
};

/* Writes one line (more, when the text has some and it is not JSON) in one
 * write. `fields` has `count` strings: key, value, key … Text is UTF-8. */
void ph_log_line(const struct ph_log *log, enum ph_level level,
                 const struct ph_log_origin *origin, const char *text,
                 const char *const *fields, size_t count);

#endif
