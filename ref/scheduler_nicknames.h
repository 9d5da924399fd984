/*
 * The samplers by the names of k-diffusion and of the programs built on it ("DPM++ 2M Karras"): for messages.
 */
#ifndef REF_SCHEDULER_NICKNAMES_H
#define REF_SCHEDULER_NICKNAMES_H

#include <stddef.h>

/* Writes "DPMSolverMultistep --set use_karras_sigmas=true", the class of diffusers and its settings for the
 * sampler that other programs call `name`, and returns `buffer`; NULL where none is known. Capitals and what
 * is no letter, digit or
 * '+' make no difference; "pp" is "++", and a leading "k" (K_EULER) is k-diffusion's. */
const char *scheduler_of_nickname(const char *name, char *buffer, size_t size);

#endif
