/* SPDX-License-Identifier: MIT */
/* Watched folders: what is told of writes, renames, deletes, and of too much.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MAX 100

/* A folder of the test's own, watched, and what was told of it. */
struct place {
    struct bed *bed;
    char path[600];
    struct ph_folder *folder;
    struct ph_op *op;
    char seen[SEEN_MAX][64]; /* with their marks */
    int count;
    bool lost;
};

static void path_in(const struct place *place, const char *name, char out[700])
{
    snprintf(out, 700, "%s/%s", place->path, name);
}

static bool open_place(struct bed *bed, struct place *place, bool names_only)
{
    const char *tmp = getenv("PH_TMP");
    long os = 0;
    memset(place, 0, sizeof *place);
    place->bed = bed;
    place->op = bed_op(bed);
    snprintf(place->path, sizeof place->path, "%s/%s", tmp ? tmp : ".",
             bed->name);
    return expect(folder_make(place->path)) &&
           expect_status(ph_folder_open(bed->port, place->path, names_only,
                                        &place->folder, &os),
                         OK);
}

static void close_place(struct place *place)
{
    ph_folder_close(place->folder);
    run_ms(place->bed, 1);
    folder_remove(place->path);
}

static FILE *open_file(const struct place *place, const char *name)
{
    char path[700];
    path_in(place, name, path);
    return fopen(path, "wb");
}

static void put(FILE *file, const char *text)
{
    fputs(text, file);
    fflush(file);
}

static void write_file(const struct place *place, const char *name,
                       const char *text)
{
    FILE *file = open_file(place, name);
    if (!expect(file != NULL))
        return;
    put(file, text);
    fclose(file);
}

static void remove_file(const struct place *place, const char *name)
{
    char path[700];
    path_in(place, name, path);
    expect(remove(path) == 0);
}

static void note(struct place *place)
{
    const char *at = (const char *)place->op->data;
    const char *end = at + place->op->len;
    place->lost |= place->op->more;
    for (; at < end; at += strlen(at) + 1)
        if (place->count < SEEN_MAX)
            snprintf(place->seen[place->count++], sizeof place->seen[0], "%s",
                     at);
}

static bool saw(const struct place *place, const char *marked)
{
    for (int i = 0; i < place->count; i++)
        if (strcmp(place->seen[i], marked) == 0)
            return true;
    return false;
}

/* Watches until that was told. */
static bool sees(struct place *place, const char *marked)
{
    int64_t limit = ph_port_clock(place->bed->port) + CHECK_WAIT_US;
    while (!saw(place, marked) && ph_port_clock(place->bed->port) < limit) {
        ph_watch_start(place->op, place->folder, after_ms(place->bed, 200));
        if (await(place->bed, place->op) == PH_OK)
            note(place);
    }
    return saw(place, marked);
}

/* ---- What is told ------------------------------------------------------- */

static void writes(struct bed *bed)
{
    struct place place;
    if (!open_place(bed, &place, false))
        return;
    write_file(&place, "a.lua", "one");
    expect(sees(&place, "*a.lua"));
    place.count = 0;
    write_file(&place, "a.lua", "two, which is longer");
    expect(sees(&place, "*a.lua"));
    place.count = 0;
    remove_file(&place, "a.lua");
    expect(sees(&place, "*a.lua"));
    close_place(&place);
}

static void renames(struct bed *bed)
{
    struct place place;
    char from[700], to[700];
    if (!open_place(bed, &place, true))
        return;
    write_file(&place, "a.lua", "one");
    write_file(&place, "new", "two");
    expect(sees(&place, "*new"));
    place.count = 0;
    path_in(&place, "new", from);
    path_in(&place, "a.lua", to);
    expect(file_move(from, to));
    expect(sees(&place, "*a.lua"));
    expect(sees(&place, "*new"));
    remove_file(&place, "a.lua");
    close_place(&place);
}

/* A half-written file is told as such until its writer closes it. */
static void open_writer(struct bed *bed)
{
    struct place place;
    FILE *file;
    if (has_named_pipes) {
        skip("this system does not tell who writes still");
        return;
    }
    if (!open_place(bed, &place, false))
        return;
    file = open_file(&place, "a.lua");
    put(file, "half");
    expect(sees(&place, "~a.lua"));
    expect(strcmp(place.seen[place.count - 1], "~a.lua") == 0);
    place.count = 0;
    put(file, "whole");
    fclose(file);
    expect(sees(&place, "*a.lua"));
    expect(strcmp(place.seen[place.count - 1], "*a.lua") == 0);
    remove_file(&place, "a.lua");
    close_place(&place);
}

static void names_only(struct bed *bed)
{
    struct place place;
    FILE *file;
    if (!open_place(bed, &place, true))
        return;
    file = open_file(&place, "a.lua");
    expect(sees(&place, "*a.lua"));
    run_ms(bed, 50);
    while (ph_watch_start(place.op, place.folder, PH_NOW) == PH_OK &&
           place.op->status == PH_OK)
        ;
    put(file, "written, but not renamed");
    fclose(file);
    ph_watch_start(place.op, place.folder, after_ms(bed, 50));
    expect_status(await(bed, place.op), TIMEOUT);
    remove_file(&place, "a.lua");
    close_place(&place);
}

