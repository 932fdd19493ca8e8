#include "gateway/app/commands.h"

#include "base/fd.h"
#include "gateway/app/help.h"
#include "gateway/app/options.h"
#include "gateway/app/suggest.h"
#include "gateway/app/tool.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define USAGE_FAILED 2

static int unknown_command(const char *name)
{
    struct suggest s;

    suggest_begin(&s, str_of(name));
    for (size_t i = 0; i < command_count; i++)
        suggest_offer(&s, command_rows[i].name);
    if (s.best[0] != '\0')
        fprintf(stderr, "kiseki: unknown command \"%s\": did you mean %s?\n", name, s.best);
    else
        fprintf(stderr, "kiseki: unknown command \"%s\" (kiseki --help lists them)\n", name);
    return USAGE_FAILED;
}

/* `kiseki help`, `kiseki help COMMAND`; alone it is a mistake. */
static int help(int argc, char **argv)
{
    const struct command *command;

    if (argc <= 2) {
        help_all(stdout);
        return argc > 1 ? 0 : USAGE_FAILED;
    }
    command = command_find(argv[2]);
    if (command == NULL)
        return unknown_command(argv[2]);
    help_command(command, stdout);
    return 0;
}

static void warn_of_variable(const char *line)
{
    fprintf(stderr, "kiseki: warning: %s\n", line);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct config config;
    enum err err = config_load(argc, argv, 2, command->bit, &config);
    int code = USAGE_FAILED;

    if (err != OK) {
        fprintf(stderr, "kiseki: %s\n", err_text(err));
    } else if (config.help) {
        help_command(command, stdout);
        code = 0;
    } else if (config.file != NULL && command->argument == NULL) {
        fprintf(stderr, "kiseki: %s takes no argument \"%s\" (kiseki %s --help)\n", command->name,
                config.file, command->name);
    } else {
        if ((command->bit & (COMMAND_SERVE | COMMAND_ROUTES | COMMAND_VERSION | COMMAND_MAN)) == 0)
            option_variables(warn_of_variable); /* serve logs them */
        code = tool_finish_output(command->run(&config));
    }
    config_free(&config);
    return code;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    const struct command *command = command_find(name);

    fd_open_standard();
    signal(SIGPIPE, SIG_IGN); /* fs/store/store.h wants it; tool_finish_output() */
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return tool_finish_output(help(argc, argv));
    if (strcmp(name, "--version") == 0)
        command = command_find("version");
    return command != NULL ? run(command, argc, argv) : unknown_command(name);
}
