#include "gateway/app/help.h"

#include "gateway/app/options.h"

#include <string.h>

static bool is_listed(const struct option_row *o, const struct command *c, bool secret)
{
    return (o->commands & c->bit) != 0 && (o->type == OPTION_SECRET) == secret && o->help != NULL;
}

void help_all(FILE *out)
{
    fputs("Kiseki: an S3 gateway over a filesystem of its own.\n\n"
          "usage: kiseki COMMAND [--option value ...] [FILE]\n\ncommands:\n",
          out);
    for (size_t i = 0; i < command_count; i++)
        fprintf(out, "  %-9s %s\n", command_rows[i].name, command_rows[i].summary);
    fputs("\n`kiseki help COMMAND` lists a command's options.\n", out);
}

/* --- lines of at most WIDTH columns ----------------------------------------------------------- */

#define WIDTH 80
#define LEFT  28

static bool is_of_table(const char *line)
{
    return memmem(line, strcspn(line, "\n"), "  ", 2) != NULL;
}

/* Words from column `at` on, the next lines from `indent`; returns where it ended. */
static size_t print_words(FILE *out, const char *text, size_t indent, size_t at)
{
    bool begins = true; /* no blank before the first word of a line */

    for (size_t len; *text != '\0'; text += len) {
        len = strcspn(text, " \n");
        if (len > 0 && at > indent && at + !begins + len > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
            begins = true;
        }
        if (len > 0) {
            fprintf(out, "%s%.*s", begins ? "" : " ", (int)len, text);
            at += !begins + len;
            begins = false;
        }
        len += text[len] != '\0';
    }
    return at;
}

/* Lines of a table, which have two blanks in a row, stay as they are; others are filled. */
static void print_text(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        char part[2048];
        bool table = is_of_table(text);

        while (text[len] != '\0' && !table && !is_of_table(text + len + 1))
            len += 1 + strcspn(text + len + 1, "\n");
        snprintf(part, sizeof(part), "%.*s", (int)len, text);
        if (table)
            fputs(part, out);
        else
            print_words(out, part, 0, 0);
        putc('\n', out);
        text += len + (text[len] != '\0');
    }
}

/* The default and the variable may be NULL. */
static void print_row(FILE *out, const char *left, const char *help, const char *fallback,
                      const char *variable)
{
    char right[256];

    snprintf(right, sizeof(right), "%s%s%s%s%s%s", help, fallback != NULL ? " [" : "",
             fallback != NULL ? fallback : "", fallback != NULL ? "]" : "",
             variable != NULL ? "; " : "", variable != NULL ? variable : "");
    fprintf(out, "  %-*s ", LEFT, left);
    print_words(out, right, LEFT + 3, LEFT + 3);
    putc('\n', out);
}

static void print_options(const struct command *c, FILE *out)
{
    fputs("\noptions:\n", out);
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *o = &option_rows[i];
        char left[96], variable[OPTION_LABEL_MAX];

        if (!is_listed(o, c, false))
            continue;
        option_variable(o, variable);
        snprintf(left, sizeof(left), "--%s %s", o->name, o->value != NULL ? o->value : "");
        print_row(out, left, o->help, o->fallback, o->type != OPTION_FLAG ? variable : NULL);
    }
}

static void print_secrets(const struct command *c, FILE *out)
{
    bool any = false;

    for (size_t i = 0; i < option_count; i++) {
        char variable[OPTION_LABEL_MAX];

        if (!is_listed(&option_rows[i], c, true))
            continue;
        if (!any)
            fputs(
                "\nsecrets, from these variables only, from the file that the variable with _FILE\n"
                "names, or from the configuration file:\n",
                out);
        any = true;
        option_variable(&option_rows[i], variable);
        print_row(out, variable, option_rows[i].help, NULL, NULL);
    }
}

void help_command(const struct command *c, FILE *out)
{
    fprintf(out, "usage: kiseki %s [--option value ...]%s%s\n\n", c->name,
            c->argument != NULL ? " " : "", c->argument != NULL ? c->argument : "");
    print_text(out, c->text);
    print_options(c, out);
    print_secrets(c, out);
    if ((option_find(STR("config"))->commands & c->bit) != 0)
        fputs("\nA flag wins over its variable, the variable over the configuration file, and the\n"
              "file over the default in brackets.\n",
              out);
    fputs("\nexit codes: ", out);
    print_words(out, c->exits, 12, 12);
    fputs("\n\nexample:\n  ", out);
    for (const char *at = c->example; *at != '\0'; at++) {
        putc(*at, out);
        if (*at == '\n')
            fputs("  ", out);
    }
    putc('\n', out);
}

