/* main() of ref/main.c under a name of its own (the Makefile compiles it so), for suites that call it in
 * forked processes. */
#ifndef TESTS_FAULTS_PLUMB_MAIN_H
#define TESTS_FAULTS_PLUMB_MAIN_H

int plumb_main(int argc, char **argv);

#endif
