/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <string.h>
#include <time.h>

#include "platform.h"

#define LINE_MAX_BYTES 16384

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
};

static void add(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof line->bytes - 2 - line->len;
    if (len > room)
        len = room;
    memcpy(line->bytes + line->len, text, len);
    line->len += len;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_json(struct line *line, const char *text)
{
    add_text(line, "\"");
    for (; *text; text++) {
        char escape[8];
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else if (c == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else if (c < ' ')
            snprintf(escape, sizeof escape, "\\u%04x", c);
        else
            snprintf(escape, sizeof escape, "%c", c);
        add_text(line, escape);
    }
    add_text(line, "\"");
}

static void add_time(struct line *line, const char *format)
{
    char text[64];
    struct tm parts;
    int64_t ms = ph_wall_clock_ms();
    time_t seconds = (time_t)(ms / 1000);
    ph_utc(seconds, &parts);
    strftime(text, sizeof text, format, &parts);
    add_text(line, text);
    snprintf(text, sizeof text, ".%03dZ", (int)(ms % 1000));
    add_text(line, text);
}

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void format_json(struct line *line, const struct ph_log_entry *entry)
{
    const struct ph_log_origin *origin = &entry->origin;
    char number[32];
    add_text(line, "{\"time\":\"");
    add_time(line, "%Y-%m-%dT%H:%M:%S");
    add_text(line, "\",\"level\":");
    add_json(line, level_names[entry->level]);
    if (origin->script) {
        add_text(line, ",\"script\":");
        add_json(line, origin->script);
        snprintf(number, sizeof number, ",\"generation\":%u",
                 origin->generation);
        add_text(line, number);
    }
    for (size_t i = 0; i + 1 < entry->count; i += 2) {
        add_text(line, ",");
        add_json(line, entry->fields[i]);
        add_text(line, ":");
        add_json(line, entry->fields[i + 1]);
    }
    add_text(line, ",\"message\":");
    add_json(line, entry->text);
    add_text(line, "}");
}

/* Without traces only the first line of an error is for people. */
static size_t shown(const struct ph_log *log, const char *text)
{
    const char *trace = strstr(text, "\nstack traceback:");
    return trace && !log->traces ? (size_t)(trace - text) : strlen(text);
}

static void format_head(const struct ph_log *log, struct line *line,
                        const struct ph_log_entry *entry)
{
    const struct ph_log_origin *origin = &entry->origin;
    static const char *const colours[] = {"\33[2m", "", "\33[33m", "\33[31m"};
    char number[32];
    add_time(line, "%H:%M:%S");
    if (log->colour)
        add_text(line, colours[entry->level]);
    snprintf(number, sizeof number, " %-5s ", level_names[entry->level]);
    add_text(line, number);
    if (origin->script) {
        add_text(line, origin->script);
        snprintf(number, sizeof number, "#%u: ", origin->generation);
        add_text(line, number);
    }
}

/* The fields end the first line, whatever is below it. */
static void format_body(const struct ph_log *log, struct line *line,
                        const struct ph_log_entry *entry)
{
    const char *text = entry->text;
    size_t len = shown(log, text), first = strcspn(text, "\n");
    if (first > len)
        first = len;
    add(line, text, first);
    for (size_t i = 0; i + 1 < entry->count; i += 2) {
        add_text(line, " ");
        add_text(line, entry->fields[i]);
        add_text(line, "=");
        add_text(line, entry->fields[i + 1]);
    }
    add(line, text + first, len - first);
    if (log->colour)
        add_text(line, "\33[0m");
}

void ph_log_line(const struct ph_log *log, const struct ph_log_entry *entry)
{
    struct line line; /* only its length: it is large */
    if (entry->level < log->least)
        return;
    line.len = 0;
    if (log->json) {
        format_json(&line, entry);
    } else {
        format_head(log, &line, entry);
        format_body(log, &line, entry);
    }
    line.bytes[line.len++] = '\n';
    fwrite(line.bytes, 1, line.len, log->to);
    fflush(log->to);
}