/* --- the manual page -------------------------------------------------------------------------- */

/* A backslash begins an escape, and a dot or a quote at a line's begin a request. Of a table, whose
 * lines have two spaces in a row, the lines stay as they are. */
static void print_roff(FILE *out, const char *text)
{
    bool fills = true;

    for (bool begins = true; *text != '\0'; text++) {
        if (begins && is_of_table(text) == fills) {
            fputs(fills ? ".nf\n" : ".fi\n", out);
            fills = !fills;
        }
        if (begins && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            putc(*text, out);
        begins = *text == '\n';
    }
    if (!fills)
        fputs("\n.fi", out);
}

static void man_command(const struct command *c, FILE *out)
{
    const char *separator = "";

    fprintf(out, ".SS kiseki %s%s%s\n", c->name, c->argument != NULL ? " " : "",
            c->argument != NULL ? c->argument : "");
    print_roff(out, c->text);
    fputs("\n.PP\nOptions: ", out);
    for (size_t i = 0; i < option_count; i++) {
        if (!is_listed(&option_rows[i], c, false))
            continue;
        fprintf(out, "%s\\-\\-", separator);
        print_roff(out, option_rows[i].name);
        separator = ", ";
    }
    fputs(".\n.PP\nExit codes: ", out);
    print_roff(out, c->exits);
    fputs(".\n.PP\n.nf\n", out);
    print_roff(out, c->example);
    fputs("\n.fi\n", out);
}

static void man_option(const struct option_row *o, FILE *out)
{
    char variable[OPTION_LABEL_MAX];

    option_variable(o, variable);
    fputs(".TP\n", out);
    if (o->type == OPTION_SECRET)
        fprintf(out, ".BR %s \", \" %s_FILE\n", variable, variable);
    else if (o->type == OPTION_FLAG)
        fprintf(out, ".B \\-\\-%s\n", o->name);
    else
        fprintf(out, ".BI \\-\\-%s \" %s\" \" (%s)\"\n", o->name, o->value, variable);
    print_roff(out, o->help);
    if (o->fallback != NULL)
        fprintf(out, "; default %s", o->fallback);
    putc('\n', out);
}

void help_man(FILE *out)
{
    fprintf(out, ".TH KISEKI 1 \"\" \"kiseki %s\" \"User Commands\"\n.nh\n", KISEKI_VERSION);
    fputs(
        ".SH NAME\nkiseki \\- S3 gateway over a filesystem of its own\n"
        ".SH SYNOPSIS\n.B kiseki\n.I command\n[\n.B \\-\\-option\n.I value\n] ...\n[\n.I FILE\n]\n"
        ".SH DESCRIPTION\nKiseki serves the S3 protocol from files that it keeps as immutable\n"
        "slices in a backing store (MinIO, any S3, or a local directory), with metadata in\n"
        "PostgreSQL or SQLite. Many gateways may serve one volume.\n.SH COMMANDS\n",
        out);
    for (size_t i = 0; i < command_count; i++)
        man_command(&command_rows[i], out);
    fputs(
        ".SH OPTIONS\nAn option that takes a value is also an environment variable, given in\n"
        "parentheses, and a setting of the configuration file, NAME = VALUE. The option wins over\n"
        "the variable, the variable over the file, the file over the default. Secrets are read\n"
        "from variables, from the file that the variable with _FILE names, or from the\n"
        "configuration file.\n",
        out);
    for (size_t i = 0; i < option_count; i++)
        if (option_rows[i].help != NULL)
            man_option(&option_rows[i], out);
    fputs(".SH SIGNALS\n.TP\n.B SIGTERM\nstop accepting, finish running requests, exit 0\n"
          ".TP\n.B SIGHUP\nread the configuration file, the root user's keys and the certificate "
          "again; log what\n"
          "changed and what needs a restart\n"
          ".SH CONFIGURATION FILE\nA line has one NAME = VALUE, where NAME is that of an option "
          "without dashes. A # at the\nbegin of a line or after a blank begins a comment; a value "
          "in double quotes keeps its blanks.\nA secret may stand there as secret\\-key, for "
          "instance, if the file has mode 0600, or as\nsecret\\-key\\-file = PATH.\n"
          ".SH FILES\n.TP\n.I data/credentials\nthe root user's keys, if they are not given by "
          "variables\n"
          ".TP\n.I data/master.key\nthe key that encrypts secrets in the database\n",
          out);
}

int command_man(const struct config *c)
{
    (void)c;
    help_man(stdout);
    return 0;
}

int command_version(const struct config *c)
{
    (void)c;
    printf("kiseki %s\n", KISEKI_VERSION);
    return 0;
}
