/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "operation.h"

void ph_environment_free(char **environment)
{
    for (char **at = environment; at && *at; at++)
        free(*at);
    free(environment);
}

static size_t count(const char *const *list)
{
    size_t number = 0;
    while (list[number])
        number++;
    return number;
}

/* Takes the variable out of the list. */
static void remove_variable(char **list, const char *name)
{
    char **to = list;
    for (; *list; list++) {
        if (ph_backend_same_variable(*list, name))
            free(*list);
        else
            *to++ = *list;
    }
    *to = NULL;
}

char **ph_environment_with(const char *const *changes)
{
    char **list = ph_backend_environment(), **longer = NULL;
    size_t used;
    if (list)
        longer = realloc(
            list, (count((const char *const *)list) + count(changes) + 1) *
                      sizeof *list);
    if (!longer) {
        ph_environment_free(list);
        return NULL;
    }
    for (; *changes; changes++) {
        remove_variable(longer, *changes);
        if (!strchr(*changes, '='))
            continue;
        used = count((const char *const *)longer);
        longer[used] = ph_strdup(*changes);
        if (!longer[used]) {
            ph_environment_free(longer);
            return NULL;
        }
        longer[used + 1] = NULL;
    }
    return longer;
}
