#include "gateway/app/commands.h"

#include "gateway/app/options.h"

#include <string.h>

#define TOOL_EXITS "0: done; 2: it could not begin, or failed"
#define FIND_EXITS "0: nothing was found; 1: something was found; 2: it could not begin, or failed"

const struct command command_rows[] = {
    {"serve", COMMAND_SERVE, command_serve, NULL, "serve S3 until SIGTERM",
     "Serves a volume to S3 clients, and creates the volume if there is none. Without --meta and\n"
     "--store everything is kept in --data: metadata in SQLite, slices in a folder, the keys in\n"
     "files of mode 0600.\n"
     "SIGTERM and SIGINT: accept no new connections, finish running requests, exit. SIGHUP: read\n"
     "the configuration file, the root user's keys and the certificate again, and log what\n"
     "changed and what needs a restart.",
     "0: stopped by a signal; 1: it could not start; 2: wrong options",
     "kiseki serve\n"
     "kiseki serve --listen 0.0.0.0:9000 --data /srv/kiseki"},
    {"status", COMMAND_STATUS, command_status, NULL, "what the volume holds and who serves it",
     "Prints the volume's id, the numbers of buckets, objects and bytes, what waits to be freed,\n"
     "the gateways that run, and the locks on ranges of files. Changes nothing.",
     "0: printed; 2: there is no volume, or it cannot be read", "kiseki status --json"},
    {"health", COMMAND_HEALTH, command_health, NULL,
     "exit 0 if the gateway on this machine answers",
     "Asks /ready of the metrics listener if --metrics-listen is set; otherwise it is enough that\n"
     "S3 answers at --listen. For the health checks of containers.",
     "0: healthy; 1: it does not answer, or is not ready; 2: wrong options",
     "kiseki health --metrics-listen 127.0.0.1:9001"},
    {"gc", COMMAND_GC, command_gc, NULL, "what can be freed; --apply frees it",
     "Reports the space that deleted and overwritten objects still occupy, and with --apply frees\n"
     "it. The gateways do the same by themselves, and may run meanwhile.",
     TOOL_EXITS, "kiseki gc\nkiseki gc --apply --wait"},
    {"fsck", COMMAND_FSCK, command_fsck, NULL, "check the metadata; --check-store, --repair",
     "Checks that the metadata is consistent, and with --check-store that the store holds every\n"
     "slice and nothing else. --repair repairs what is certain (counts, orphans); for that all\n"
     "gateways must be stopped. Lost data is only reported.",
     FIND_EXITS, "kiseki fsck --check-store"},
    {"scrub", COMMAND_SCRUB, command_scrub, NULL, "read all slices and check their checksums",
     "Reads every slice, verifies the checksum of each 64 KiB, and names the objects that are\n"
     "damaged. Gateways may run meanwhile.",
     FIND_EXITS, "kiseki scrub --rate 50M"},
    {"dump", COMMAND_DUMP, command_dump, "[FILE]", "write the metadata as JSON lines to FILE",
     "Writes the volume's metadata to FILE, which must not exist, or to standard output: \"-\",\n"
     "or no FILE unless that is a terminal. The gateways must be stopped. Small objects are in\n"
     "the metadata; all others stay in the store.",
     TOOL_EXITS, "kiseki dump volume.jsonl"},
    {"load", COMMAND_LOAD, command_load, "[FILE]", "load such a dump into an empty database",
     "Loads FILE, or standard input, into an empty database of either engine. --store is the\n"
     "store of the dumped volume, which this database takes over: the old database is rejected\n"
     "from then on.",
     TOOL_EXITS, "kiseki load volume.jsonl --meta postgres://db/kiseki --store dir:data/store"},
    {"migrate", COMMAND_MIGRATE, command_migrate, NULL, "bring an older volume's schema up to date",
     "Changes the database of a volume that an older release made to the schema of this one, in\n"
     "one transaction for each version, and shows the steps. All gateways must be stopped, and\n"
     "the database backed up. A gateway does the same at its start, up to a million objects.",
     "0: migrated, or there was nothing to do; 2: not migrated, or only to a version in between",
     "kiseki migrate --meta postgres://db/kiseki --store dir:data/store"},
    {"key", COMMAND_KEY, command_key, "ACTION [NAME]",
     "access keys: list, create, disable, enable, remove",
     "list         prints all access keys and their accounts, without secrets\n"
     "create NAME  creates a key for the account NAME, and the account if it is\n"
     "             new; the secret is printed only now\n"
     "disable KEY  rejects it from now on; enable KEY undoes that\n"
     "remove KEY   deletes it; the buckets and objects of its account stay\n"
     "An account can use the buckets that its keys created, and no others; the root key can do\n"
     "everything. Changes take effect at once, on all running gateways. To replace the root key,\n"
     "start the gateways with another one.",
     TOOL_EXITS, "kiseki key create photos\nkiseki key list --json\nkiseki key remove AKEXAMPLE"},
    {"config", COMMAND_CONFIG, command_config, NULL, "print the settings in force and their origin",
     "Prints each setting that `kiseki serve` would use, and where it comes from: a flag, a\n"
     "variable, the configuration file, or the default. Secrets are masked. What is printed has\n"
     "the form of a configuration file. A wrong name or value is an error, so this checks a file\n"
     "before a gateway reads it; addresses, certificates and keys are not tried.",
     "0: printed; 2: a setting is wrong",
     "kiseki config\nkiseki config --config /etc/kiseki/kiseki.conf --json"},
    {"routes", COMMAND_ROUTES, command_routes, NULL, "print the table of S3 operations",
     "Prints what selects each S3 operation (method, path, query, header), its IAM action (and\n"
     "after \"|\" that for a version, after \"+\" that for a copy's source), what it acts on, its\n"
     "body, whether it is built, and the query arguments and groups of headers that it takes.\n"
     "What S3 gives a meaning and no row takes is answered with 501. Asks no server.",
     "0: printed; 2: it could not be", "kiseki routes\nkiseki routes --json"},
    {"version", COMMAND_VERSION, command_version, NULL, "print the version", "Prints the version.",
     "0", "kiseki version"},
    {"man", COMMAND_MAN, command_man, NULL, "print the manual page (roff)",
     "Prints the manual page.", "0", "kiseki man | man -l -"},
};
const size_t command_count = sizeof(command_rows) / sizeof(command_rows[0]);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(name, command_rows[i].name) == 0)
            return &command_rows[i];
    return NULL;
}

const char *command_name(unsigned bit)
{
    for (size_t i = 0; i < command_count; i++)
        if (command_rows[i].bit == bit)
            return command_rows[i].name;
    return "";
}
