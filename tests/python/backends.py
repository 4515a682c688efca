"""Uses a result backend in every way that Celery's clients can, and prints what it saw as JSON."""

import json
import sys
import time
import warnings

from celery import Celery, __version__, group
from celery.result import GroupResult

from patience import PATIENCE, caught


def status(app, result):
    return app.backend.get_task_meta(result.id, cache=False)["status"]


def progress(app):
    """Returns what was told on the way, which is heard or looked for."""
    call = app.send_task("report.build", args=["Sales", 4, 400])
    heard = []
    try:
        call.get(timeout=PATIENCE, on_message=heard.append)
    except Exception as error:
        if "on_message" not in str(error):
            raise
        until = time.monotonic() + PATIENCE
        while not call.ready() and time.monotonic() < until:
            heard.append(app.backend.get_task_meta(call.id, cache=False))
            time.sleep(0.05)
        call.get(timeout=PATIENCE)
    return sorted({seen["result"]["current"] for seen in heard if seen["status"] == "PROGRESS"})


def everything(app):
    def call(name, *args, **options):
        return app.send_task(name, args=list(args), **options)

    seen = {"celery": __version__}
    first = call("text.word_count", "to be or not to be")
    seen["words"] = first.get(timeout=PATIENCE)
    seen["state"] = first.state
    seen["children"] = first.children
    nested = {"ä": [1, 2.5, None, True, -7, {"deep": ["𝄞", "\\\"\n"]}], "": {}}
    seen["echo"] = call("text.echo", nested).get(timeout=PATIENCE) == nested
    seen["value_error"] = caught(call("flaky.fails", "ValueError", "boom"))
    seen["not_registered"] = caught(call("no.such"))
    seen["retry"] = call("flaky.fails_until", 1).get(timeout=PATIENCE)
    seen["progress"] = progress(app)

    first.forget()
    seen["forgotten"] = status(app, first)

    calls = group(app.signature("text.word_count", args=["a " * n]) for n in range(3))
    members = calls.apply_async()
    ids = [one.id for one in members]
    members.save()
    saved = members.id
    # What arrives goes to the first who asked; nobody but the restored one shall.
    del members
    restored = GroupResult.restore(saved, app=app)
    seen["restored"] = [one.id for one in restored] == ids
    seen["group"] = restored.get(timeout=PATIENCE)
    restored.delete()
    seen["deleted"] = GroupResult.restore(saved, app=app)
    seen["cleanup"] = caught(call("celery.backend_cleanup"))
    return seen


def extended(app):
    app.conf.result_extended = True
    signature = app.signature("text.word_count", args=["a b a"], kwargs={"unique": True})
    signature.stamp(colour="red")
    call = signature.apply_async()
    call.get(timeout=PATIENCE)
    seen = {name: getattr(call, name) for name in ["name", "args", "kwargs", "worker", "retries", "queue"]}
    seen["stamp"] = app.backend.get_task_meta(call.id, cache=False).get("colour")
    return seen


def unsaved(app):
    """What a backend without a memory can do."""
    call = app.send_task("text.word_count", args=["a b"])
    seen = {"words": call.get(timeout=PATIENCE), "progress": progress(app)}
    seen["value_error"] = caught(app.send_task("flaky.fails", args=["ValueError", "boom"]))
    seen["cleanup"] = caught(app.send_task("celery.backend_cleanup"))
    return seen


def tables(app):
    """Has Celery make its tables."""
    return {"status": app.backend.get_task_meta("nobody")["status"]}


def main():
    warnings.simplefilter("ignore")
    what, broker, backend = sys.argv[1:]
    app = Celery(broker=broker, backend=backend)
    scenes = [everything, extended, tables, unsaved]
    print(json.dumps({scene.__name__: scene for scene in scenes}[what](app)))


main()
