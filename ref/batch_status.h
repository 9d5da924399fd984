/*
 * What became of each item of a list: the file status.jsonl beside its pictures, which is written whole after
 * every item, and from which a command that is started again, or a second one beside it, knows what is done.
 *
 * A line an item, in the list's order: its `item` (from 1), `line`, `name`, `status`, and once it was run
 * `seconds` and `key` or `error`. The key is the hash of all that its bytes depend on.
 */
#ifndef REF_BATCH_STATUS_H
#define REF_BATCH_STATUS_H

#include "recipe_list.h"

#include <sys/stat.h>

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
    char key[65];  /* "" before it is known */
    char *message; /* of a failure; allocated */
    /* What the file says of it, as another command or an earlier one has written it, where that is "done" or
     * "failed": the line, allocated, and its key ("" where it failed). */
    char *told, told_key[65];
};

struct batch_status {
    const char *folder;
    char *path; /* DIR/status.jsonl, of a shard DIR/status-2-of-8.jsonl */
    const struct recipe_list *list;
    struct shard shard;
    struct item_status *items;  /* one an item of the list, in its order */
    struct named_item *by_name; /* the same, in the order of their names */
    struct stat seen;           /* of the file, when it was last read or written */
    char **done;                /* "NAME KEY" of what other status files say is done, in order */
    size_t done_count, done_capacity;
};

/* Reads what every status file of the folder, which must outlive this, says is done. */
enum status batch_status_open(const char *folder, const struct recipe_list *list, const struct shard *shard,
    struct batch_status *status, struct error *error);
void batch_status_close(struct batch_status *status); /* accepts one that is all zero */

/* Whether another command, or an earlier one, has finished the item with this key. */
enum status batch_status_was_done(
    struct batch_status *status, size_t number, const char *key, bool *done, struct error *error);
/* Writes the file, whole or not at all. What is done stays so until this command comes to it, and what
 * another command writes at the same time stays. */
enum status batch_status_write(struct batch_status *status, struct error *error);

#endif
