/* A stand-in for libnvidia-ml.so.1, loaded by the real pynvml.
 *
 * What it answers is read from the text file that NVML_STAND_IN names, again whenever that file
 * changes, so a test can lose a GPU or hang a call while the sampler runs. Without the variable the
 * driver is "not loaded". A line is `key value`; a key of one GPU is `gpu.N.key`, of all `gpu.key`.
 * See stand_in.py for the keys. Figures that no line fixes vary over time as a training run's do.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15
};
#define GPUS 16
#define INSTANCES 8
#define NAMES 128
typedef unsigned long long u64;

/* A handle points into one of these: a GPU, or an instance of one. */
struct device { int gpu, instance; };
static struct device gpus[GPUS], instances[GPUS][INSTANCES];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[1 << 16];
static struct timespec changed;
static ino_t inode;
static int initialized;
static struct { char name[64]; int count; } calls[NAMES];

/* --- the script file ------------------------------------------------------------------------ */

static int load(void) {
  const char *path = getenv("NVML_STAND_IN");
  struct stat status;
  if (!path || stat(path, &status)) return 0;
  if (status.st_ino == inode && status.st_mtim.tv_sec == changed.tv_sec &&
      status.st_mtim.tv_nsec == changed.tv_nsec)
    return 1;
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  text[0] = '\n';
  size_t size = fread(text + 1, 1, sizeof text - 2, file);
  text[size + 1] = 0;
  fclose(file);
  changed = status.st_mtim;
  inode = status.st_ino;
  return 1;
}

static int find(const char *key, char *value, size_t size) {
  char start[160];
  snprintf(start, sizeof start, "\n%s ", key);
  const char *line = strstr(text, start);
  if (!line) return 0;
  line += strlen(start);
  size_t length = strcspn(line, "\n");
  if (length >= size) length = size - 1;
  memcpy(value, line, length);
  value[length] = 0;
  return 1;
}

static int setting(int gpu, const char *key, char *value, size_t size) {
  char full[128];
  int found;
  pthread_mutex_lock(&lock);
  load();
  snprintf(full, sizeof full, "gpu.%d.%s", gpu, key);
  found = gpu >= 0 && find(full, value, size);
  snprintf(full, sizeof full, gpu >= 0 ? "gpu.%s" : "%s", key);
  found = found || find(full, value, size);
  pthread_mutex_unlock(&lock);
  return found;
}

static double number(int gpu, const char *key, double otherwise) {
  char value[64];
  return setting(gpu, key, value, sizeof value) ? atof(value) : otherwise;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return number(-1, "now", t.tv_sec + t.tv_nsec / 1e9);
}

static int listed(int gpu, const char *key, const char *word) {
  char value[512], *rest = value, *part;
  if (!setting(gpu, key, value, sizeof value)) return 0;
  while ((part = strsep(&rest, ",")))
    if (!strcmp(part, word)) return 1;
  return 0;
}

/* --- what happens to every call -------------------------------------------------------------- */

int stand_in_calls(const char *name) {
  int count = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < NAMES; i++)
    if (!strcmp(calls[i].name, name)) count = calls[i].count;
  pthread_mutex_unlock(&lock);
  return count;
}

static void count_call(int gpu, const char *name) {
  char full[64];
  snprintf(full, sizeof full, gpu >= 0 ? "%s.%d" : "%s", name, gpu);
  pthread_mutex_lock(&lock);
  for (int i = 0; i < NAMES; i++)
    if (!calls[i].name[0] || !strcmp(calls[i].name, full)) {
      strcpy(calls[i].name, full);
      calls[i].count++;
      break;
    }
  pthread_mutex_unlock(&lock);
}

static int count(void) {
  int wanted = (int)number(-1, "gpus", 0);
  return wanted > GPUS ? GPUS : wanted;
}

/* Counts, hangs or refuses the call `name` as the script says. */
static int gate(const struct device *device, const char *name) {
  int gpu = device ? device->gpu : -1;
  char code[96];
  count_call(gpu, name);
  while (listed(gpu, "hang", name)) usleep(2000);
  if (!initialized) return UNINITIALIZED;
  snprintf(code, sizeof code, "error.%s", name);
  int error = (int)number(gpu, code, SUCCESS);
  if (error) return error;
  if (!device) return SUCCESS;
  if (device->gpu >= count()) return INVALID_ARGUMENT;
  if (number(gpu, "lost", 0)) return GPU_IS_LOST;
  if (listed(gpu, "unsupported", name)) return NOT_SUPPORTED;
  return SUCCESS;
}
#define GATE(device, name) \
  do { int code = gate(device, name); if (code) return code; } while (0)
