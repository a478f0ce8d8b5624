/* SPDX-License-Identifier: MIT */
/*
 * Names of pipes, who may use them, and who is at the other end.
 *
 * The descriptor names this user by its SID, as owner and in the list. The
 * default one would let everybody read, and CREATOR OWNER of an elevated
 * process is Administrators: this user's ordinary programs would be locked out,
 * and the owner check of clients would prove nothing. It is protected, so that
 * nothing is inherited into it.
 */
#include "system_win32.h"

#include <aclapi.h>
#include <assert.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX         "\\\\.\\pipe\\"
#define PREFIX_LEN     (sizeof PREFIX - 1)
#define PATH_MAX_UNITS 256 /* the whole string, in UTF-16 units */

/* ---- Text ----------------------------------------------------------- */

wchar_t *ph_win_wide(const char *text)
{
    int units =
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = units > 0 ? malloc((size_t)units * sizeof *wide) : NULL;
    if (wide)
        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, units);
    return wide;
}

char *ph_win_utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *narrow = size > 0 ? malloc((size_t)size) : NULL;
    if (narrow)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, size, NULL, NULL);
    return narrow;
}

/* ---- Names ---------------------------------------------------------- */

static bool is_full(const char *name)
{
    return _strnicmp(name, PREFIX, PREFIX_LEN) == 0;
}

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* In UTF-16 units; 0: not valid UTF-8. */
static size_t units(const char *text)
{
    int count =
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    return count > 0 ? (size_t)count - 1 : 0;
}

static const char *full_name_fault(const char *name)
{
    if (!name[PREFIX_LEN])
        return "the name after \\\\.\\pipe\\ is empty; "
               "it needs at least one character";
    if (units(name) > PATH_MAX_UNITS)
        return "a full pipe name has at most 256 characters, "
               "\\\\.\\pipe\\ included; shorten it";
    return NULL;
}

static const char *plain_name_fault(const char *name)
{
    if (name[0] == '/')
        return "an absolute path names a pipe on Linux only; "
               "use a plain name or \\\\.\\pipe\\NAME";
    if (strpbrk(name, "/\\"))
        return "a plain pipe name has no / and no \\; "
               "leave them out or give \\\\.\\pipe\\NAME in full";
    if (name[0] == '.')
        return "a plain pipe name does not begin with a dot; "
               "use another or give \\\\.\\pipe\\NAME in full";
    if (characters(name) > PH_NAME_MAX ||
        units(name) > PATH_MAX_UNITS - PREFIX_LEN)
        return "a plain pipe name has at most 200 characters; shorten it";
    return NULL;
}

enum ph_status ph_name_check(const char *name, const char **why)
{
    if (!name[0])
        *why = "the pipe name is empty; it needs 1 to 200 characters";
    else if (!units(name))
        *why = "the pipe name is not valid UTF-8";
    else
        *why = is_full(name) ? full_name_fault(name) : plain_name_fault(name);
    return *why ? PH_MISUSE : PH_OK;
}

char *ph_win_path(const char *name)
{
    size_t prefix = is_full(name) ? 0 : PREFIX_LEN, len = strlen(name) + 1;
    char *path = malloc(prefix + len);
    if (!path)
        return NULL;
    memcpy(path, PREFIX, prefix);
    memcpy(path + prefix, name, len);
    return path;
}

const char *ph_win_short_name(const char *path)
{
    return path + PREFIX_LEN;
}

/* The system compares names without regard to case, in all of Unicode. */
static char *fold(const char *text)
{
    wchar_t *wide = ph_win_wide(text);
    int count = wide ? (int)wcslen(wide) + 1 : 0;
    char *folded = NULL;
    if (wide && LCMapStringEx(LOCALE_NAME_INVARIANT, LCMAP_LOWERCASE, wide,
                              count, wide, count, NULL, NULL, 0))
        folded = ph_win_utf8(wide);
    free(wide);
    return folded;
}

enum ph_status ph_backend_server_path(const char *name, char **path, char **key,
                                      long *os, const char **why)
{
    (void)os;
    (void)why;
    *path = ph_win_path(name);
    *key = *path ? fold(ph_win_short_name(*path)) : NULL;
    if (*key)
        return PH_OK;
    free(*path);
    *path = NULL;
    return PH_NOMEM;
}

/* ---- Access --------------------------------------------------------- */

/* Reading and writing, but not FILE_CREATE_PIPE_INSTANCE (0x4), which would
 * let clients serve the name too. */
