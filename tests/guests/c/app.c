// Tasks in C, on the bindings that wit-bindgen makes of the contract, with a libc and
// nothing else.
//
// They do what an honest task does and no more: the bounds of an upload and of a run
// must have room for it.

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"

typedef exports_celeriac_task_manifest_task_info_t task_info;
typedef exports_celeriac_task_manifest_param_t param;
typedef exports_celeriac_task_handler_call_t call;
typedef exports_celeriac_task_handler_payload_t payload;
typedef exports_celeriac_task_handler_outcome_error_t outcome_error;

static param param_of(const char *name) {
  param made = {0};
  task_string_dup(&made.name, name);
  made.required = true;
  return made;
}

static task_info info_of(const char *name, const char *doc, size_t params, const char **names) {
  task_info made = {0};
  task_string_dup(&made.name, name);
  task_string_dup(&made.doc, doc);
  made.params.len = params;
  made.params.ptr = calloc(params + 1, sizeof(param));
  for (size_t at = 0; at < params; at++) made.params.ptr[at] = param_of(names[at]);
  return made;
}

void exports_celeriac_task_manifest_describe(exports_celeriac_task_manifest_list_task_info_t *ret) {
  const char *add[] = {"a", "b"}, *words[] = {"text"};
  ret->len = 4;
  ret->ptr = calloc(ret->len, sizeof(task_info));
  ret->ptr[0] = info_of("add", "Adds two numbers.", 2, add);
  ret->ptr[1] = info_of("words", "Counts the words.", 1, words);
  ret->ptr[2] = info_of("fails", "Fails.", 0, NULL);
  ret->ptr[3] = info_of("waits", "Tells how far it is, and waits until it is asked to stop.", 0, NULL);
}

// The arguments are a JSON array; these tasks read no more of JSON than they need.

static void add(const char *args, char *result, size_t room) {
  double a = 0, b = 0;
  sscanf(args, " [ %lf , %lf", &a, &b);
  snprintf(result, room, "%.17g", a + b);
}

static void words(const char *args, char *result, size_t room) {
  size_t count = 0, inside = 0;
  const char *text = strchr(args, '"');
  for (text = text ? text + 1 : ""; *text && *text != '"'; text++) {
    count += !inside && !isspace((unsigned char)*text);
    inside = !isspace((unsigned char)*text);
  }
  snprintf(result, room, "%zu", count);
  task_string_t line, name, value;
  task_string_set(&line, "counted");
  task_string_set(&name, "words");
  task_string_set(&value, result);
  task_tuple2_string_string_t field = {name, value};
  task_list_tuple2_string_string_t fields = {&field, 1};
  celeriac_task_log_emit(CELERIAC_TASK_LOG_LEVEL_INFO, &line, &fields);
}

// Says whether it was asked to stop, and why.
static bool waits(celeriac_task_context_interruption_t *reason) {
  uint64_t total = 2;
  task_string_t message;
  task_string_set(&message, "waiting");
  celeriac_task_progress_update(1, &total, &message);
  return celeriac_task_context_wait(600000, reason);
}

bool exports_celeriac_task_handler_run(call *asked, payload *ret, outcome_error *err) {
  char result[64] = "null";
  char *task = strndup((const char *)asked->task.ptr, asked->task.len);
  char *args = strndup((const char *)asked->args.data.ptr, asked->args.data.len);
  bool failed = false;
  if (!strcmp(task, "add")) {
    add(args, result, sizeof result);
  } else if (!strcmp(task, "words")) {
    words(args, result, sizeof result);
  } else if (!strcmp(task, "waits")) {
    failed = waits(&err->val.interrupted);
    err->tag = CELERIAC_TASK_TYPES_OUTCOME_ERROR_INTERRUPTED;
  } else {
    failed = true;
    memset(err, 0, sizeof *err);
    err->tag = CELERIAC_TASK_TYPES_OUTCOME_ERROR_FAILURE;
    task_string_dup(&err->val.failure.kind, "ArithmeticError");
    task_string_dup(&err->val.failure.message, "as it was told to");
  }
  if (!failed) {
    task_string_dup(&ret->content_type, "application/json");
    ret->data.len = strlen(result);
    ret->data.ptr = (uint8_t *)strdup(result);
  }
  free(task);
  free(args);
  exports_celeriac_task_handler_call_free(asked);
  return !failed;
}
