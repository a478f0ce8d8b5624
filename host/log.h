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

/* What is to be said; all text is UTF-8. */
struct ph_log_entry {
    enum ph_level level;
    struct ph_log_origin origin;
    const char *text;
    const char *const *fields; /* key, value, key … */
    size_t count;              /* of strings in `fields` */
};

/* Writes one line (more, when the text has some and it is not JSON) in one
 * write, if its level is to be seen. */
void ph_log_line(const struct ph_log *log, const struct ph_log_entry *entry);

#endif
