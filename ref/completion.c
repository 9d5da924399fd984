/*
 * Help as a script by which bash completes a command line: the commands, each one's options, and what their
 * arguments can be. What an argument can be is read from its name in the help: CLASS is a scheduler class,
 * F.json a file whose name ends so, auto|NAME the word auto.
 *
 * In the script a function has the command lines' grammar, which tells of an option or of a place ("1" the
 * first argument that is no option) what completes it: words, and @folder, @file, @.json (files that end so),
 * @class, @key (a scheduler's option), @nothing.
 */
#include "architecture.h"
#include "cli_help.h"
#include "commands.h"
#include "version.h"

#include "sched/generator.h"
#include "sched/known_options.h"
#include "sched/scheduler.h"

#include <string.h>

/* --- What completes an argument ----------------------------------------------------------- */

struct what {
    char text[512]; /* words with a space before each */
};

/* Adds a word, once. */
static void add_word(struct what *what, const char *word)
{
    const size_t used = strlen(what->text), length = strlen(word);
    for (const char *at = what->text; (at = strstr(at, word)); at += length)
        if (at[-1] == ' ' && (at[length] == ' ' || !at[length])) return;
    snprintf(what->text + used, sizeof what->text - used, " %s", word);
}

static void add_named(struct what *what, const char *name)
{
    static const struct {
        const char *name, *what[3];
    } known[] = {
        {"A", {"@file"}},
        {"B", {"@file"}},
        {"CASE", {"@.json"}},
        {"CHECKPOINT", {"@folder"}},
        {"CLASS", {"@class"}},
        {"DIR", {"@folder"}},
        {"F", {"@file"}},
        {"IN", {"@file"}},
        {"KEY=VALUE", {"@key"}},
        {"SCHEDULER", {"@class", "@.json", "@folder"}},
        {"THEIRS", {"@file"}},
        {"key=value", {"@key"}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (int j = 0; strcmp(name, known[i].name) == 0 && j < 3 && known[i].what[j]; j++)
            add_word(what, known[i].what[j]);
    if (strcmp(name, "ARCHITECTURE") == 0) {
        for (const struct architecture_text *text = architecture_texts; text->name; text++)
            add_word(what, text->name);
        add_word(what, "@.json");
    } else if (strcmp(name, "COMMAND") == 0) {
        for (const struct command *command = commands; command->name; command++)
            add_word(what, command->name);
    } else if (strcmp(name, "GENERATOR") == 0) {
        for (int kind = 0; kind < GENERATOR_KINDS; kind++)
            add_word(what, generator_name((enum generator_kind)kind));
    } else if (strcmp(name, "PART") == 0) {
        for (int i = 0; i < ARCHITECTURE_MODELS; i++) add_word(what, architecture_models[i]);
    }
}

/* One name of an argument: "CLASS", "P.png", "auto", "[LABEL=]PICTURE.png...". */
static void add_argument(struct what *what, const char *word, size_t length)
{
    char name[64];
    if (*word == '[') { /* "[COMMAND]", and what may stand before a name */
        size_t inside = (size_t)((const char *)memchr(word, ']', length) - word);
        bool whole = inside + 1 == length;
        snprintf(name, sizeof name, "%.*s", (int)(whole ? inside - 1 : length - inside - 1),
            whole ? word + 1 : word + inside + 1);
    } else {
        snprintf(name, sizeof name, "%.*s", (int)length, word);
    }
    char *dots = strstr(name, "...");
    if (dots) *dots = '\0';
    const char *ending = strrchr(name, '.');
    if (ending && strcmp(ending, ".safetensors") == 0) {
        add_word(what, "@file"); /* other containers of tensors do as well */
    } else if (ending) {
        char files[80];
        snprintf(files, sizeof files, "@%s", ending);
        add_word(what, files);
    } else if (*name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0') {
        add_word(what, name);
    } else {
        add_named(what, name);
    }
}

static struct what what_of_option(const struct cli_option *option)
{
    struct what what = {""};
    if (!option->argument) return what;
    for (const char *const *choice = option->choices; choice && *choice; choice++) add_word(&what, *choice);
    for (const char *name = option->argument; *name && !option->choices;) {
        size_t length = strcspn(name, "|");
        add_argument(&what, name, length);
        name += length + (name[length] == '|');
    }
    if (!*what.text) add_word(&what, "@nothing");
    return what;
}

/* --- The grammar of a command ------------------------------------------------------------- */

/* The words of "A B... [options]" up to the options, one line after the other; a place that two lines have is
 * completed by either. */
static void write_places(FILE *out, const char *arguments)
{
    enum { MOST_PLACES = 4 };
    struct what places[MOST_PLACES] = {0};
    bool repeats[MOST_PLACES] = {false};
    for (const char *line = arguments; *line;) {
        const char *end = line + strcspn(line, "\n");
        const char *word = line + strspn(line, " ");
        if (line != arguments) /* "plumb COMMAND" stands before it */
            for (int i = 0; i < 2; i++) word += strcspn(word, " "), word += strspn(word, " ");
        for (int place = 0; place < MOST_PLACES && word < end && *word != '-'; place++) {
            size_t length = strcspn(word, " \n");
            if (strncmp(word, "[options]", length) == 0) break;
            add_argument(&places[place], word, length);
            repeats[place] = length > 3 && strncmp(word + length - 3, "...", 3) == 0;
            word += length;
            word += strspn(word, " ");
        }
        line = end + (*end == '\n');
    }
    for (int place = 0; place < MOST_PLACES && *places[place].text; place++) {
        if (repeats[place])
            fprintf(out, "        [1-9]*) what='%s' ;;\n", places[place].text + 1);
        else
            fprintf(out, "        %d) what='%s' ;;\n", place + 1, places[place].text + 1);
    }
}

void completion_write_command(FILE *out, const char *command, const struct cli_usage *usage)
{
    fprintf(out, "    %s)\n        options='", command);
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        if (option->alias) fprintf(out, "--%s ", option->alias);
        fprintf(out, "--%s ", option->name);
    }
    fprintf(out, "--help'\n        case $2 in\n");
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        if (option->kind == CLI_FLAG) continue;
        fputs("        ", out);
        if (option->alias) fprintf(out, "--%s | ", option->alias);
        fprintf(out, "--%s) what='%s' ;;\n", option->name, what_of_option(option).text + 1);
    }
    write_places(out, usage->arguments);
    fputs("        esac ;;\n", out);
}

