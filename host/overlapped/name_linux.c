/* SPDX-License-Identifier: MIT */
/*
 * Names: plain ones live in a private folder of the user, absolute paths are
 * taken as they are.
 *
 * Who can write the folder decides who a name belongs to: another user could
 * put a socket of his own there, or take ours away. So a folder counts only if
 * this user owns it and nobody else may enter, and it is no symbolic link that
 * somebody else made. One that is not so is passed over, never repaired: it may
 * be another user's trap, or another user's right. The last candidate is in
 * /tmp, where the sticky bit keeps what we have made from others.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operation.h"
#include "system_linux.h"

#define PREFIX "\\\\.\\pipe\\"

static const char *plain_part(const char *name)
{
    size_t len = sizeof PREFIX - 1;
    return strncasecmp(name, PREFIX, len) == 0 ? name + len : name;
}

static size_t characters(const char *utf8)
{
    size_t count = 0;
    for (; *utf8; utf8++)
        count += ((unsigned char)*utf8 & 0xC0) != 0x80;
    return count;
}

enum ph_status ph_name_check(const char *name, const char **why)
{
    const char *plain = plain_part(name);
    *why = NULL;
    if (name[0] == '/') {
        size_t len = strlen(name);
        if (name[len - 1] == '/')
            *why = "a pipe's path names a socket, not a folder";
        else if (len >= sizeof((struct sockaddr_un *)0)->sun_path)
            *why = "a pipe's path has at most 107 bytes on this system";
    } else if (!*plain) {
        *why = "a pipe name must not be empty";
    } else if (plain[0] == '.') {
        *why = "a pipe name must not begin with a dot";
    } else if (strpbrk(plain, "/\\")) {
        *why = "a pipe name has no / or \\ in it (an absolute path is taken "
               "as it is)";
    } else if (characters(plain) > PH_NAME_MAX) {
        *why = "a pipe name has at most 200 characters";
    }
    return *why ? PH_MISUSE : PH_OK;
}

/* ---- Folders -------------------------------------------------------- */

/* $PIPEHOST_DIR: made by its owner, trusted when nobody else can write it. */
static int explicit_folder(const char *path, char *out, const char **why)
{
    struct stat st;
    *why = NULL;
    if (path[0] != '/' || strlen(path) >= PATH_MAX)
        *why = "PIPEHOST_DIR is not an absolute path";
    else if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        *why = "PIPEHOST_DIR does not name a folder that exists";
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        *why = "PIPEHOST_DIR belongs to another user";
    else if (st.st_mode & 022)
        *why = "PIPEHOST_DIR can be written by others";
    if (*why)
        return -1;
    snprintf(out, PATH_MAX, "%s", path);
    return 1;
}

static bool is_mine(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           st.st_uid == geteuid() && !(st.st_mode & 077);
}

/* A folder of ours below `parent`, mode 0700. */
static int private_folder(const char *path, bool make, const char **why)
{
    *why = "belongs to another user or is open to others";
    if (make && mkdir(path, 0700) == 0)
        return 1;
    if (is_mine(path))
        return 1;
    return -1;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           st.st_uid == geteuid();
}

int ph_folder(int index, bool make, char *out, const char **why)
{
    const char *explicit = getenv("PIPEHOST_DIR");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    unsigned uid = (unsigned)geteuid();
    char parent[64];
    if (explicit && *explicit)
        return index ? 0 : explicit_folder(explicit, out, why);
    *why = "there is no such folder";
    switch (index) {
    case 0:
        if (!runtime || runtime[0] != '/' || !is_dir(runtime))
            return -1;
        snprintf(out, PATH_MAX, "%s/pipehost", runtime);
        break;
    case 1:
        snprintf(parent, sizeof parent, "/run/user/%u", uid);
        if (!is_dir(parent))
            return -1;
        snprintf(out, PATH_MAX, "%s/pipehost", parent);
        break;
    case 2:
        snprintf(out, PATH_MAX, "/tmp/pipehost-%u", uid);
        break;
    default:
        *why = "every folder for pipes belongs to another user or is open to "
               "others (PIPEHOST_DIR can name one)";
        return 0;
    }
    return private_folder(out, make, why);
}

/* ---- Paths ---------------------------------------------------------- */

/* ASCII only, as documented: what is a letter of the same name elsewhere would
 * depend on the locale. */
static void fold(char *name)
{
    for (; *name; name++)
        if (*name >= 'A' && *name <= 'Z')
            *name = (char)(*name - 'A' + 'a');
}

enum ph_status ph_socket_address(const char *folder, const char *name,
                                 struct sockaddr_un *out, const char **why)
{
    const char *plain = plain_part(name);
    int len;
    assert(*plain); /* ph_name_check has seen it */
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (name[0] == '/') {
        len = snprintf(out->sun_path, sizeof out->sun_path, "%s", name);
    } else {
        len = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", folder,
                       plain);
        if (len < (int)sizeof out->sun_path)
            fold(out->sun_path + strlen(folder));
    }
    if (len < (int)sizeof out->sun_path)
        return PH_OK;
    *why = "the pipe's path (folder and name) would be longer than the 107 "
           "bytes that a socket's path may have";
    return PH_MISUSE;
}

enum ph_status ph_backend_server_path(const char *name, char **path,
                                      char **folded, long *os, const char **why)
{
    char folder[PATH_MAX] = "";
    struct sockaddr_un address;
    enum ph_status status;
    int found = name[0] == '/' ? 1 : -1;
    *os = 0;
    for (int i = 0; found < 0; i++)
        found = ph_folder(i, true, folder, why);
    if (!found)
        return PH_DENIED;
    status = ph_socket_address(folder, name, &address, why);
    if (status != PH_OK)
        return status;
    *why = NULL;
    *path = ph_strdup(address.sun_path);
    *folded = ph_strdup(address.sun_path);
    if (*path && *folded)
        return PH_OK;
    free(*path);
    free(*folded);
    return PH_NOMEM;
}
