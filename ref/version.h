/*
 * Plumb's version, in one place.
 */
#ifndef REF_VERSION_H
#define REF_VERSION_H

#define PLUMB_VERSION "0.1.0"

#endif
