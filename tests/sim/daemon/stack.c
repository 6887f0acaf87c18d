/* stack.c - stacks to run on, and going from one to the other. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os_internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define STACK_SIZE (1 << 20) /* its frames are large */
#else
#define STACK_SIZE (256 << 10)
#endif

/* --- Stacks --------------------------------------------------------------------------------------- */

static struct {
  void **v;
  size_t n, cap;
} spare;

static size_t page(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

static void *stack_get(void) {
  if (spare.n > 0) return spare.v[--spare.n];
  uint8_t *all = mmap(NULL, page() + STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (all == MAP_FAILED || mprotect(all, page(), PROT_NONE) != 0) hopeless("no memory for a stack");
  return all + page();
}

static void stack_put(const context *c) {
#ifdef SANITIZED
  __asan_unpoison_memory_region(c->bottom, c->size);
#endif
  if (spare.n == spare.cap) {
    spare.cap = spare.cap == 0 ? 64 : 2 * spare.cap;
    spare.v = realloc(spare.v, spare.cap * sizeof *spare.v);
    if (spare.v == NULL) hopeless("no memory");
  }
  spare.v[spare.n++] = c->bottom;
}

void contexts_forget(void) {
#ifdef SANITIZED
  __lsan_enable();
#endif
  while (spare.n > 0)
    munmap((uint8_t *)spare.v[--spare.n] - page(), page() + STACK_SIZE);
  free(spare.v);
  memset(&spare, 0, sizeof spare);
}

/* --- Switching ------------------------------------------------------------------------------------ */

/* The system's swapcontext() asks the kernel to save the signal mask each time, which takes a hundred times as long. */
#if defined(__x86_64__) && !defined(OS_UCONTEXT)

void os_stack_switch(void **from, void *to);
/* What a function must leave as it was goes onto the old stack, and comes from the new one. */
__asm__(".text\n"
        ".globl os_stack_switch\n"
        ".hidden os_stack_switch\n"
        ".type os_stack_switch, @function\n"
        "os_stack_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size os_stack_switch, . - os_stack_switch\n");

static void prepare(context *c, void (*main)(void)) {
  void **top = (void **)(void *)((uint8_t *)c->bottom + c->size);
  memset(top - 8, 0, 8 * sizeof *top); /* six registers, main, and nowhere to return to */
  memcpy(top - 2, &main, sizeof main);
  c->sp = top - 8;
}

static void jump(context *from, context *to) {
  os_stack_switch(&from->sp, to->sp);
}

static void discard(context *c) {
  c->sp = NULL;
}

#else
#include <ucontext.h>

static void prepare(context *c, void (*main)(void)) {
  ucontext_t *u = malloc(sizeof *u);
  if (u == NULL) hopeless("no memory");
  getcontext(u);
  u->uc_stack.ss_sp = c->bottom;
  u->uc_stack.ss_size = c->size;
  u->uc_link = NULL;
  makecontext(u, main, 0);
  c->sp = u;
}

static void jump(context *from, context *to) {
  if (from->sp == NULL) from->sp = malloc(sizeof(ucontext_t));
  if (from->sp == NULL) hopeless("no memory");
  swapcontext(from->sp, to->sp);
}

static void discard(context *c) {
  free(c->sp);
  c->sp = NULL;
}
#endif

void context_free(context *c) {
  stack_put(c);
  discard(c);
}

void context_make(context *c, void (*main)(void)) {
  c->bottom = stack_get();
  c->size = STACK_SIZE;
  prepare(c, main);
}

void context_of_thread(context *c) {
  pthread_attr_t attr;
  if (pthread_getattr_np(pthread_self(), &attr) != 0) hopeless("the thread's stack is not known");
  pthread_attr_getstack(&attr, &c->bottom, &c->size);
  pthread_attr_destroy(&attr);
}

void context_switch(context *from, context *to, bool ends) {
#ifdef SANITIZED
  __sanitizer_start_switch_fiber(ends ? NULL : &from->shadow, to->bottom, to->size);
#else
  (void)ends;
#endif
  jump(from, to);
#ifdef SANITIZED
  __sanitizer_finish_switch_fiber(from->shadow, NULL, NULL);
#endif
}

void context_entered(void) {
#ifdef SANITIZED
  __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

/* What a killed machine had is lost, and what hangs on a fiber's stack alone is not found there. */
void contexts_begin(void) {
#ifdef SANITIZED
  __lsan_disable();
#endif
}
