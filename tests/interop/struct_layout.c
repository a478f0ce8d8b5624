/* SPDX-License-Identifier: MIT */
/*
 * What the compiler makes of some structs, for tests/struct/c_layout_test.py:
 * tests/struct/c_layout.lua declares the same ones and prints the same lines.
 *
 *   size STRUCT BYTES
 *   field STRUCT PATH OFFSET BYTES
 *   value STRUCT PATH VALUE    read from the bytes that stdin has for it
 *   bytes STRUCT HEX           of the struct as it is filled here
 *
 * stdin has "STRUCT HEX" lines; without one the struct's own bytes are read.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mixed {
    int8_t a;
    int16_t b;
    uint8_t c;
    int64_t d;
    uint8_t e;
    uint32_t f;
    float g;
    double h;
    uint8_t i;
};

struct point {
    uint8_t tag;
    double x;
    uint16_t y;
};

struct nested {
    uint8_t first;
    struct point one;
    uint8_t between;
    struct point many[3];
    uint8_t last;
};

struct text {
    uint8_t length;
    char name[5];
    uint16_t wide[6];
    char full[3];
    uint16_t letters[3];
    uint32_t end;
};

struct tail {
    uint64_t big;
    uint8_t small[3];
};

struct tails {
    uint8_t before;
    struct tail tails[2];
    uint16_t after;
};

struct native {
    char c;
    long l;
    short s;
    unsigned long ul;
    int i;
    size_t size;
};

struct small {
    uint8_t a;
    uint16_t b;
    uint8_t c[2];
};

#pragma pack(push, 1)
struct packed {
    uint8_t a;
    uint32_t b;
    struct point inner;
    double d;
    uint16_t e[3];
};
#pragma pack(pop)

#pragma pack(push, 4)
struct packed4 {
    uint8_t a;
    int64_t b;
    struct point inner;
    uint16_t c;
};
#pragma pack(pop)

static const struct mixed mixed = {-1,         -1234, 200,    INT64_MIN, 7,
                                   4000000000, 0.25f, -1e100, 255};
static const struct nested nested = {
    1, {2, 1.5, 3}, 4, {{5, -0.5, 6}, {7, 1e-300, 8}, {9, 1024, 65535}}, 10};
/* "Z\u00f6\U0001f600!" in UTF-16 */
static const struct text text = {200,
                                 "pipe",
                                 {0x5a, 0xf6, 0xd83d, 0xde00, 0x21},
                                 {'A', 'B', 'C'},
                                 {0x20ac, 0x61, 0x62},
                                 0xdeadbeef};
static const struct tails tails = {
    1, {{0x0102030405060708, {1, 2, 3}}, {9, {4, 5, 6}}}, 0xffff};
static const struct native native = {'x', -5, -6, 7, -8, 9};
static const struct small small = {1, 0x0203, {4, 5}};
static const struct packed packed = {1, 2, {3, 4.5, 6}, 7.25, {8, 9, 10}};
static const struct packed4 packed4 = {1, -2, {3, 4.5, 6}, 7};

/* ---- Lines -------------------------------------------------------------- */

static void print_bytes(const char *name, const void *data, size_t size)
{
    const unsigned char *at = data;
    printf("size %s %u\nbytes %s ", name, (unsigned)size, name);
    for (size_t i = 0; i < size; i++)
        printf("%02x", at[i]);
    printf("\n");
}

static void print_int(const char *name, const char *path, int64_t value)
{
    printf("value %s %s %" PRId64 "\n", name, path, value);
}

static void print_real(const char *name, const char *path, double value)
{
    printf("value %s %s %.17g\n", name, path, value);
}

/* In the notation of string literals, so that nothing depends on the console.
 */
static void print_units(const char *name, const char *path,
                        const uint16_t *units, size_t most)
{
    printf("value %s %s ", name, path);
    for (size_t i = 0; i < most && units[i]; i++)
        printf("%04x", units[i]);
    printf("\n");
}

static void print_text(const char *name, const char *path, const char *text_at,
                       size_t most)
{
    printf("value %s %s %.*s\n", name, path, (int)most, text_at);
}