#define USE_PIPE "0x12019b"

static wchar_t *access_text(PSID me, enum ph_access_kind access)
{
    static const wchar_t form[] = L"O:%lsD:P(A;;GA;;;SY)(A;;GA;;;%ls)%ls";
    const wchar_t *more = L"";
    wchar_t *sid, *text;
    size_t size;
    if (access == PH_ACCESS_ADMINS)
        more = L"(A;;" USE_PIPE L";;;BA)";
    else if (access == PH_ACCESS_USERS)
        more = L"(A;;" USE_PIPE L";;;AU)";
    if (!ConvertSidToStringSidW(me, &sid))
        return NULL;
    size = sizeof form / sizeof *form + 2 * wcslen(sid) + wcslen(more);
    text = malloc(size * sizeof *text);
    if (text)
        _snwprintf(text, size, form, sid, sid, more);
    LocalFree(sid);
    return text;
}

enum ph_status ph_win_descriptor(struct win_port *port,
                                 const struct ph_create_options *options,
                                 PSECURITY_DESCRIPTOR *out, long *os,
                                 const char **why)
{
    bool given = options->access == PH_ACCESS_SDDL;
    assert(!given || options->sddl);
    wchar_t *text;
    DWORD error = ERROR_SUCCESS;
    if (options->access == PH_ACCESS_UIDS) {
        *why = "access by uid is for Linux; here it is \"me\", \"admins\", "
               "\"users\" or a security descriptor (SDDL)";
        return PH_MISUSE;
    }
    text = given ? ph_win_wide(options->sddl)
                 : access_text(port->me.sid, options->access);
    if (!text)
        return PH_NOMEM;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text, SDDL_REVISION_1, out, NULL))
        error = GetLastError();
    free(text);
    *os = (long)error;
    if (error == ERROR_SUCCESS || !given)
        return ph_win_status(error);
    *why = "access is not a valid security descriptor (SDDL)";
    return PH_MISUSE;
}

/* On Windows every pipe has an owner; Wine knows only those that were given. */
static bool may_serve_me(PSID owner, PSID me)
{
    return !owner || EqualSid(owner, me) ||
           IsWellKnownSid(owner, WinLocalSystemSid) ||
           IsWellKnownSid(owner, WinBuiltinAdministratorsSid);
}

enum ph_status ph_win_check_owner(struct win_port *port, HANDLE handle,
                                  long *os, const char **why)
{
    PSECURITY_DESCRIPTOR descriptor = NULL;
    PSID owner = NULL;
    bool good;
    DWORD error =
        GetSecurityInfo(handle, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION,
                        &owner, NULL, NULL, NULL, &descriptor);
    good = error == ERROR_SUCCESS && may_serve_me(owner, port->me.sid);
    if (descriptor)
        LocalFree(descriptor);
    if (good)
        return PH_OK;
    *os = (long)error;
    *why = error ? "the pipe does not tell who serves it"
                 : "the pipe belongs to another user; "
                   "peer = \"any\" allows that";
    return PH_DENIED;
}

/* ---- The peer ------------------------------------------------------- */

/* "" where this process may not ask. */
static void sid_of_process(DWORD pid, char *out, size_t size)
{
    struct win_user user;
    HANDLE token,
        process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    char *text;
    if (!process)
        return;
    if (OpenProcessToken(process, TOKEN_QUERY, &token)) {
        if (ph_win_user_of(token, &user) == ERROR_SUCCESS &&
            ConvertSidToStringSidA(user.sid, &text)) {
            snprintf(out, size, "%s", text);
            LocalFree(text);
        }
        CloseHandle(token);
    }
    CloseHandle(process);
}

enum ph_status ph_backend_peer(struct ph_pipe *pipe, struct ph_peer *out,
                               long *os)
{
    HANDLE handle = win_pipe(pipe)->handle;
    assert(pipe->attached);
    ULONG pid = 0;
    BOOL known = pipe->server ? GetNamedPipeClientProcessId(handle, &pid)
                              : GetNamedPipeServerProcessId(handle, &pid);
    DWORD error = known ? ERROR_SUCCESS : GetLastError();
    *out = (struct ph_peer){.pid = pid};
    if (error != ERROR_SUCCESS) {
        *os = (long)error;
        return PH_SYSTEM;
    }
    sid_of_process(pid, out->sid, sizeof out->sid);
    return PH_OK;
}
