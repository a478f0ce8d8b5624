/* SPDX-License-Identifier: MIT */
/* Arguments and environments as Windows takes them: texts in one piece. */
#include "operation.h"
#include "system_win32.h"

#include <stdlib.h>
#include <string.h>

/* ---- The command line -------------------------------------------------- */

/* A text that grows; NULL bytes: no memory was left. */
struct text {
    char *bytes;
    size_t len, cap;
    bool failed;
};

static void add(struct text *text, char byte, size_t times)
{
    if (text->len + times + 1 > text->cap && !text->failed) {
        size_t cap = (text->len + times + 1) * 2;
        char *bytes = realloc(text->bytes, cap);
        text->failed = !bytes;
        text->bytes = bytes ? bytes : text->bytes;
        text->cap = bytes ? cap : text->cap;
    }
    if (text->failed)
        return;
    memset(text->bytes + text->len, byte, times);
    text->len += times;
    text->bytes[text->len] = '\0';
}

/* As CommandLineToArgvW and every C run time take it apart: backslashes are
 * themselves, except before a quote, where two of them are one. */
static void add_argument(struct text *line, const char *argument)
{
    size_t backslashes = 0;
    bool plain = *argument && !strpbrk(argument, " \t\n\v\"");
    if (!plain)
        add(line, '"', 1);
    for (const char *at = argument; *at; at++) {
        if (*at == '"') /* those before it are there once already */
            add(line, '\\', backslashes + 1);
        backslashes = *at == '\\' ? backslashes + 1 : 0;
        add(line, *at, 1);
    }
    if (!plain) {
        add(line, '\\', backslashes);
        add(line, '"', 1);
    }
}

static wchar_t *widened(struct text *text)
{
    wchar_t *wide = text->failed ? NULL : ph_win_wide(text->bytes);
    free(text->bytes);
    return wide;
}

/* The program's name has rules of its own: it ends at the next quote. */
wchar_t *ph_win_command_line(const char *const *argv)
{
    struct text line = {0};
    add(&line, '"', 1);
    for (const char *at = argv[0]; *at; at++)
        if (*at != '"')
            add(&line, *at == '/' ? '\\' : *at, 1);
    add(&line, '"', 1);
    for (argv++; *argv; argv++) {
        add(&line, ' ', 1);
        add_argument(&line, *argv);
    }
    return widened(&line);
}

/* cmd.exe would take the arguments apart by rules that nobody can quote for. */
const char *ph_win_refuses_program(const char *program)
{
    size_t len = strlen(program);
    while (len && (program[len - 1] == ' ' || program[len - 1] == '.'))
        len--;
    if (len < 4)
        return NULL;
    if (_strnicmp(program + len - 4, ".bat", 4) != 0 &&
        _strnicmp(program + len - 4, ".cmd", 4) != 0)
        return NULL;
    return "a batch file is no program; start cmd.exe with /c and its name";
}

/* ---- The environment --------------------------------------------------- */

static size_t count_entries(const wchar_t *block)
{
    size_t count = 0;
    for (; *block; block += wcslen(block) + 1)
        count++;
    return count;
}

static char **to_list(const wchar_t *block)
{
    size_t i = 0;
    char **list = calloc(count_entries(block) + 1, sizeof *list);
    for (; list && *block; block += wcslen(block) + 1, i++) {
        list[i] = ph_win_utf8(block);
        if (!list[i]) {
            ph_environment_free(list);
            return NULL;
        }
    }
    return list;
}

char **ph_backend_environment(void)
{
    wchar_t *block = GetEnvironmentStringsW();
    char **list = block ? to_list(block) : NULL;
    if (block)
        FreeEnvironmentStringsW(block);
    return list;
}

/* A drive's folder is kept in a variable whose name begins with the sign. */
static size_t name_length(const char *entry)
{
    size_t first = *entry == '=';
    return first + strcspn(entry + first, "=");
}

bool ph_backend_same_variable(const char *a, const char *b)
{
    size_t len = name_length(a);
    return len == name_length(b) && _strnicmp(a, b, len) == 0;
}

static int by_name(const void *a, const void *b)
{
    const wchar_t *left = *(const wchar_t *const *)a;
    const wchar_t *right = *(const wchar_t *const *)b;
    int left_len = (int)wcscspn(left, L"="),
        right_len = (int)wcscspn(right, L"=");
    return CompareStringOrdinal(left, left_len, right, right_len, TRUE) -
           CSTR_EQUAL;
}

/* One after the other, and an empty one at the end. */
static wchar_t *joined(wchar_t *const *entries, size_t count)
{
    size_t len = 2;
    wchar_t *block, *at;
    for (size_t i = 0; i < count; i++)
        len += wcslen(entries[i]) + 1;
    block = at = calloc(len, sizeof *block);
    for (size_t i = 0; block && i < count; i++) {
        size_t size = wcslen(entries[i]) + 1;
        memcpy(at, entries[i], size * sizeof *at);
        at += size;
    }
    return block;
}

wchar_t *ph_win_environment(const char *const *env)
{
    size_t count = 0, done = 0;
    wchar_t **entries, *block = NULL;
    while (env[count])
        count++;
    entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        return NULL;
    while (done < count && (entries[done] = ph_win_wide(env[done])))
        done++;
    if (done == count) {
        qsort(entries, count, sizeof *entries, by_name);
        block = joined(entries, count);
    }
    while (done > 0)
        free(entries[--done]);
    free(entries);
    return block;
}