static void names_outside_of_ascii(struct bed *bed)
{
    struct place place;
    if (!open_place(bed, &place, false))
        return;
    if (has_named_pipes) /* whose fopen takes the program's code page */
        write_file(&place, "plain.lua", "x");
    else
        write_file(&place,
                   "gr\xC3\xBC\xC3\x9F"
                   "e.lua",
                   "x");
    if (has_named_pipes)
        expect(sees(&place, "*plain.lua"));
    else
        expect(sees(&place, "*gr\xC3\xBC\xC3\x9F"
                            "e.lua"));
    remove_file(&place, has_named_pipes ? "plain.lua"
                                        : "gr\xC3\xBC\xC3\x9F"
                                          "e.lua");
    close_place(&place);
}

/* What happens between two watches is kept; too much of it is told as lost. */
static void between_watches(struct bed *bed)
{
    struct place place;
    char name[40];
    if (!open_place(bed, &place, false))
        return;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "file-with-a-long-name-%06d", i);
        write_file(&place, name, "x");
        if (i % 50 == 0)
            run_ms(bed, 0);
    }
    run_ms(bed, 100);
    ph_watch_start(place.op, place.folder, after_ms(bed, 1000));
    expect_status(await(bed, place.op), OK);
    expect(place.op->more);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "file-with-a-long-name-%06d", i);
        remove_file(&place, name);
    }
    write_file(&place, "last", "x");
    run_ms(bed, 100);
    remove_file(&place, "last");
    close_place(&place);
}

/* ---- Its end ------------------------------------------------------------ */

static void deleted_folder(struct bed *bed)
{
    struct place place;
    int64_t limit;
    if (!tells_deleted_folder()) {
        skip("Wine does not tell that a watched folder was deleted");
        return;
    }
    if (!open_place(bed, &place, false))
        return;
    expect(folder_remove(place.path));
    limit = ph_port_clock(bed->port) + CHECK_WAIT_US;
    do {
        ph_watch_start(place.op, place.folder, after_ms(bed, 500));
        await(bed, place.op);
    } while (place.op->status != PH_CLOSED && ph_port_clock(bed->port) < limit);
    expect_status(place.op->status, CLOSED);
    /* The name is free: the folder is really gone. */
    expect(folder_make(place.path));
    close_place(&place);
}

static void not_a_folder(struct bed *bed)
{
    struct place place;
    struct ph_folder *folder = NULL;
    char path[700];
    long os = 0;
    if (!open_place(bed, &place, false))
        return;
    path_in(&place, "absent", path);
    expect_status(ph_folder_open(bed->port, path, false, &folder, &os), ABSENT);
    path_in(&place, "file", path);
    write_file(&place, "file", "x");
    expect_status(ph_folder_open(bed->port, path, false, &folder, &os), ABSENT);
    remove_file(&place, "file");
    close_place(&place);
}

static void one_watch_at_a_time(struct bed *bed)
{
    struct place place;
    struct ph_op *second = bed_op(bed);
    if (!open_place(bed, &place, false))
        return;
    expect_status(ph_watch_start(place.op, place.folder, PH_FOREVER), OK);
    expect_status(ph_watch_start(second, place.folder, PH_FOREVER), MISUSE);
    expect(second->why != NULL);
    ph_op_cancel(place.op);
    expect_status(await(bed, place.op), CANCELLED);
    expect_status(ph_watch_start(place.op, place.folder, after_ms(bed, 10)),
                  OK);
    expect_status(await(bed, place.op), TIMEOUT);
    expect(bed_calls(place.op) == 2);
    close_place(&place);
}

static void closed_while_pending(struct bed *bed)
{
    struct place place;
    if (!open_place(bed, &place, false))
        return;
    ph_watch_start(place.op, place.folder, PH_FOREVER);
    ph_folder_close(place.folder);
    expect(bed_calls(place.op) == 0);
    expect_status(await(bed, place.op), CANCELLED);
    run_ms(bed, 1);
    expect(folder_remove(place.path));
}

/* Two watches of one folder are told alike, and the end of one leaves the
 * other. */
static void watched_twice(struct bed *bed)
{
    struct place place, other;
    long os = 0;
    if (!open_place(bed, &place, true))
        return;
    other = place;
    other.op = bed_op(bed);
    expect_status(
        ph_folder_open(bed->port, place.path, false, &other.folder, &os), OK);
    write_file(&place, "a", "x");
    expect(sees(&place, "*a"));
    expect(sees(&other, "*a"));
    ph_folder_close(place.folder);
    run_ms(bed, 1);
    other.count = 0;
    write_file(&place, "a", "more");
    expect(sees(&other, "*a"));
    remove_file(&other, "a");
    close_place(&other);
}

int main(void)
{
    run_test("writes and deletes", writes);
    run_test("renames", renames);
    run_test("a writer that is not done", open_writer);
    run_test("names only", names_only);
    run_test("names outside of ASCII", names_outside_of_ascii);
    run_test("between two watches", between_watches);
    run_test("a deleted folder", deleted_folder);
    run_test("not a folder", not_a_folder);
    run_test("one watch at a time", one_watch_at_a_time);
    run_test("closed while pending", closed_while_pending);
    run_test("watched twice", watched_twice);
    return tests_end();
}