/* --- The script --------------------------------------------------------------------------- */

/* What bash does with the grammar. */
static const char engine[] =
    "_plumb_files()\n"
    "{\n"
    "    local file\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    while IFS= read -r file; do\n"
    "        [[ -d ${file/#\\~\\//$HOME/} || $file == *\"$1\" ]] && COMPREPLY+=(\"$prefix$file\")\n"
    "    done < <(compgen -f -- \"$current\")\n"
    "}\n"
    "\n"
    "_plumb_words()\n"
    "{\n"
    "    local word\n"
    "    while IFS= read -r word; do COMPREPLY+=(\"$prefix$word\"); done < <(compgen \"$@\" -- "
    "\"$current\")\n"
    "}\n"
    "\n"
    "# The scheduler classes, by their whole names where somebody writes these.\n"
    "_plumb_class_names()\n"
    "{\n"
    "    local before=${#COMPREPLY[@]}\n"
    "    _plumb_words -W \"$_plumb_classes\"\n"
    "    ((${#COMPREPLY[@]} > before)) || _plumb_words -W \"${_plumb_classes// /Scheduler }Scheduler\"\n"
    "}\n"
    "\n"
    "_plumb()\n"
    "{\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
    "    local words=() option='' place=0 prefix='' options='' what='' joined='' ended='' word i\n"
    "    COMPREPLY=()\n"
    "    if ((COMP_CWORD <= 1)); then\n"
    "        _plumb_words -W \"$_plumb_commands --help --version\"\n"
    "        return\n"
    "    fi\n"
    "    # Bash divides --option=value and key=value at the '='.\n"
    "    for ((i = 2; i <= COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if ((i > 2)) && [[ $joined || $word == '=' ]]; then words[-1]+=$word; else words+=(\"$word\"); "
    "fi\n"
    "        joined=''\n"
    "        if [[ $word == '=' ]]; then joined=yes; fi\n"
    "    done\n"
    "    current=${words[-1]}\n"
    "    unset 'words[-1]'\n"
    "    for word in \"${words[@]}\"; do\n"
    "        if [[ $option ]]; then\n"
    "            option=''\n"
    "        elif [[ ! $ended && $word == -- ]]; then\n"
    "            ended=yes\n"
    "        elif [[ ! $ended && $word == -* ]]; then\n"
    "            what=''\n"
    "            _plumb_grammar \"$command\" \"$word\"\n"
    "            if [[ $what ]]; then option=$word; fi\n"
    "        else\n"
    "            ((++place))\n"
    "        fi\n"
    "    done\n"
    "    if [[ ! $option && ! $ended && $current == --*=* ]]; then\n"
    "        option=${current%%=*}\n"
    "        current=${current#*=}\n"
    "        [[ $COMP_WORDBREAKS == *=* ]] || prefix=$option=\n"
    "    fi\n"
    "    what=''\n"
    "    _plumb_grammar \"$command\" \"${option:-$((place + 1))}\"\n"
    "    if [[ ! $option && ! $ended && $current == -* ]]; then what=$options; fi\n"
    "    for word in $what; do\n"
    "        case $word in\n"
    "        @nothing) ;;\n"
    "        @file) _plumb_files '' ;;\n"
    "        @folder) compopt -o filenames 2>/dev/null; _plumb_words -d ;;\n"
    "        @class) _plumb_class_names ;;\n"
    "        @key) compopt -o nospace 2>/dev/null; _plumb_words -W \"$_plumb_keys\" -S = ;;\n"
    "        @.*) _plumb_files \"${word#@}\" ;;\n"
    "        *) _plumb_words -W \"$word\" ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "\n"
    "complete -F _plumb plumb\n";

void completion_write_begin(FILE *out)
{
    fputs("# bash completion of plumb " PLUMB_VERSION ", made by plumb help --format bash.\n\n"
          "_plumb_commands='",
        out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "%s%s", command == commands ? "" : " ", command->name);
    fputs("'\n_plumb_classes='", out);
    for (size_t i = 0; i < scheduler_class_count(); i++) {
        const char *name = scheduler_class_name(i);
        fprintf(out, "%s%.*s", i ? " " : "", (int)(strlen(name) - strlen("Scheduler")), name);
    }
    fputs("'\n_plumb_keys='_class_name", out);
    size_t count = 0;
    const char *const *keys = scheduler_known_options(&count);
    for (size_t i = 0; i < count; i++) fprintf(out, " %s", keys[i]);
    fputs("'\n\n"
          "# What completes an option's argument ($2 is the option), or the argument at a place ($2 is its "
          "number).\n"
          "_plumb_grammar()\n{\n    case $1 in\n",
        out);
}

void completion_write_end(FILE *out)
{
    fputs("    esac\n}\n\n", out);
    fputs(engine, out);
}
