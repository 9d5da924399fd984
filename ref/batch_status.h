/*
 * What became of each item of a list: the file status.jsonl beside its pictures, which is written whole after
 * every item, and from which a command that is started again knows what is done.
 *
 * A line an item, in the list's order: its `item` (from 1), `line`, `name`, `status`, and once it was run
 * `seconds` and `key` or `error`. The key is the hash of all that its bytes depend on. An item that waits has
 * it too where an earlier command has finished it.
 */
#ifndef REF_BATCH_STATUS_H
#define REF_BATCH_STATUS_H

#include "recipe_list.h"

enum item_state {
    ITEM_WAITING,
    ITEM_RUNNING,
    ITEM_DONE,
    ITEM_FAILED,
    ITEM_ELSEWHERE, /* another command is at it */
    ITEM_STATES
};
extern const char *const item_state_names[ITEM_STATES]; /* "waiting", "running" ... */

struct item_status {
    enum item_state state;
    bool was_done; /* before this command */
    double seconds;
    char key[65];  /* of the files that are there or come to be; "" before it is known */
    char *message; /* of a failure; allocated */
};

struct batch_status {
    char *path; /* DIR/status.jsonl, of a shard DIR/status-2-of-8.jsonl */
    const struct recipe_list *list;
    struct shard shard;
    struct item_status *items; /* one an item of the list, in its order */
    char **done;               /* "NAME KEY" of what earlier commands have finished, in order */
    size_t done_count;
};

/* Reads what every status file of the folder says is done. */
enum status batch_status_open(const char *folder, const struct recipe_list *list, const struct shard *shard,
    struct batch_status *status, struct error *error);
void batch_status_close(struct batch_status *status); /* accepts one that is all zero */

/* Whether an earlier command has finished an item of this name and key. */
bool batch_status_was_done(const struct batch_status *status, const char *name, const char *key);
/* Writes the file, whole or not at all. */
enum status batch_status_write(const struct batch_status *status, struct error *error);

#endif
