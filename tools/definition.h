/* SPDX-License-Identifier: MIT */
/*
 * Guests that are known when they do not run: NAME.cfg in a folder (guest_folder()), as xenhost-guest.cfg(5)
 * describes it, each with a uuid. A file is replaced as a whole, so that readers see the old or the new one.
 * Functions log what failed and give 0 or -errno.
 */
#ifndef TOOLS_DEFINITION_H
#define TOOLS_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>

struct guest;

/* 0 or -ENAMETOOLONG, -EINVAL: no name of a guest */
int definition_path(const char *name, char *path, size_t size);
bool definition_exists(const char *name);
/* into g, after guest_init() */
int definition_read(const char *name, struct guest *g);
/* Makes the file's guest known; its name is left in g. replace: it may be known already */
int definition_add(const char *file, bool replace, struct guest *g);
int definition_remove(const char *name);
/* by the editor that $VISUAL or $EDITOR names */
int definition_edit(const char *name);
/* The names, sorted; a folder that is not there has none. The caller frees each and the list */
int definition_names(char ***ret_names, size_t *ret_nr);
int definition_compare(const void *a, const void *b); /* of the list, for bsearch() */
void definition_names_free(char **names, size_t nr);

#endif
