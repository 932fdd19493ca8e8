#include "gateway/commands.h"

#include "base/fd.h"

#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(const struct config *c);
    const char *help;
    bool takes_file;
} commands[] = {
    {"serve", command_serve, "serve S3 until SIGTERM", false},
    {"status", command_status, "what the volume holds and who serves it", false},
    {"health", command_health, "exit 0 if the gateway on this machine answers", false},
    {"gc", command_gc, "what may be freed; --apply frees it", false},
    {"fsck", command_fsck, "check the metadata, and with --check-store the store; --repair", false},
    {"scrub", command_scrub, "read all slices and check their checksums", false},
    {"dump", command_dump, "write the metadata as JSON lines to FILE, or standard output", true},
    {"load", command_load, "load such a dump into an empty database, from FILE or standard input",
     true},
    {"version", NULL, "print the version", false},
    {"man", NULL, "print the manual page (roff)", false},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fputs("Kiseki: an S3 gateway over a filesystem of its own.\n\n"
          "usage: kiseki COMMAND [--option value ...] [FILE]\n\ncommands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-28s %s\n", commands[i].name, commands[i].help);
    fputs("\noptions:\n", out);
    config_help(out);
    fputs("\nWithout --meta and --store everything is kept in --data: metadata in SQLite, slices\n"
          "in a folder, the keys in files of mode 0600.\n",
          out);
}

static void print_man(FILE *out)
{
    fprintf(out, ".TH KISEKI 1 \"\" \"kiseki %s\" \"User Commands\"\n", KISEKI_VERSION);
    fputs(".SH NAME\nkiseki \\- S3 gateway over a filesystem of its own\n"
          ".SH SYNOPSIS\n.B kiseki\n.I command\n[\n.B \\-\\-option\n.I value\n] ...\n"
          ".SH DESCRIPTION\nKiseki serves the S3 protocol from files that it keeps as immutable\n"
          "slices in a backing store (MinIO, any S3, or a local directory), with metadata in\n"
          "PostgreSQL or SQLite. Many gateways may serve one volume.\n.SH COMMANDS\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, ".TP\n.B %s\n%s\n", commands[i].name, commands[i].help);
    fputs(".SH OPTIONS\nEach option is also an environment variable, given in parentheses; an\n"
          "option wins over its variable.\n",
          out);
    config_man(out);
    fputs(".SH SIGNALS\n.TP\n.B SIGTERM\nstop accepting, finish what is in flight, exit 0\n"
          ".TP\n.B SIGHUP\nread the certificate and its key again\n"
          ".SH EXIT STATUS\n0 on success, 1 when something failed, or fsck or scrub found damage, "
          "2 for a wrong\n"
          "command line, or when a tool could not begin.\n"
          ".SH FILES\n.TP\n.I data/credentials\nthe root user's keys of the embedded default\n"
          ".TP\n.I data/master.key\nseals secrets in the database\n",
          out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int run_command(const struct command *command, const struct config *c)
{
    if (command->run != NULL)
        return command->run(c);
    if (strcmp(command->name, "man") == 0)
        print_man(stdout);
    else
        printf("kiseki %s\n", KISEKI_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    const struct command *command = find_command(name);
    struct config config;
    enum err err;
    int code = 2;

    fd_open_standard();
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return argc > 1 ? 0 : 2;
    }
    if (strcmp(name, "--version") == 0)
        command = find_command("version");
    if (command == NULL) {
        fprintf(stderr, "kiseki: unknown command \"%s\" (kiseki --help lists them)\n", name);
        return 2;
    }
    err = config_load(argc, argv, 2, &config);
    if (err != OK) {
        fprintf(stderr, "kiseki: %s\n", err_text(err));
    } else if (config.file != NULL && !command->takes_file) {
        fprintf(stderr, "kiseki: %s takes no argument \"%s\" (kiseki --help)\n", name, config.file);
    } else if (config.help) {
        print_help(stdout);
        code = 0;
    } else {
        code = run_command(command, &config);
    }
    config_free(&config);
    return code;
}
