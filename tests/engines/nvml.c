/* GPUs that are lines of a file: what the tests serve NVIDIA's Python library in place of a driver.

   JX_TEST_GPUS names the file, which is read at each question, so that a test changes it:
       uuid|name|bytes|bytes used|utilization|degrees|milliwatts|process or 0|card
   A line with a card is a slice of it; the card itself, a line as well, has MIG switched on then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char uuid[96], name[96], card[96];
    unsigned long long total, used;
    unsigned utilization, degrees, milliwatts, process;
} gpu;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } rates;
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute; } process;

enum { OK = 0, BAD = 2, UNSUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, GONE = 15 };
static gpu gpus[256];

static int load(void) {
    const char *path = getenv("JX_TEST_GPUS");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];
    int count = 0;
    if (!file) return -1;
    memset(gpus, 0, sizeof gpus);
    while (count < 256 && fgets(line, sizeof line, file)) {
        gpu *g = &gpus[count];
        if (sscanf(line, "%95[^|]|%95[^|]|%llu|%llu|%u|%u|%u|%u|%95[^\n]", g->uuid, g->name, &g->total,
                   &g->used, &g->utilization, &g->degrees, &g->milliwatts, &g->process, g->card) >= 8)
            count++;
    }
    fclose(file);
    return count;
}

static int slices(const gpu *card, unsigned wanted, gpu **found) {
    int count = 0;
    for (int i = 0; i < 256 && gpus[i].uuid[0]; i++)
        if (!strcmp(gpus[i].card, card->uuid) && count++ == (int)wanted && found) *found = &gpus[i];
    return count;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return load() < 0 ? GONE : OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { return code == GONE ? "GPU is lost" : "failed"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    int all = load();
    if (all < 0) return GONE;
    *count = 0;
    for (int i = 0; i < all; i++) *count += !gpus[i].card[0];
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, gpu **found) {
    for (int i = 0; i < 256 && gpus[i].uuid[0]; i++)
        if (!gpus[i].card[0] && !index--) { *found = &gpus[i]; return OK; }
    return BAD;
}
int nvmlDeviceGetUUID(gpu *g, char *text, unsigned size) { snprintf(text, size, "%s", g->uuid); return OK; }
int nvmlDeviceGetName(gpu *g, char *text, unsigned size) { snprintf(text, size, "%s", g->name); return OK; }
int nvmlDeviceGetMemoryInfo(gpu *g, memory *m) {
    m->total = g->total; m->used = g->used; m->free = g->total - g->used; return OK;
}
int nvmlDeviceGetMigMode(gpu *g, unsigned *now, unsigned *pending) {
    if (g->card[0]) return BAD;
    return *now = *pending = slices(g, 0, NULL) > 0, OK;
}
int nvmlDeviceGetMaxMigDeviceCount(gpu *g, unsigned *count) { (void)g; *count = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(gpu *g, unsigned index, gpu **found) {
    *found = NULL; slices(g, index, found); return *found ? OK : NOT_FOUND;
}
int nvmlDeviceGetUtilizationRates(gpu *g, rates *r) {
    if (g->card[0]) return UNSUPPORTED;
    r->gpu = g->utilization; return OK;
}
int nvmlDeviceGetTemperature(gpu *g, int sensor, unsigned *degrees) { (void)sensor; *degrees = g->degrees; return OK; }
int nvmlDeviceGetPowerUsage(gpu *g, unsigned *milliwatts) { *milliwatts = g->milliwatts; return OK; }
int nvmlDeviceGetComputeRunningProcesses_v3(gpu *g, unsigned *count, process *list) {
    unsigned room = *count;
    *count = g->process ? 1 : 0;
    if (!*count) return OK;
    if (!list || room < 1) return SMALL;
    list->pid = g->process; list->used = g->used; list->instance = list->compute = ~0u;
    return OK;
}
