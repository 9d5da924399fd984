/* The commands that faults are put into: every one of the program, each that writes with all that it
 * writes. */
#ifndef TESTS_FAULTS_FAULT_COMMANDS_H
#define TESTS_FAULTS_FAULT_COMMANDS_H

#include "fault_run.h"

extern const struct fault_command fault_commands[]; /* up to one without arguments */
extern const size_t fault_command_count;

/* `schedule` of each class, and `sample` of each recorded case: as many as there is room for. Their texts are
 * freed by fault_commands_free(). */
size_t fault_commands_of_classes(struct fault_command *commands, size_t room);
size_t fault_commands_of_cases(struct fault_command *commands, size_t room);
void fault_commands_free(struct fault_command *commands, size_t count);

#endif
