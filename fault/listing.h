/*
 * listing.h: the list of what happened in a tree, as text or as JSON.
 *
 * The list is written only when the command has ended, so that it can go to the command's
 * own stdout; until then it lies in memory: a file of no file system, or where the size of
 * files is limited, which counts for that one too, the program's own.
 *
 * Text: one line an attempt, the ordinal of the crash point (`-`: it changed no file), TAB,
 * its address. JSON: one object a line:
 *
 *   {"point":N|null,"address":"…","state":"…","result":N}   state: just before it
 *   {"address":"…"}                                     a place of process scope
 *   {"end":true,"points":N,"attempts":N,"state":"…","trace":"…","mappings":N,
 *    "unreadable":PATH|null,"rules":[{"rule":"…","fired":N}]}
 *
 * unreadable is the first file whose content cannot be told, mappings counts the shared
 * writable ones. An attempt whose process was killed before the call has no result. Places of
 * process scope come after the others, by address: their order is chance.
 */
#ifndef KILLPOINT_LISTING_H
#define KILLPOINT_LISTING_H

#include "engine.h"

struct listing {
    bool attempts, json;
    FILE *file; /* the list so far */
    int fd;     /* of file; -1: it is text */
    char *text;
    size_t len;
    char **places;
    size_t n_places;
};

/* attempts: also those that changed no file. */
int listing_init(struct listing *listing, bool attempts, bool json, struct err *err);
void listing_release(struct listing *listing);

void listing_add(struct listing *listing, const struct engine_event *event);

/* All of it to fd, once. Returns 0 or -errno. */
int listing_write(struct listing *listing, const struct engine_tree *tree, int fd);

#endif