/* FIELD(mixed, a): its offset and size */
#define FIELD(type, path)                                                      \
    printf("field %s %s %u %u\n", #type, #path,                                \
           (unsigned)offsetof(struct type, path),                              \
           (unsigned)sizeof(((struct type *)0)->path))
#define INT(type, path)                                                        \
    (FIELD(type, path), print_int(#type, #path, (int64_t)value.path))
#define REAL(type, path)                                                       \
    (FIELD(type, path), print_real(#type, #path, value.path))

/* ---- Input -------------------------------------------------------------- */

enum { MOST_INPUT = 65536 };
static char input[MOST_INPUT + 1];

/* Overwrites the struct with what stdin had for it. */
static void read_struct(const char *name, void *data, size_t size)
{
    char key[64];
    const char *at;
    unsigned char *to = data;
    snprintf(key, sizeof key, "\n%s ", name);
    at = strstr(input, key);
    if (!at)
        return;
    at += strlen(key);
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        if (sscanf(at + 2 * i, "%2x", &byte) != 1) {
            fprintf(stderr, "%s: fewer than %u bytes\n", name, (unsigned)size);
            exit(1);
        }
        to[i] = (unsigned char)byte;
    }
}

/* The variable `value`: what stdin has, or else what is filled above. The
 * padding is zero, as pipehost packs it. */
#define BEGIN(type)                                                            \
    struct type value;                                                         \
    memset(&value, 0, sizeof value);                                           \
    fill_##type(&value);                                                       \
    print_bytes(#type, &value, sizeof value);                                  \
    read_struct(#type, &value, sizeof value)

/* ---- The structs: filled member by member, since a copy of a struct may copy
 * its padding or not ----------------------------------------------------------
 */

#define COPY(member) memcpy(&to->member, &from->member, sizeof to->member)

static void fill_point(struct point *to, const struct point *from)
{
    COPY(tag), COPY(x), COPY(y);
}

static void fill_mixed(struct mixed *to)
{
    const struct mixed *from = &mixed;
    COPY(a), COPY(b), COPY(c), COPY(d), COPY(e);
    COPY(f), COPY(g), COPY(h), COPY(i);
}

static void show_mixed(void)
{
    BEGIN(mixed);
    INT(mixed, a), INT(mixed, b), INT(mixed, c), INT(mixed, d), INT(mixed, e);
    INT(mixed, f), REAL(mixed, g), REAL(mixed, h), INT(mixed, i);
}

static void fill_nested(struct nested *to)
{
    const struct nested *from = &nested;
    COPY(first), COPY(between), COPY(last);
    fill_point(&to->one, &from->one);
    for (int i = 0; i < 3; i++)
        fill_point(&to->many[i], &from->many[i]);
}

/* Lua counts from one. */
static void show_point(const char *at, int number, size_t offset,
                       const struct point *value)
{
    char path[64], part[96];
    const struct {
        const char *name;
        size_t offset, size;
    } parts[] = {{"tag", offsetof(struct point, tag), sizeof value->tag},
                 {"x", offsetof(struct point, x), sizeof value->x},
                 {"y", offsetof(struct point, y), sizeof value->y}};
    snprintf(path, sizeof path, number ? "%s[%d]" : "%s", at, number);
    for (int i = 0; i < 3; i++)
        printf("field nested %s.%s %u %u\n", path, parts[i].name,
               (unsigned)(offset + parts[i].offset), (unsigned)parts[i].size);
    snprintf(part, sizeof part, "%s.tag", path);
    print_int("nested", part, value->tag);
    snprintf(part, sizeof part, "%s.x", path);
    print_real("nested", part, value->x);
    snprintf(part, sizeof part, "%s.y", path);
    print_int("nested", part, value->y);
}

static void show_nested(void)
{
    BEGIN(nested);
    INT(nested, first);
    FIELD(nested, one);
    show_point("one", 0, offsetof(struct nested, one), &value.one);
    INT(nested, between);
    FIELD(nested, many);
    for (int i = 0; i < 3; i++)
        show_point("many", i + 1,
                   offsetof(struct nested, many) + i * sizeof(struct point),
                   &value.many[i]);
    INT(nested, last);
}

static void fill_text(struct text *to)
{
    const struct text *from = &text;
    COPY(length), COPY(name), COPY(wide), COPY(full), COPY(letters), COPY(end);
}

static void show_text(void)
{
    BEGIN(text);
    INT(text, length), FIELD(text, name), FIELD(text, wide), FIELD(text, full);
    FIELD(text, letters), INT(text, end);
    print_text("text", "name", value.name, sizeof value.name);
    print_text("text", "full", value.full, sizeof value.full);
    print_units("text", "wide", value.wide, 6);
    print_units("text", "letters", value.letters, 3);
}

static void fill_tails(struct tails *to)
{
    const struct tails *from = &tails;
    COPY(before), COPY(after);
    for (int i = 0; i < 2; i++)
        COPY(tails[i].big), COPY(tails[i].small);
}

static void show_tails(void)
{
    BEGIN(tails);
    printf("size tail %u\n", (unsigned)sizeof(struct tail));
    INT(tails, before), FIELD(tails, tails), INT(tails, after);
    for (int i = 0; i < 2; i++) {
        char path[64];
        size_t offset = offsetof(struct tails, tails) + i * sizeof(struct tail);
        printf("field tails tails[%d].big %u 8\n", i + 1,
               (unsigned)(offset + offsetof(struct tail, big)));
        printf("field tails tails[%d].small %u 3\n", i + 1,
               (unsigned)(offset + offsetof(struct tail, small)));
        snprintf(path, sizeof path, "tails[%d].big", i + 1);
        print_int("tails", path, (int64_t)value.tails[i].big);
        for (int k = 0; k < 3; k++) {
            snprintf(path, sizeof path, "tails[%d].small[%d]", i + 1, k + 1);
            print_int("tails", path, value.tails[i].small[k]);
        }
    }
}

static void fill_native(struct native *to)
{
    const struct native *from = &native;
    COPY(c), COPY(l), COPY(s), COPY(ul), COPY(i), COPY(size);
}

static void show_native(void)
{
    BEGIN(native);
    FIELD(native, c);
    print_text("native", "c", &value.c, 1);
    INT(native, l), INT(native, s), INT(native, ul), INT(native, i);
    INT(native, size);
}

static void fill_small(struct small *to)
{
    const struct small *from = &small;
    COPY(a), COPY(b), COPY(c);
}

static void show_small(void)
{
    BEGIN(small);
    INT(small, a), INT(small, b), FIELD(small, c);
    print_int("small", "c[1]", value.c[0]);
    print_int("small", "c[2]", value.c[1]);
}

static void fill_packed(struct packed *to)
{
    const struct packed *from = &packed;
    COPY(a), COPY(b), COPY(d), COPY(e);
    COPY(inner.tag), COPY(inner.x), COPY(inner.y);
}

static void show_packed(void)
{
    BEGIN(packed);
    INT(packed, a), INT(packed, b), FIELD(packed, inner);
    INT(packed, inner.tag), REAL(packed, inner.x), INT(packed, inner.y);
    REAL(packed, d), FIELD(packed, e);
    print_int("packed", "e[1]", value.e[0]);
    print_int("packed", "e[2]", value.e[1]);
    print_int("packed", "e[3]", value.e[2]);
}

static void fill_packed4(struct packed4 *to)
{
    const struct packed4 *from = &packed4;
    COPY(a), COPY(b), COPY(c);
    COPY(inner.tag), COPY(inner.x), COPY(inner.y);
}

static void show_packed4(void)
{
    BEGIN(packed4);
    INT(packed4, a), INT(packed4, b), FIELD(packed4, inner);
    INT(packed4, inner.tag), REAL(packed4, inner.x), INT(packed4, inner.y);
    INT(packed4, c);
}

int main(void)
{
    /* The newline before the first name is one to search for. */
    size_t length = 1 + fread(input + 1, 1, MOST_INPUT - 1, stdin);
    input[0] = '\n';
    input[length] = 0;
    show_mixed();
    show_nested();
    show_text();
    show_tails();
    show_native();
    show_small();
    show_packed();
    show_packed4();
    return 0;
}
