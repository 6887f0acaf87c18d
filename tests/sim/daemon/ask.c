/* ask.c - the client of every daemon: commands, and their answers. */
#include "world.h"

#include <jansson.h>

#include "commands.h"

#define PATIENCE (200 * OS_S) /* no command waits for longer: the longest wait that is asked for, and some */

static void note_json(const world *w, const ask *a, const char *what, const json_t *json) {
  if (!w->trace) return;
  char *text = json_dumps(json, JSON_COMPACT);
  note(w, "%s %s %s %.200s", os_name(a->d->machine), a->method, what, text);
  free(text);
}

static void on_reply(void *ctx, cd_class cls, json_t *body) {
  ask *a = (ask *)ctx;
  if (a->answered || !a->used) fail(a->w, "a command was answered twice");
  a->answered = true;
  a->cls = cls;
  a->body = body;
  if (cls == CD_INTERNAL && !a->d->ill && !a->d->was_ill) {
    char *text = json_dumps(body, JSON_COMPACT);
    fail(a->w, "%s failed without a fault of the disk: %.200s", a->method, text);
    free(text);
  }
  note_json(a->w, a, "answers", body);
  if (!a->then) return; /* somebody waits for it */
  a->then(a);
  ask_free(a);
}

/* The client's own thread: a command may block. */
static void client(void *arg) {
  ask *a = (ask *)arg;
  const cd_commands c = cd_node_commands(a->d->node);
  host *d = a->d;
  d->calls++;
  c.call(c.ctx, a->method, json_incref(a->args), on_reply, a);
  d->calls--;
}

static void ignore(ask *a) {
  (void)a;
}

ask *ask_new(host *d, const char *method, json_t *args, void (*then)(ask *a), int about) {
  world *w = d->w;
  int i = 0;
  while (i < MAX_ASKS && w->ask[i].used)
    i++;
  if (i == MAX_ASKS || d->life != RUNNING) {
    json_decref(args);
    return NULL;
  }
  ask *a = &w->ask[i];
  *a = (ask){.w = w, .d = d, .used = true, .args = args, .asked = os_now(), .then = then, .about = about};
  snprintf(a->method, sizeof a->method, "%s", method);
  note_json(w, a, ":", args);
  os_start(d->machine, "client", client, a);
  return a;
}

void ask_only(host *d, const char *method, json_t *args) {
  ask_new(d, method, args, ignore, 0);
}

void ask_free(ask *a) {
  json_decref(a->args);
  json_decref(a->body);
  *a = (ask){0};
}

static bool answered(void *arg) {
  const ask *a = (const ask *)arg;
  return a->answered || a->lost;
}

json_t *ask_now(host *d, const char *method, json_t *args, uint64_t ms) {
  ask *a = ask_new(d, method, args, NULL, 0);
  if (!a) return NULL;
  bool ok = os_run_until(answered, a, ms * OS_MS) && a->answered && a->cls <= CD_ACCEPTED;
  json_t *body = ok ? json_incref(a->body) : NULL;
  if (a->answered || a->lost)
    ask_free(a);
  else
    a->then = ignore;
  return body;
}

void asks_lost(const host *d) {
  for (int i = 0; i < MAX_ASKS; i++) {
    ask *a = &d->w->ask[i];
    if (!a->used || a->d != d) continue;
    if (a->then)
      ask_free(a);
    else
      a->lost = true;
  }
}

void asks_look(world *w) {
  for (int i = 0; i < MAX_ASKS; i++) {
    const ask *a = &w->ask[i];
    if (a->used && !a->answered && !a->lost && os_now() - a->asked > PATIENCE)
      fail(w, "%s of %s is never answered", a->method, os_name(a->d->machine));
  }
}
