/*
 * What a path looks like that is no checkpoint of Stable Diffusion 1.x, 2.x or XL in Diffusers' form, and
 * what would be right instead. All return STATUS_BAD_INPUT with the path in the message, but for
 * refuse_absent() where the machine is at fault.
 */
#ifndef REF_NO_CHECKPOINT_H
#define REF_NO_CHECKPOINT_H

#include "sched/error.h"

/* A path that cannot be looked at for `system_error`: the name of a model on the hub, a URL, or the system's
 * words. */
enum status refuse_absent(const char *path, int system_error, struct error *error);
/* A file: weights alone, a file out of a checkpoint. */
enum status refuse_file(const char *path, struct error *error);
/* A folder without model_index.json: a component, the folder above a checkpoint, adapters, the original
 * format. */
enum status refuse_folder(const char *folder, struct error *error);
/* A pipeline's class that is not one of the two, without the path. */
enum status refuse_pipeline(const char *class_name, struct error *error);

#endif
