#include "fake_node.h"

#include <stdio.h>
#include <time.h>

static void answer(fake_node *f, fake_call *call) {
  pthread_mutex_lock(&f->lock);
  cd_class cls = f->cls;
  json_t *body =
      f->result ? json_deep_copy(f->result) : json_pack("{s:s, s:O}", "method", call->method, "args", call->args);
  pthread_mutex_unlock(&f->lock);
  json_decref(call->args);
  call->reply(call->ctx, cls, body);
  free(call);
}

static void on_call(void *ctx, const char *method, json_t *args, cd_reply_fn reply, void *reply_ctx) {
  fake_node *f = ctx;
  fake_call *call = calloc(1, sizeof *call);
  snprintf(call->method, sizeof call->method, "%s", method);
  call->args = args;
  call->reply = reply;
  call->ctx = reply_ctx;
  pthread_mutex_lock(&f->lock);
  f->n_calls++;
  json_decref(f->last);
  f->last = json_pack("{s:s, s:o}", "method", method, "args", json_deep_copy(args));
  bool hold = f->hold;
  if (hold) {
    call->next = f->held;
    f->held = call;
    f->n_held++;
    pthread_cond_broadcast(&f->changed);
  }
  pthread_mutex_unlock(&f->lock);
  if (!hold) answer(f, call);
}

void fake_init(fake_node *f) {
  *f = (fake_node){.cls = CD_OK};
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->changed, NULL);
}

void fake_clear(fake_node *f) {
  json_decref(f->result);
  json_decref(f->last);
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->lock);
}

cd_commands fake_commands(fake_node *f) {
  return (cd_commands){.ctx = f, .call = on_call};
}

void fake_answers(fake_node *f, cd_class cls, const char *json) {
  json_error_t why;
  json_t *result = json ? json_loads(json, 0, &why) : NULL;
  if (json && !result) fprintf(stderr, "fake_answers: %s\n", why.text);
  pthread_mutex_lock(&f->lock);
  json_decref(f->result);
  f->result = result;
  f->cls = cls;
  pthread_mutex_unlock(&f->lock);
}

json_t *fake_last(fake_node *f) {
  pthread_mutex_lock(&f->lock);
  json_t *copy = json_deep_copy(f->last);
  pthread_mutex_unlock(&f->lock);
  return copy;
}

unsigned fake_calls(fake_node *f) {
  pthread_mutex_lock(&f->lock);
  unsigned n = f->n_calls;
  pthread_mutex_unlock(&f->lock);
  return n;
}

void fake_hold(fake_node *f) {
  pthread_mutex_lock(&f->lock);
  f->hold = true;
  pthread_mutex_unlock(&f->lock);
}

bool fake_wait_held(fake_node *f, unsigned n) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 10;
  int e = 0;
  pthread_mutex_lock(&f->lock);
  while (f->n_held < n && e == 0)
    e = pthread_cond_timedwait(&f->changed, &f->lock, &until);
  pthread_mutex_unlock(&f->lock);
  return e == 0;
}

static void *answer_all(void *arg) {
  fake_node *f = arg;
  pthread_mutex_lock(&f->lock);
  fake_call *calls = f->held;
  f->held = NULL;
  f->n_held = 0;
  f->hold = false;
  pthread_mutex_unlock(&f->lock);
  while (calls) {
    fake_call *next = calls->next;
    answer(f, calls);
    calls = next;
  }
  return NULL;
}

void fake_release(fake_node *f) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, answer_all, f) == 0) pthread_join(thread, NULL);
}
