"""Looks at a task as any Celery client does, and prints what it saw as JSON."""

import json
import sys

from celery import Celery


def get(app, task_id):
    """Returns the state, and the class and text of what `get` raises."""
    result = app.AsyncResult(task_id)
    try:
        return [result.state, "returned", result.get(timeout=40)]
    except Exception as error:
        return [result.state, f"{type(error).__module__}.{type(error).__name__}", str(error)]


def main():
    what, broker, backend, *arguments = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    print(json.dumps({"get": get}[what](app, *arguments)))


main()
