/*
 * The stages between the models whose faults have files of their own. `room` has the size of d->exact: space
 * for a candidate.
 */
#ifndef REF_SUSPECTS_STAGES_H
#define REF_SUSPECTS_STAGES_H

#include "suspects.h"

void stage_tokens(struct diagnosis *d, double *room);        /* input_ids */
void stage_prompt_embeds(struct diagnosis *d, double *room); /* prompt_embeds, last_hidden_state */
void stage_text_embeds(struct diagnosis *d, double *room);   /* the pooled and projected state */
void stage_guidance(struct diagnosis *d, double *room);      /* noise_pred */

#endif