/* An instance of a GPU has memory and processes of its own, and nothing else. */
#define WHOLE(device) if ((device)->instance >= 0) return NOT_SUPPORTED

/* --- figures --------------------------------------------------------------------------------- */

/* How busy a GPU is, 0..1: a training run with an input stall now and then and an evaluation. */
static double busy(int gpu) {
  double fixed = number(gpu, "utilization", -1);
  if (fixed >= 0) return fixed / 100;
  double t = now() + gpu * 0.7;
  double level = 0.93 + 0.05 * sin(t * 0.9) + 0.02 * sin(t * 5.3 + gpu);
  if (fmod(t, 23) < 2.5) level *= 0.45;
  if (fmod(now(), 97) < 9) level *= 0.6;
  return level > 1 ? 1 : level;
}

/* A counter that only grows: at the rate that a line fixes, or at one that swings by a third. */
static u64 counter(int gpu, const char *key, double otherwise) {
  double t = now(), fixed = number(gpu, key, -1);
  if (fixed >= 0) return (u64)(fixed * t);
  return (u64)(otherwise * (t + 0.37 * (1 - cos(t * 0.9 + gpu))));
}

static double limit_w(int gpu) { return number(gpu, "power_limit_w", 700); }
static double power_w(int gpu) {
  return number(gpu, "power_w", 75 + (limit_w(gpu) * 0.98 - 75) * pow(busy(gpu), 1.3));
}
static double total_bytes(int gpu) { return number(gpu, "memory_mib", 81559) * 1048576.0; }

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  count_call(-1, "init");
  while (listed(-1, "hang", "init")) usleep(2000);
  pthread_mutex_lock(&lock);
  int there = load();
  pthread_mutex_unlock(&lock);
  if (!there) return DRIVER_NOT_LOADED;
  int error = (int)number(-1, "init", SUCCESS);
  if (!error) initialized = 1;
  return error;
}
int nvmlShutdown(void) {
  if (!initialized) return UNINITIALIZED;
  initialized = 0;
  return SUCCESS;
}
const char *nvmlErrorString(int code) {
  static char words[32];
  snprintf(words, sizeof words, "stand-in error %d", code);
  return words;
}
int nvmlSystemGetDriverVersion(char *version, unsigned size) {
  GATE(NULL, "driver");
  if (!setting(-1, "driver", version, size)) snprintf(version, size, "580.65.06");
  return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
  GATE(NULL, "cuda");
  *version = (int)number(-1, "cuda", 13000);
  return SUCCESS;
}
int nvmlDeviceGetCount_v2(unsigned *found) {
  GATE(NULL, "count");
  *found = (unsigned)count();
  return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **handle) {
  GATE(NULL, "handle");
  if ((int)index >= count()) return INVALID_ARGUMENT;
  gpus[index] = (struct device){(int)index, -1};
  GATE(&gpus[index], "handle");
  *handle = &gpus[index];
  return SUCCESS;
}
int nvmlDeviceGetName(struct device *d, char *name, unsigned size) {
  GATE(d, "name");
  char whole[80];
  if (!setting(d->gpu, "name", whole, sizeof whole)) strcpy(whole, "NVIDIA H100 80GB HBM3");
  snprintf(name, size, d->instance < 0 ? "%s" : "%s MIG 3g.40gb", whole);
  return SUCCESS;
}
int nvmlDeviceGetUUID(struct device *d, char *uuid, unsigned size) {
  GATE(d, "uuid");
  if (d->instance < 0 && setting(d->gpu, "uuid", uuid, size)) return SUCCESS;
  snprintf(uuid, size, "%s-%08x-0000-4000-8000-%012x", d->instance < 0 ? "GPU" : "MIG",
           0xf00d0000u + (unsigned)d->gpu, (unsigned)(d->instance + 1));
  return SUCCESS;
}
struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };
int nvmlDeviceGetPciInfo_v3(struct device *d, struct pci *info) {
  GATE(d, "pci"); WHOLE(d);
  memset(info, 0, sizeof *info);
  snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", 0x10 + d->gpu * 8);
  return SUCCESS;
}
int nvmlDeviceGetCudaComputeCapability(struct device *d, int *major, int *minor) {
  GATE(d, "capability");
  *major = 9;
  *minor = 0;
  return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(struct device *d, unsigned *rates) {
  GATE(d, "utilization"); WHOLE(d);
  rates[0] = (unsigned)lround(busy(d->gpu) * 100);
  rates[1] = (unsigned)number(d->gpu, "memory_utilization", lround(busy(d->gpu) * 61));
  return SUCCESS;
}
struct memory { u64 total, free, used; };
struct memory_v2 { unsigned version; u64 total, reserved, free, used; };
static u64 used_bytes(struct device *d) {
  double share = number(d->gpu, "memory_ratio", 0.72 + 0.02 * sin(now() * 0.2 + d->gpu));
  double all = d->instance < 0 ? total_bytes(d->gpu) : total_bytes(d->gpu) / 2;
  return (u64)number(d->gpu, "memory_used_bytes", all * share);
}
static u64 size_bytes(struct device *d) {
  return (u64)(d->instance < 0 ? total_bytes(d->gpu) : total_bytes(d->gpu) / 2);
}
int nvmlDeviceGetMemoryInfo_v2(struct device *d, struct memory_v2 *m) {
  GATE(d, "memory_v2");
  m->total = size_bytes(d);
  m->reserved = (u64)600 << 20;
  m->used = used_bytes(d);
  m->free = m->total - m->reserved - m->used;
  return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(struct device *d, struct memory *m) {
  GATE(d, "memory");
  m->total = size_bytes(d);
  m->used = used_bytes(d) + ((u64)600 << 20);
  m->free = m->total - m->used;
  return SUCCESS;
}
int nvmlDeviceGetPowerUsage(struct device *d, unsigned *milliwatts) {
  GATE(d, "power"); WHOLE(d);
  *milliwatts = (unsigned)(power_w(d->gpu) * 1000);
  return SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *milliwatts) {
  GATE(d, "power_limit"); WHOLE(d);
  *milliwatts = (unsigned)(limit_w(d->gpu) * 1000);
  return SUCCESS;
}
int nvmlDeviceGetPowerManagementLimit(struct device *d, unsigned *milliwatts) {
  GATE(d, "power_management_limit"); WHOLE(d);
  *milliwatts = (unsigned)(limit_w(d->gpu) * 1000);
  return SUCCESS;
}
int nvmlDeviceGetClockInfo(struct device *d, unsigned kind, unsigned *mhz) {
  GATE(d, "clock"); WHOLE(d);
  if (kind == 2) *mhz = (unsigned)number(d->gpu, "memory_mhz", 2619);
  else *mhz = (unsigned)number(d->gpu, "sm_mhz", 1980 - 240 * pow(busy(d->gpu), 6));
  return SUCCESS;
}
int nvmlDeviceGetMaxClockInfo(struct device *d, unsigned kind, unsigned *mhz) {
  GATE(d, "max_clock"); WHOLE(d);
  *mhz = kind == 2 ? 2619 : 1980;
  return SUCCESS;
}
int nvmlDeviceGetTemperature(struct device *d, unsigned sensor, unsigned *celsius) {
  (void)sensor;
  GATE(d, "temperature"); WHOLE(d);
  *celsius = (unsigned)number(d->gpu, "celsius", 34 + 30 * busy(d->gpu) + d->gpu);
  return SUCCESS;
}
struct temperature { unsigned version, sensor; int celsius; };
int nvmlDeviceGetTemperatureV(struct device *d, struct temperature *t) {
  GATE(d, "temperature_v"); WHOLE(d);
  t->celsius = (int)number(d->gpu, "celsius", 34 + 30 * busy(d->gpu) + d->gpu);
  return SUCCESS;
}
int nvmlDeviceGetFanSpeed(struct device *d, unsigned *percent) {
  GATE(d, "fan"); WHOLE(d);
  *percent = (unsigned)number(d->gpu, "fan_percent", 30 + 40 * busy(d->gpu));
  return SUCCESS;
}
#define CONSTANT(function, name, key, otherwise) \
  int function(struct device *d, unsigned *value) { \
    GATE(d, name); WHOLE(d); \
    *value = (unsigned)number(d->gpu, key, otherwise); \
    return SUCCESS; \
  }
CONSTANT(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation", "pcie_generation", 5)
CONSTANT(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width", "pcie_width", 16)
CONSTANT(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_generation_max", "pcie_generation_max", 5)
CONSTANT(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max", "pcie_width_max", 16)

int nvmlDeviceGetPcieThroughput(struct device *d, unsigned direction, unsigned *kilobytes) {
  GATE(d, "pcie"); WHOLE(d);
  usleep((unsigned)(number(-1, "pcie_ms", 20) * 1000)); /* as the real one measures */
  *kilobytes = (unsigned)number(d->gpu, direction ? "pcie_rx_kb" : "pcie_tx_kb",
                                (direction ? 2.6e6 : 0.4e6) * busy(d->gpu));
  return SUCCESS;
}
struct field { unsigned id, scope; long long at_us, latency_us; unsigned type; int code; u64 value; };
static u64 field_value(int gpu, unsigned id) {
  if (id == 138) return counter(gpu, "nvlink_tx_bytes_per_s", 9.1e10) / 1024;
  if (id == 139) return counter(gpu, "nvlink_rx_bytes_per_s", 9.0e10) / 1024;
  if (id == 197) return counter(gpu, "pcie_tx_bytes_per_s", 0.41e9);
  return counter(gpu, "pcie_rx_bytes_per_s", 2.62e9);
}
int nvmlDeviceGetFieldValues(struct device *d, int n, struct field *fields) {
  GATE(d, "fields"); WHOLE(d);
  int narrow = (int)number(d->gpu, "narrow_counters", 0);
  for (int i = 0; i < n; i++) {
    struct field *f = &fields[i];
    int nvlink = f->id == 138 || f->id == 139, pcie = f->id == 197 || f->id == 198;
    f->at_us = (long long)(now() * 1e6);
    f->type = pcie && narrow ? 1 : 3;
    f->code = SUCCESS;
    if (!nvlink && !pcie) f->code = INVALID_ARGUMENT;
    if (nvlink && (f->scope != 0xffffffffu || listed(d->gpu, "unsupported", "nvlink")))
      f->code = NOT_SUPPORTED;
    if (pcie && listed(d->gpu, "unsupported", "pcie_counters")) f->code = NOT_SUPPORTED;
    f->value = f->code ? 0 : field_value(d->gpu, f->id);
    if (f->type == 1) f->value &= 0xffffffffu;
  }
  return SUCCESS;
}
static u64 reasons(int gpu) {
  double idle = busy(gpu) < 0.02 ? 1 : 0, capped = power_w(gpu) > limit_w(gpu) * 0.93 ? 4 : 0;
  return (u64)number(gpu, "reasons", idle + capped);
}
int nvmlDeviceGetCurrentClocksEventReasons(struct device *d, u64 *bits) {
  GATE(d, "reasons"); WHOLE(d);
  *bits = reasons(d->gpu);
  return SUCCESS;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *d, u64 *bits) {
  GATE(d, "throttle_reasons"); WHOLE(d);
  *bits = reasons(d->gpu);
  return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(struct device *d, unsigned kind, unsigned period, u64 *errors) {
  (void)period;
  GATE(d, "ecc"); WHOLE(d);
  *errors = (u64)number(d->gpu, kind ? "ecc_uncorrected" : "ecc_corrected", 0);
  return SUCCESS;
}
int nvmlDeviceGetEccMode(struct device *d, unsigned *mode, unsigned *pending) {
  GATE(d, "ecc_mode"); WHOLE(d);
  *mode = *pending = 1;
  return SUCCESS;
}

/* --- processes: `gpu.N.compute PID:MIB,PID:MIB`, `gpu.N.mig.I.compute …` ----------------------- */

struct process { unsigned pid; u64 bytes; unsigned instance, compute_instance; };
static int list(struct device *d, const char *kind, unsigned *n, struct process *processes) {
  char key[48], value[2048], *rest = value, *part;
  if (d->instance < 0) snprintf(key, sizeof key, "%s", kind);
  else snprintf(key, sizeof key, "mig.%d.%s", d->instance, kind);
  unsigned found = 0;
  if (setting(d->gpu, key, value, sizeof value))
    while ((part = strsep(&rest, ","))) {
      char *mib = strchr(part, ':');
      if (processes && found < *n)
        processes[found] = (struct process){(unsigned)atol(part),
            mib ? (u64)(atof(mib + 1) * 1048576) : ~0ull, ~0u, ~0u};
      found++;
    }
  int small = found > (processes ? *n : 0);
  *n = found;
  return small ? INSUFFICIENT_SIZE : SUCCESS;
}
#define PROCESSES(function, name) \
  int function(struct device *d, unsigned *n, struct process *processes) { \
    GATE(d, name); \
    return list(d, name, n, processes); \
  }
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "compute")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics")
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3, "mps")

/* --- MIG: `gpu.N.mig COUNT` ---------------------------------------------------------------------- */

int nvmlDeviceGetMigMode(struct device *d, unsigned *mode, unsigned *pending) {
  GATE(d, "mig"); WHOLE(d);
  double wanted = number(d->gpu, "mig", -1);
  if (wanted < 0) return NOT_SUPPORTED;
  *mode = *pending = wanted > 0;
  return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(struct device *d, unsigned *most) {
  GATE(d, "mig_most");
  *most = INSTANCES - 1;
  return SUCCESS;
}
int nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, unsigned index, struct device **handle) {
  GATE(d, "mig_handle");
  if (index >= INSTANCES || index >= number(d->gpu, "mig", 0)) return NOT_FOUND;
  instances[d->gpu][index] = (struct device){d->gpu, (int)index};
  *handle = &instances[d->gpu][index];
  return SUCCESS;
}
