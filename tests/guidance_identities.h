/*
 * What guidance must satisfy whatever the numbers, in either arithmetic. Each fails the test where it does
 * not hold.
 */
#ifndef TESTS_GUIDANCE_IDENTITIES_H
#define TESTS_GUIDANCE_IDENTITIES_H

/* Scale 1 gives the conditional prediction, scale 0 the unconditional one, and scales between and beyond lie
 * on the line through both; in place on either input as well. */
void check_guidance_line_f32(void);
void check_guidance_line_f64(void);

/* Rescale 1 gives each picture the standard deviation of its conditional prediction, 0 changes nothing, 0.7
 * lies between; each picture for itself. */
void check_guidance_rescale_f32(void);
void check_guidance_rescale_f64(void);

#endif
