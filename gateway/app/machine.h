/*
 * What the machine has, for settings that would ask for more.
 */
#ifndef KISEKI_GATEWAY_APP_MACHINE_H
#define KISEKI_GATEWAY_APP_MACHINE_H

#include <stdint.h>

/*
 * Bytes of memory that this process may have: the machine's, or fewer where a control group limits
 * it (a container, systemd's MemoryMax). 0: not known. `root` is "", or in tests a folder that
 * stands for /. Reads /proc and /sys; does not block otherwise.
 */
uint64_t machine_memory(const char *root);

#endif
