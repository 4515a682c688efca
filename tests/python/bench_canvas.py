"""Sends one canvas while no worker runs, and prints the ids of its tasks as JSON, in
the order of their results.

    bench_canvas.py BROKER BACKEND chain|group|chord COUNT

chain: task n adds 1 to what the one before it returned; group: task n is n + n; chord:
the same header, and its sum, which is the last id.
"""

import json
import sys

from celery import Celery, chord, group
from celery.canvas import _chain


def main():
    broker, backend, shape, count = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    count = int(count)

    def add(*args, **options):
        return app.signature("bench.add", args=args, **options)

    header = [add(n, n) for n in range(count)]
    if shape == "chain":
        # `chain(...)` copies all links once for each link; this is what it ends with.
        last = _chain([add(0, 1)] + [add(1) for _ in range(count - 1)], app=app).apply_async()
        ids = []
        while last is not None:
            ids.append(last.id)
            last = last.parent
        ids.reverse()
    elif shape == "group":
        ids = [task.id for task in group(header, app=app).apply_async()]
    elif shape == "chord":
        body = chord(header, app=app)(app.signature("bench.total"))
        ids = [task.id for task in body.parent] + [body.id]
    else:
        sys.exit(f"there is no canvas {shape!r}")
    print(json.dumps(ids))


main()
