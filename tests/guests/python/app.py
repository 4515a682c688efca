"""Tasks in Python, which componentize-py makes a component with an interpreter in it.

They do what an honest task does and no more: the bounds of an upload and of a run
must have room for the interpreter beside it.
"""

import json
from collections import Counter

from componentize_py_types import Err
from wit_world.exports.manifest import Limits, Param, ParamKind, TaskInfo
from wit_world.imports import context, log, progress
from wit_world.imports.types import (
    Call,
    Failure,
    OutcomeError_Failure,
    OutcomeError_Interrupted,
    Payload,
)


def add(a, b):
    """Adds two numbers."""
    return a + b


def words(text):
    """Counts how often each word occurs."""
    counted = Counter(text.split())
    log.emit(log.Level.INFO, "counted", [("words", str(len(counted)))])
    return counted


def fails():
    """Fails with an exception."""
    raise ValueError("as it was told to")


def waits():
    """Tells how far it is, and waits until it is asked to stop."""
    progress.update(1, 2, "waiting")
    reason = context.wait(600_000)
    if reason is not None:
        raise Err(OutcomeError_Interrupted(reason))


TASKS = {
    "add": (add, ["a", "b"]),
    "words": (words, ["text"]),
    "fails": (fails, []),
    "waits": (waits, []),
}


class Manifest:
    def describe(self):
        return [describe(name, *task) for name, task in TASKS.items()]


class Handler:
    def run(self, call: Call) -> Payload:
        task, _ = TASKS[call.task]
        try:
            result = task(*json.loads(call.args.data), **json.loads(call.kwargs.data))
        except Err:
            raise
        except Exception as error:
            failure = Failure(type(error).__name__, str(error), None, None)
            raise Err(OutcomeError_Failure(failure)) from error
        return Payload("application/json", json.dumps(result).encode())


def describe(name, task, params):
    positional = ParamKind.POSITIONAL_OR_KEYWORD
    return TaskInfo(
        name=name,
        doc=task.__doc__,
        params=[Param(param, positional, True, None, None) for param in params],
        result_schema=None,
        limits=Limits(None, None, None, None, None),
        retry=None,
        at_most_once=False,
        wants=[],
        extra=[],
    )
